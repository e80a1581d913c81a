//! Asking for revalidations, and what they would do.

use serde_json::json;

use super::*;

async fn bind(api: &Api, path: &str, tags: &[&str]) {
    let page = json!({"url": format!("https://a.example{path}"), "tags": tags});
    let (status, answer) = api.post("/v1/bind", &json!({"pages": [page]})).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_revalidation_is_stored_and_can_be_looked_up() {
    let api = Api::start().await;
    let (status, answer) = api
        .post(
            "/v1/revalidate",
            &json!({"tags": ["post:7"], "mode": "hard"}),
        )
        .await;
    assert_eq!(status, 202, "{answer}");
    let receipt = &answer["receipt"];
    assert_eq!(
        receipt["targets"],
        json!([{"kind": "tag", "value": "post:7"}])
    );
    assert_eq!(
        (&receipt["phase"], &receipt["mode"]),
        (&json!("queued"), &json!("hard"))
    );
    let id = receipt["id"].as_str().unwrap();
    let (status, found) = api.get(&format!("/v1/receipts/{id}")).await;
    assert_eq!((status, &found["id"]), (200, &json!(id)));
    let (_, list) = api.get("/v1/receipts?limit=5").await;
    assert_eq!(list["receipts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_request_twice_happens_once() {
    let api = Api::start().await;
    let request =
        json!({"urls": ["https://a.example/"], "id": "0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f"});
    let (_, first) = api.post("/v1/revalidate", &request).await;
    let (_, second) = api.post("/v1/revalidate", &request).await;
    assert_eq!(first, second);
    let (_, graph) = api.get("/v1/graph").await;
    assert_eq!(graph["revalidations"], json!([1]));
}

#[tokio::test]
async fn a_name_that_another_revalidation_has_is_refused() {
    let api = Api::start().await;
    let id = "0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f";
    api.post("/v1/revalidate", &json!({"tags": ["a"], "id": id}))
        .await;
    for other in [
        json!({"tags": ["b"], "id": id}),
        json!({"tags": ["a"], "mode": "hard", "id": id}),
    ] {
        let (status, problem) = api.post("/v1/revalidate", &other).await;
        assert_eq!(status, 409, "{problem}");
    }
    let (_, graph) = api.get("/v1/graph").await;
    assert_eq!(graph["revalidations"], json!([1]));
}

#[tokio::test]
async fn pages_of_other_sites_are_refused_and_nothing_is_applied() {
    let api = Api::start().await;
    let foreign = "https://b.example/";
    for request in [
        json!({"tags": ["a"], "urls": [foreign]}),
        json!({"tags": ["a"], "prefixes": [foreign]}),
        json!({"tags": ["a"], "hosts": ["*"]}),
    ] {
        let (status, problem) = api.post("/v1/revalidate", &request).await;
        assert_eq!(status, 422, "{problem}");
    }
    let (status, problem) = api.post("/v1/warm", &json!({"urls": [foreign]})).await;
    assert_eq!(status, 422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("is no page of this site"), "{problem}");
    let (_, graph) = api.get("/v1/graph").await;
    assert_eq!(graph["revalidations"], json!([0]));
}

#[tokio::test]
async fn a_dry_run_counts_pages_and_calls_and_does_nothing() {
    let api = Api::start().await;
    for number in 0..150 {
        bind(&api, &format!("/post/{number}"), &["posts"]).await;
    }
    bind(&api, "/about", &["about"]).await;
    let request =
        json!({"tags": ["posts", "about"], "urls": ["https://a.example/post/1"], "dry_run": true});
    let (status, answer) = api.post("/v1/revalidate", &request).await;
    let plan = &answer["plan"];
    assert_eq!((status, &plan["pages"]), (200, &json!(151)), "{plan}");
    let tier = &plan["tiers"][0];
    assert_eq!(
        [&tier["tier"], &tier["items"], &tier["calls"]],
        [&json!("by-url"), &json!(151), &json!(2)]
    );
    assert_eq!(plan["some"].as_array().unwrap().len(), 100);
    let (_, graph) = api.get("/v1/graph").await;
    assert_eq!(graph["revalidations"], json!([0]));
}

#[tokio::test]
async fn a_wait_that_runs_out_answers_with_what_there_is() {
    let api = Api::start().await;
    let request = json!({"tags": ["a"], "wait": "settled", "timeout_seconds": 0});
    let (status, answer) = api.post("/v1/revalidate", &request).await;
    assert_eq!(
        (status, &answer["receipt"]["settled"]),
        (202, &json!(false))
    );
}

#[tokio::test]
async fn a_request_without_targets_is_refused_and_everything_is_only_ever_alone() {
    let api = Api::start().await;
    for request in [
        json!({}),
        json!({"tags": [], "urls": []}),
        json!({"everything": true, "tags": ["a"]}),
    ] {
        let (status, problem) = api.post("/v1/revalidate", &request).await;
        assert_eq!(status, 422, "{request}: {problem}");
    }
    let (status, answer) = api
        .post("/v1/revalidate", &json!({"everything": true}))
        .await;
    assert_eq!(status, 202);
    assert_eq!(answer["receipt"]["targets"][0]["kind"], "everything");
}

#[tokio::test]
async fn hosts_and_prefixes_are_brought_into_canonical_spelling() {
    let api = Api::start().await;
    let request = json!({"hosts": ["A.Example:443"], "prefixes": ["https://a.example/blog?x=1"]});
    let (_, answer) = api.post("/v1/revalidate", &request).await;
    let expected = json!([
        {"kind": "prefix", "value": "https://a.example/blog"},
        {"kind": "host", "value": "a.example"},
    ]);
    assert_eq!(answer["receipt"]["targets"], expected);
}

#[tokio::test]
async fn a_malformed_item_is_named_and_nothing_is_applied() {
    let api = Api::start().await;
    let request =
        json!({"tags": ["good", "has space"], "urls": ["/relative"], "hosts": ["a/b"], "id": "x"});
    let (status, problem) = api.post("/v1/revalidate", &request).await;
    let items = problem["items"].as_array().unwrap();
    let named: Vec<&str> = items
        .iter()
        .map(|item| item["item"].as_str().unwrap())
        .collect();
    assert_eq!(
        (status, named),
        (422, vec!["tags[1]", "urls[0]", "hosts[0]", "id"])
    );
    let (_, graph) = api.get("/v1/graph").await;
    assert_eq!(graph["revalidations"], json!([0]));
}
