//! Revalidations that are held, released and called off, and what a dry run says of them.

use edge_isr::core::{Held, Leave, Mode, ModeChoice, Phase, WorkerId};
use serde_json::json;

use super::*;

const LEASE: Duration = Duration::from_mins(1);

async fn api() -> Api {
    Api::start_that(|admin| {
        admin.thresholds = Thresholds {
            hold: Some(1),
            soften: Some(1),
        };
        admin.defaults.mode = ModeChoice::usual(Mode::Hard);
    })
    .await
}

/// Has a revalidation held as a worker does, and answers with its name.
async fn hold(api: &Api) -> String {
    let (_, answer) = api.post("/v1/revalidate", &json!({"tags": ["a"]})).await;
    let worker = WorkerId("one".into());
    let claimed = api.store.claim_revalidations(&worker, 1, LEASE).await;
    let mut claimed = claimed.unwrap().remove(0);
    claimed.work.phase = Phase::Held;
    claimed.work.held = Some(Held {
        above: 1,
        released: false,
    });
    let left = api.store.leave(&claimed.claim, &claimed.work, &Leave::Held);
    left.await.unwrap();
    answer["receipt"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_held_is_found_and_released() {
    let api = api().await;
    let id = hold(&api).await;
    let (_, list) = api.get("/v1/receipts?phase=held").await;
    assert_eq!(list["receipts"][0]["id"], json!(id));
    let (_, graph) = api.get("/v1/graph").await;
    assert_eq!(graph["queue"]["held"], json!(1));
    let awaited = format!("/v1/receipts/{id}?wait=20s&for=settled");
    let (status, waited) = api.get(&awaited).await;
    assert_eq!(
        (status, &waited["phase"], &waited["held"]),
        (202, &json!("held"), &json!({"above": 1, "released": false}))
    );
    for _ in 0..2 {
        let path = format!("/v1/revalidations/{id}/release");
        let (status, receipt) = api.post(&path, &json!({})).await;
        assert_eq!((status, &receipt["phase"]), (200, &json!("queued")));
        assert_eq!(receipt["held"], json!({"above": 1, "released": true}));
    }
}

#[tokio::test]
async fn what_is_held_can_be_called_off_and_is_then_released_no_more() {
    let api = api().await;
    let id = hold(&api).await;
    let path = format!("{}/v1/receipts/{id}", api.base);
    let (status, receipt) = api.answer(api.http.delete(path)).await;
    assert_eq!((status, &receipt["phase"]), (200, &json!("cancelled")));
    let release = |id: &str| format!("/v1/revalidations/{id}/release");
    let (status, problem) = api.post(&release(&id), &json!({})).await;
    assert_eq!((status, &problem["phase"]), (409, &json!("cancelled")));
    let (_, answer) = api.post("/v1/revalidate", &json!({"tags": ["b"]})).await;
    let queued = answer["receipt"]["id"].as_str().unwrap();
    let (status, problem) = api.post(&release(queued), &json!({})).await;
    assert_eq!((status, &problem["phase"]), (409, &json!("queued")));
    let unknown = release("0197a5a4-9f0e-7cc3-98c4-dc0c0c073990");
    assert_eq!(api.post(&unknown, &json!({})).await.0, 404);
    assert_eq!(api.post(&release("x"), &json!({})).await.0, 422);
}

#[tokio::test]
async fn a_dry_run_says_whether_it_would_be_held_and_softened() {
    let api = api().await;
    for path in ["1", "2"] {
        let page = json!({"url": format!("https://a.example/{path}"), "tags": ["all", path]});
        let (status, _) = api.post("/v1/bind", &json!({"pages": [page]})).await;
        assert_eq!(status, 200);
    }
    let (held, softened) = (json!(1), json!(1));
    for (request, expected) in [
        (json!({"tags": ["all"]}), [&held, &softened]),
        (json!({"everything": true}), [&held, &softened]),
        (json!({"tags": ["1"]}), [&Value::Null, &Value::Null]),
        (
            json!({"tags": ["all"], "hold": false}),
            [&Value::Null, &softened],
        ),
        (
            json!({"tags": ["all"], "mode": "hard"}),
            [&held, &Value::Null],
        ),
    ] {
        let mut request = request;
        request["dry_run"] = json!(true);
        let (status, answer) = api.post("/v1/revalidate", &request).await;
        assert_eq!(status, 200, "{answer}");
        let plan = &answer["plan"];
        assert_eq!(
            [&plan["held_above"], &plan["softened_above"]],
            expected,
            "{request}"
        );
    }
    let (_, list) = api.get("/v1/receipts").await;
    assert_eq!(list["receipts"], json!([]), "nothing was done");
}

#[tokio::test]
async fn the_store_is_told_what_the_caller_chose() {
    let api = api().await;
    for (request, expected, hold) in [
        (json!({}), ModeChoice::usual(Mode::Hard), true),
        (json!({"mode": "hard"}), Mode::Hard.into(), true),
        (
            json!({"mode": "soft", "hold": false}),
            Mode::Soft.into(),
            false,
        ),
    ] {
        let mut request = request;
        request["tags"] = json!(["a"]);
        let (_, answer) = api.post("/v1/revalidate", &request).await;
        let id = answer["receipt"]["id"].as_str().unwrap().parse().unwrap();
        let stored = api.store.receipt(&id).await.unwrap().unwrap();
        assert_eq!((stored.options.mode, stored.options.hold), (expected, hold));
    }
}
