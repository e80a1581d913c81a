//! `[layer]`, and what of `[edge]` and `[site]` the layer goes by.

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use edge_isr::Engine;
use edge_isr::core::{GENERATION_HEADER, PageUrl, Policy, tag};
use edge_isr::tower::{Page, Revalidate, RevalidateError};
use http::request::Builder;
use http::{Request, Response, StatusCode};
use tower_service::Service as _;

use crate::support::{HOST, engine, field};

/// Says which generation it was rendered under.
async fn show(page: Page) -> (StatusCode, String) {
    let status = match page.url().map(PageUrl::path) {
        Some("/missing") => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    };
    let generation = page.generation().expect("the store was heard from");
    (status, generation.to_string())
}

async fn ask(engine: &Engine, request: Builder) -> Response<Body> {
    let layer = engine.layer().page(Policy::default()).tag("posts");
    let mut app = Router::new()
        .route("/", get(show))
        .route("/missing", get(show))
        .route_layer(layer);
    let request = request.header("host", HOST).body(Body::empty()).unwrap();
    app.call(request).await.unwrap()
}

#[tokio::test]
async fn tiers_are_told_lifetimes_and_tags_as_configured() {
    let lines =
        "[layer]\ndialects = [\"cloudflare\"]\ntag_headers = [\"surrogate-key\", \"xkey\"]\n";
    let site = "[site]\nhosts = [\"http://a.example\"]\nbuild = \"41\"\n";
    let engine = engine(&format!("{site}{lines}")).await;
    let answer = ask(&engine, Request::get("/")).await;
    let told = field(&answer, "cloudflare-cdn-cache-control");
    assert!(told.starts_with("max-age=300"), "{:?}", answer.headers());
    assert_eq!(field(&answer, "surrogate-key"), "build:41 posts");
    assert_eq!(field(&answer, "xkey"), "build:41 posts");
    assert_eq!(field(&answer, "cache-tag"), "");
}

#[tokio::test]
async fn cookies_and_other_spellings_keep_pages_out_of_shared_caches_unless_configured() {
    let lines = "[layer]\nignore_cookies = [\"_ga*\"]\ntiers_normalise_urls = true\n";
    for (lines, shared) in [("", false), (lines, true)] {
        let engine = engine(lines).await;
        let requests = [
            Request::get("/").header("cookie", "_ga_1=x"),
            Request::get("/?utm_source=x"),
        ];
        for request in requests {
            let answer = ask(&engine, request).await;
            let control = field(&answer, "cache-control");
            assert_eq!(control.contains("s-maxage"), shared, "{lines}: {control}");
        }
    }
}

#[tokio::test]
async fn only_behind_the_edge_its_generation_counts() {
    for (lines, counts) in [("", false), ("[layer]\nbehind_edge = true\n", true)] {
        let engine = engine(lines).await;
        let url = PageUrl::parse("http://a.example/").unwrap();
        let earlier = engine.sender().generation(&url).unwrap();
        engine.revalidate(["posts".parse().unwrap()]).await.unwrap();
        let own = engine.sender().generation(&url).unwrap();
        assert_ne!(own, earlier);
        let request = Request::get("/").header(GENERATION_HEADER, earlier.to_string());
        let body = ask(&engine, request).await.into_body();
        let text = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let expected = if counts { earlier } else { own };
        assert_eq!(text, expected.to_string(), "{lines}");
    }
}

#[tokio::test]
async fn what_the_layer_has_in_common_with_the_edge_is_configured_once() {
    let engine = engine("[edge]\nnegative_lifetime = \"7s\"\n").await;
    let answer = ask(&engine, Request::get("/missing")).await;
    let control = field(&answer, "cache-control");
    assert!(control.contains("s-maxage=7,"), "{control}");
}

async fn change(revalidate: Revalidate) -> Result<String, RevalidateError> {
    let receipt = revalidate.tags([tag("post", 1)]).await?;
    Ok(format!("{:?}", receipt.options))
}

#[tokio::test]
async fn handlers_revalidate_as_configured() {
    let engine = engine("[revalidate]\nmode = \"hard\"\nwarm = false\n").await;
    let mut app = Router::new().route("/", post(change)).layer(engine.layer());
    let request = Request::post("/").header("host", HOST).body(Body::empty());
    let answer = app.call(request.unwrap()).await.unwrap();
    let text = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
    let expected = format!("{:?}", engine.revalidate_options());
    assert_eq!(text.unwrap(), expected);
}

#[tokio::test]
async fn bodies_are_hashed_up_to_the_configured_size() {
    for (lines, hashed) in [("", true), ("[layer]\nlargest_hashed_body = 1\n", false)] {
        let engine = engine(lines).await;
        let answer = ask(&engine, Request::get("/")).await;
        assert_eq!(answer.headers().contains_key("etag"), hashed, "{lines}");
    }
}
