//! What has happened to a page.

use serde_json::json;

use super::*;

const OF_X: &str = "/v1/urls/history?url=https://a.example/x";

#[tokio::test]
async fn what_has_happened_to_a_page_is_shown() {
    let api = Api::start().await;
    let (status, nothing) = api.get(OF_X).await;
    assert_eq!((status, &nothing["verdict"]), (200, &Value::Null));
    let page = json!({"url": "https://a.example/x", "tags": ["post:1"], "lifetime_seconds": 600});
    api.post("/v1/bind", &json!({"pages": [page]})).await;
    let (_, current) = api.get(OF_X).await;
    assert_eq!(
        (&current["verdict"], &current["revalidations"]),
        (&json!("current"), &json!([]))
    );
    api.clock.advance(Duration::from_mins(3));
    let request = json!({"tags": ["post:1", "post:2"], "mode": "hard"});
    let (_, made) = api.post("/v1/revalidate", &request).await;
    api.post("/v1/revalidate", &json!({"tags": ["post:2"]}))
        .await;
    let (_, expired) = api.get(OF_X).await;
    assert_eq!(expired["verdict"], "expired");
    assert_eq!(expired["rendered_before"], made["receipt"]["made"]);
    assert_eq!(expired["tags"][0]["tag"], "post:1");
    let told = expired["revalidations"].as_array().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0],
        json!({
            "id": made["receipt"]["id"],
            "mode": "hard",
            "targets": [{"kind": "tag", "value": "post:1"}],
            "missed": true,
            "at": made["receipt"]["made"],
            "source": "api",
            "phase": "queued",
            "settled": false,
            "error": null,
        })
    );
    assert_eq!(api.get("/v1/urls/history?url=x").await.0, 422);
}
