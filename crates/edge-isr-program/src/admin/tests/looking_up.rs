//! Looking things up, warming, health.

use serde_json::json;

use super::*;

#[tokio::test]
async fn what_a_page_is_bound_to_is_shown() {
    let api = Api::start().await;
    let page = json!({"url": "https://a.example/x?utm_source=mail", "tags": ["b", "a/b"], "lifetime_seconds": 60});
    api.post("/v1/bind", &json!({"pages": [page]})).await;
    let (status, shown) = api.get("/v1/urls?url=https://A.example/x").await;
    let tags: Vec<&str> = shown["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["tag"].as_str().unwrap())
        .collect();
    assert_eq!((status, tags), (200, vec!["a/b", "b"]));
    let (status, found) = api.get("/v1/tags/a%2Fb").await;
    assert_eq!(
        (status, &found["pages"]),
        (200, &json!(["https://a.example/x"]))
    );
}

#[tokio::test]
async fn a_long_list_comes_in_chunks() {
    let api = Api::start().await;
    let page = |number: u32| json!({"url": format!("https://a.example/{number}"), "tags": ["t"]});
    let pages: Vec<Value> = (0..25).map(page).collect();
    api.post("/v1/bind", &json!({"pages": pages})).await;
    let (mut seen, mut query) = (Vec::new(), "limit=10".to_owned());
    loop {
        let (_, chunk) = api.get(&format!("/v1/tags/t?{query}")).await;
        seen.extend(chunk["pages"].as_array().unwrap().clone());
        let Some(next) = chunk["next"].as_str() else {
            break;
        };
        let encoded: Vec<String> = next.bytes().map(|byte| format!("%{byte:02x}")).collect();
        query = format!("limit=10&after={}", encoded.concat());
    }
    seen.sort_by_key(ToString::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 25);
}

#[tokio::test]
async fn pages_are_warmed_and_each_outcome_is_told() {
    let api = Api::start().await;
    let (status, answer) = api
        .post("/v1/warm", &json!({"urls": ["https://a.example/"]}))
        .await;
    let expected = json!([{"url": "https://a.example/", "via": null, "outcome": "warmed", "status": 200,
        "took_milliseconds": 3, "detail": null}]);
    assert_eq!((status, &answer["requests"]), (200, &expected));
}

#[tokio::test]
async fn what_is_not_known_is_not_found() {
    let api = Api::start().await;
    for path in [
        "/v1/receipts/0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f",
        "/v1/urls?url=https://a.example/",
        "/v1/nothing",
    ] {
        let (status, problem) = api.get(path).await;
        assert_eq!(
            (status, &problem["status"]),
            (404, &json!(404)),
            "{path}: {problem}"
        );
    }
}

#[tokio::test]
async fn health_metrics_and_dead_letters_are_there() {
    let api = Api::start().await;
    assert_eq!(api.get("/healthz").await, (200, json!({"status": "alive"})));
    assert_eq!(api.get("/readyz").await, (200, json!({"status": "ready"})));
    assert_eq!(
        api.get("/v1/dead-letters").await,
        (200, json!({"dead_letters": [], "next": null}))
    );
    let replay = json!({"pages": ["https://a.example/"], "all": true});
    assert_eq!(
        api.post("/v1/dead-letters/replay", &replay).await,
        (200, json!({"replayed": 0}))
    );
    let metrics = api
        .http
        .get(format!("{}/metrics", api.base))
        .send()
        .await
        .unwrap();
    assert_eq!(
        metrics.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(metrics.text().await.unwrap(), "edge_isr_up 1\n");
}
