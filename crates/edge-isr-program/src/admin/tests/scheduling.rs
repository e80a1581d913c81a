//! Revalidations for a time to come.

use serde_json::json;

use super::*;

const ID: &str = "0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f";

impl Api {
    /// So long from now, by the store's clock.
    async fn at(&self, wait: Duration) -> String {
        self.store.time().await.unwrap().after(wait).to_string()
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.answer(self.http.delete(format!("{}{path}", self.base)))
            .await
    }
}

#[tokio::test]
async fn a_revalidation_waits_for_its_time_and_can_be_called_off() {
    let api = Api::start().await;
    let at = api.at(Duration::from_hours(48)).await;
    let request = json!({"tags": ["post:7"], "id": ID, "at": at});
    let (status, answer) = api.post("/v1/revalidate", &request).await;
    assert_eq!(status, 202, "{answer}");
    let receipt = &answer["receipt"];
    assert_eq!(
        (&receipt["phase"], &receipt["at"]),
        (&json!("scheduled"), &json!(at))
    );
    let (_, again) = api.post("/v1/revalidate", &request).await;
    assert_eq!(answer, again);
    let (_, list) = api.get("/v1/receipts").await;
    assert_eq!(list["receipts"], json!([receipt]));
    let (_, graph) = api.get("/v1/graph").await;
    assert_eq!(
        (&graph["revalidations"], &graph["queue"]["scheduled"]),
        (&json!([0]), &json!(1))
    );
    for _ in 0..2 {
        let (status, receipt) = api.delete(&format!("/v1/receipts/{ID}")).await;
        assert_eq!((status, &receipt["phase"]), (200, &json!("cancelled")));
    }
    let other_time = json!({"tags": ["post:7"], "id": ID});
    let (status, _) = api.post("/v1/revalidate", &other_time).await;
    assert_eq!(status, 409, "it was asked for at another time");
}

#[tokio::test]
async fn what_has_begun_is_not_called_off() {
    let api = Api::start().await;
    let past = json!({"tags": ["a"], "id": ID, "at": "2000-01-01T00:00+01:00"});
    let (status, answer) = api.post("/v1/revalidate", &past).await;
    assert_eq!(
        (status, &answer["receipt"]["phase"]),
        (202, &json!("queued"))
    );
    let (status, problem) = api.delete(&format!("/v1/receipts/{ID}")).await;
    assert_eq!((status, &problem["phase"]), (409, &json!("queued")));
    assert!(problem["detail"].as_str().unwrap().contains("it is queued"));
    let unknown = "/v1/receipts/0197a5a4-9f0e-7cc3-98c4-dc0c0c073990";
    assert_eq!(api.delete(unknown).await.0, 404);
    assert_eq!(api.delete("/v1/receipts/x").await.0, 422);
}

#[tokio::test]
async fn a_time_that_is_none_or_too_far_ahead_is_refused() {
    let api = Api::start().await;
    for (at, why) in [
        ("2026-12-01".to_owned(), "not a time"),
        (
            api.at(Duration::from_hours(367 * 24)).await,
            "too far ahead",
        ),
    ] {
        let request = json!({"tags": ["a"], "at": at});
        let (status, problem) = api.post("/v1/revalidate", &request).await;
        assert_eq!(status, 422, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(why),
            "{problem}"
        );
    }
    let (_, list) = api.get("/v1/receipts").await;
    assert_eq!(list["receipts"], json!([]));
}
