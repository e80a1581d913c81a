//! Binding pages over HTTP, with and without the generation they were rendered under.

use edge_isr::core::{Position, WorkerId};
use serde_json::json;

use super::*;

const PAGE: &str = "https://a.example/post/7";

#[tokio::test]
async fn a_page_bound_with_the_generation_it_was_rendered_under_is_found_by_its_tags() {
    let api = Api::start().await;
    let (_, answer) = api.get(&format!("/v1/generation?url={PAGE}")).await;
    let page = json!({"url": PAGE, "tags": ["Post:7"], "generation": answer["generation"]});
    let (status, answer) = api.post("/v1/bind", &json!({"pages": [page]})).await;
    assert_eq!(
        (status, &answer["pages"][0]["bound"]),
        (200, &json!(true)),
        "{answer}"
    );
    let (_, found) = api.get("/v1/tags/post:7").await;
    assert_eq!(found["pages"], json!([PAGE]));
    assert_eq!(outstanding(&api).await, 0, "nothing is to be purged again");
}

#[tokio::test]
async fn a_page_whose_data_was_read_before_a_revalidation_is_superseded() {
    let api = Api::start().await;
    let (_, before) = api.get(&format!("/v1/generation?url={PAGE}")).await;
    api.post("/v1/revalidate", &json!({"tags": ["post:7"]}))
        .await;
    let page = json!({"url": PAGE, "tags": ["post:7"], "generation": before["generation"]});
    let (status, answer) = api.post("/v1/bind", &json!({"pages": [page]})).await;
    assert_eq!(
        (status, &answer["pages"][0]["bound"]),
        (200, &json!(false)),
        "{answer}"
    );
    assert_ne!(answer["pages"][0]["generation"], before["generation"]);
}

#[tokio::test]
async fn a_page_bound_without_a_generation_is_purged_again_after_the_settling_time() {
    let api = Api::start().await;
    api.post(
        "/v1/bind",
        &json!({"pages": [{"url": PAGE, "tags": ["post:7"]}]}),
    )
    .await;
    assert_eq!(outstanding(&api).await, 1);
    let worker = WorkerId("w".into());
    let claim = || api.store.claim_pages(&worker, 10, Duration::from_secs(5));
    assert!(claim().await.unwrap().is_empty(), "it is not due yet");
    api.clock.advance(Duration::from_secs(2));
    assert_eq!(claim().await.unwrap()[0].work.url.as_str(), PAGE);
}

#[tokio::test]
async fn an_unbound_page_is_forgotten() {
    let api = Api::start().await;
    api.post(
        "/v1/bind",
        &json!({"pages": [{"url": PAGE, "tags": ["post:7"]}]}),
    )
    .await;
    let (status, answer) = api.post("/v1/unbind", &json!({"urls": [PAGE]})).await;
    assert_eq!((status, answer), (200, json!({"unbound": 1})));
    let (status, _) = api.get(&format!("/v1/urls?url={PAGE}")).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn nothing_is_bound_when_one_item_is_malformed_and_every_such_item_is_named() {
    let api = Api::start().await;
    let long = "x".repeat(257);
    let pages = json!([
        {"url": "https://a.example/good", "tags": ["good"]},
        {"url": "no url", "tags": ["has space", long]},
        {"url": PAGE, "tags": ["t"], "generation": "new", "variant": "v", "lifetime_seconds": 0},
    ]);
    let (status, problem) = api.post("/v1/bind", &json!({"pages": pages})).await;
    let items: Vec<&str> = problem["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["item"].as_str().unwrap())
        .collect();
    let expected = [
        "pages[1].url",
        "pages[1].tags[0]",
        "pages[1].tags[1]",
        "pages[2].generation",
        "pages[2].variant",
        "pages[2].lifetime_seconds",
    ];
    assert_eq!((status, items), (422, expected.to_vec()));
    let (_, graph) = api.get("/v1/graph").await;
    assert_eq!(graph["pages"], 0);
}

/// Single pages that wait to be purged again.
async fn outstanding(api: &Api) -> u64 {
    let now = api.store.position().await.unwrap();
    let position = Position::new(now.epoch, now.numbers().iter().copied());
    api.store.pages_outstanding(&position).await.unwrap()
}
