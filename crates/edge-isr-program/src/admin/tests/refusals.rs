//! Whom and what the API refuses, and how it says so.

use edge_isr::core::ReceiptFilter;
use serde_json::json;

use super::*;

const TOKEN: &str = "0123456789abcdef";

#[tokio::test]
async fn a_wrong_or_missing_token_is_refused_and_health_is_open() {
    let api = Api::start_with(Some(TOKEN)).await;
    let ask = |path: &str, token: Option<&str>| {
        let request = api.http.get(format!("{}{path}", api.base));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    };
    for (path, token, expected) in [
        ("/v1/graph", None, 401),
        ("/v1/graph", Some("0123456789abcdeF"), 401),
        ("/v1/graph", Some(TOKEN), 200),
        ("/v1/no-such-thing", None, 401),
        ("/metrics", None, 401),
        ("/metrics", Some(TOKEN), 200),
        ("/healthz", None, 200),
        ("/readyz", None, 200),
    ] {
        let response = ask(path, token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{path} {token:?}");
        assert_eq!(
            response.headers().contains_key("www-authenticate"),
            expected == 401,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_ask_again() {
    let clock = HandClock::new();
    let options = MemoryOptions {
        queue: 1,
        ..MemoryOptions::default()
    };
    let store = Arc::new(MemoryStore::new(Arc::new(clock.clone()), options));
    let api = Api::over(store, clock, None).await;
    let (status, _) = api.post("/v1/revalidate", &json!({"tags": ["a"]})).await;
    assert_eq!(status, 202);

    let url = format!("{}/v1/revalidate", api.base);
    let request = api.http.post(url).json(&json!({"tags": ["b"]}));
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 429);
    assert_eq!(response.headers()["retry-after"], "1");
    let problem: Value = response.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("the queue is full with 1 jobs"), "{detail}");
    let any = ReceiptFilter::default();
    let stored = api.store.receipts(&any, None, 10).await.unwrap();
    assert_eq!(stored.receipts.len(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let api = Api::start().await;
    let tags: Vec<String> = (0..10_000).map(|number| format!("post:{number}")).collect();
    let (status, problem) = api.post("/v1/revalidate", &json!({"tags": tags})).await;
    assert_eq!(
        (status, &problem["status"]),
        (413, &json!(413)),
        "{problem}"
    );
}

#[tokio::test]
async fn what_is_no_json_or_has_the_wrong_shape_is_refused_as_a_problem() {
    let api = Api::start().await;
    let send = |content_type: &'static str, body: &'static str| {
        let request = api.http.post(format!("{}/v1/revalidate", api.base));
        request.header("content-type", content_type).body(body)
    };
    for (content_type, body, expected) in [
        ("application/json", "{", 400),
        ("application/json", r#"{"tag": ["a"]}"#, 422),
        ("application/json", r#"{"tags": "a"}"#, 422),
        ("text/plain", r#"{"tags": ["a"]}"#, 415),
    ] {
        let response = send(content_type, body).send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{body}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{body}"
        );
    }
    for (method, path, expected) in [
        (http::Method::GET, "/v1/revalidate", 405),
        (http::Method::POST, "/healthz", 405),
        (http::Method::GET, "/v1/tags/%ff", 400),
        (http::Method::GET, "/v1/receipts?limt=5", 400),
        (http::Method::GET, "/v1/no-such-thing", 404),
    ] {
        let request = api.http.request(method, format!("{}{path}", api.base));
        let (status, problem) = api.answer(request).await;
        assert_eq!(
            (status, &problem["status"]),
            (expected, &json!(expected)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn too_many_pages_in_one_call_are_refused() {
    let api = Api::start().await;
    let urls: Vec<String> = (0..1001)
        .map(|number| format!("https://a.example/{number}"))
        .collect();
    for path in ["/v1/unbind", "/v1/warm"] {
        let (status, problem) = api.post(path, &json!({"urls": urls})).await;
        assert_eq!(status, 422, "{problem}");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("1001 pages given"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn without_a_token_a_foreign_host_name_gets_nowhere() {
    let api = Api::start().await;
    let request = api
        .http
        .get(format!("{}/v1/graph", api.base))
        .header("host", "evil.example");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 401);
}
