//! Receipts and dead letters: listed, found and waited for.

use edge_isr::core::{Leave, Phase, TierReceipt, TierState, WorkerId};
use serde_json::json;

use super::*;

const LEASE: Duration = Duration::from_mins(1);

async fn revalidate(api: &Api, tag: &str) -> String {
    let (status, answer) = api.post("/v1/revalidate", &json!({"tags": [tag]})).await;
    assert_eq!(status, 202, "{answer}");
    answer["receipt"]["id"].as_str().unwrap().to_owned()
}

/// Leaves the revalidation that has waited longest.
async fn leave(api: &Api, change: impl Fn(&mut Receipt), how: &Leave) {
    let worker = WorkerId("one".into());
    let claimed = api.store.claim_revalidations(&worker, 1, LEASE).await;
    let mut claimed = claimed.unwrap().remove(0);
    change(&mut claimed.work);
    let left = api.store.leave(&claimed.claim, &claimed.work, how).await;
    left.unwrap();
}

fn ids(list: &Value) -> Vec<&str> {
    let receipts = list["receipts"].as_array().unwrap().iter();
    receipts.map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn receipts_are_listed_in_pieces_and_found_by_what_is_said_of_them() {
    let api = Api::start().await;
    let mut made = Vec::new();
    for tag in ["a", "b", "a"] {
        made.push(revalidate(&api, tag).await);
        api.clock.advance(Duration::from_mins(1));
    }
    let done = |receipt: &mut Receipt| (receipt.phase, receipt.settled) = (Phase::Done, true);
    leave(&api, done, &Leave::Done).await;
    let (_, first) = api.get("/v1/receipts?limit=2").await;
    assert_eq!(ids(&first), [&*made[2], &*made[1]]);
    let next = first["next"].as_str().unwrap();
    let (_, second) = api.get(&format!("/v1/receipts?after={next}")).await;
    assert_eq!(
        (ids(&second), &second["next"]),
        (vec![&*made[0]], &Value::Null)
    );
    for (query, expected) in [
        ("phase=done,failed", vec![0]),
        ("settled=false", vec![2, 1]),
        ("tag=a", vec![2, 0]),
        ("url=https://a.example/", vec![]),
        ("source=api", vec![2, 1, 0]),
        ("source=library", vec![]),
        ("since=150s", vec![2, 1]),
        ("until=150s&tag=a", vec![0]),
    ] {
        let (_, list) = api.get(&format!("/v1/receipts?{query}")).await;
        let expected: Vec<&str> = expected.iter().map(|&at: &usize| &*made[at]).collect();
        assert_eq!(ids(&list), expected, "{query}");
    }
    for (query, item) in [
        ("phase=dead", "phase"),
        ("source=nobody", "source"),
        ("since=yesterday", "since"),
        ("tag=has%20space", "tag"),
        ("tag=a&url=https://a.example/", "url"),
    ] {
        let (status, problem) = api.get(&format!("/v1/receipts?{query}")).await;
        assert_eq!((status, &problem["items"][0]["item"]), (422, &json!(item)));
    }
}

#[tokio::test]
async fn a_receipt_can_be_waited_for() {
    let api = Api::start().await;
    let id = revalidate(&api, "a").await;
    let path = |query: &str| format!("/v1/receipts/{id}?{query}");
    let (status, receipt) = api.get(&path("wait=50ms&for=settled")).await;
    assert_eq!((status, &receipt["phase"]), (202, &json!("queued")));
    let purged = |receipt: &mut Receipt| {
        receipt.phase = Phase::Warming;
        receipt.tiers = vec![TierReceipt {
            state: TierState::Accepted,
            ..TierReceipt::queued("cdn")
        }];
    };
    let later = Leave::Later {
        delay: Duration::ZERO,
        failed: false,
    };
    let awaited = path("wait=20s&for=purged");
    let (waited, ()) = tokio::join!(api.get(&awaited), leave(&api, purged, &later));
    assert_eq!((waited.0, &waited.1["phase"]), (200, &json!("warming")));
    let given_up = |receipt: &mut Receipt| receipt.phase = Phase::Failed;
    leave(&api, given_up, &Leave::Dead).await;
    let (status, receipt) = api.get(&path("wait=20s")).await;
    assert_eq!((status, &receipt["phase"]), (202, &json!("failed")));
    assert_eq!(api.get(&path("wait=long")).await.0, 422);
    assert_eq!(api.get(&path("wait=1s&for=ever")).await.0, 400);
}

#[tokio::test]
async fn dead_letters_are_listed_in_pieces_and_replayed_whole() {
    const MANY: usize = 1_205;
    let api = Api::start().await;
    for n in 0..MANY {
        let tag: edge_isr::core::Tag = format!("t:{n}").parse().unwrap();
        let targets = edge_isr::core::Targets::new([edge_isr::core::Target::Tag(tag)]).unwrap();
        let source = edge_isr::core::Source::Library;
        let receipt = Receipt::new(targets, RevalidateOptions::default(), source);
        api.store.invalidate(receipt).await.unwrap();
        leave(&api, |receipt| receipt.phase = Phase::Failed, &Leave::Dead).await;
    }
    let (_, list) = api.get("/v1/dead-letters").await;
    assert_eq!(list["dead_letters"].as_array().unwrap().len(), 1000);
    let next = list["next"].as_str().unwrap();
    let (_, rest) = api.get(&format!("/v1/dead-letters?after={next}")).await;
    assert_eq!(rest["dead_letters"].as_array().unwrap().len(), MANY - 1000);
    assert_eq!(rest["next"], Value::Null);
    let (_, answer) = api
        .post("/v1/dead-letters/replay", &json!({"all": true}))
        .await;
    assert_eq!(answer, json!({"replayed": MANY}));
    assert_eq!(api.store.depth().await.unwrap().dead, 0);
}
