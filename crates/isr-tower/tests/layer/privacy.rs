//! What is private stays private, whatever the route's policy says.

use axum::Router;
use axum::extract::State;
use axum::routing::any;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use isr_core::{CookieNames, Policy};

use crate::world::{Server, World};

const UNSHARED: &str = "private, no-cache";

/// A response as a row of the tables below has it.
#[derive(Clone)]
struct Made {
    status: StatusCode,
    headers: HeaderMap,
}

fn made(status: u16, fields: &[(&'static str, &'static str)]) -> Made {
    let fields = fields.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    Made {
        status: StatusCode::from_u16(status).unwrap(),
        headers: fields.collect(),
    }
}

async fn server(world: &World, made: Made) -> Server {
    let handler = async |State(made): State<Made>| (made.status, made.headers, "page");
    let layer = world.layer().page(Policy::default()).tag("page");
    Server::start(
        Router::new()
            .route("/", any(handler))
            .route_layer(layer)
            .with_state(made),
    )
    .await
}

#[tokio::test]
async fn no_private_response_becomes_public() {
    type Fields<'a> = &'a [(&'static str, &'static str)];
    let rows: &[(&str, Fields<'_>, u16, Fields<'_>, &str)] = &[
        ("POST", &[], 200, &[], ""),
        ("PUT", &[], 200, &[], ""),
        (
            "GET",
            &[("authorization", "Basic eA==")],
            200,
            &[],
            UNSHARED,
        ),
        ("GET", &[("cookie", "session=1")], 200, &[], UNSHARED),
        ("GET", &[("cookie", "_ga=1; session=1")], 200, &[], UNSHARED),
        ("GET", &[("cache-control", "no-store")], 200, &[], UNSHARED),
        ("GET", &[], 200, &[("set-cookie", "a=b")], UNSHARED),
        ("HEAD", &[], 200, &[("set-cookie", "a=b")], UNSHARED),
        ("GET", &[], 404, &[("set-cookie", "a=b")], UNSHARED),
        (
            "GET",
            &[],
            200,
            &[
                ("set-cookie", "a=b"),
                ("cache-control", "public, max-age=9"),
            ],
            UNSHARED,
        ),
        (
            "GET",
            &[],
            200,
            &[("set-cookie", "a=b"), ("cache-control", "no-store")],
            "no-store",
        ),
        ("GET", &[], 200, &[("cache-control", "private")], "private"),
        (
            "GET",
            &[],
            200,
            &[("cache-control", "no-store")],
            "no-store",
        ),
        (
            "GET",
            &[],
            200,
            &[("cache-control", "no-cache")],
            "no-cache",
        ),
        (
            "GET",
            &[],
            200,
            &[("cache-control", "private, max-age=60")],
            "private, max-age=60",
        ),
        (
            "GET",
            &[],
            404,
            &[("cache-control", "no-store")],
            "no-store",
        ),
        ("GET", &[], 200, &[("vary", "*")], UNSHARED),
        ("GET", &[], 206, &[], UNSHARED),
        ("GET", &[], 400, &[], UNSHARED),
        ("GET", &[], 401, &[], UNSHARED),
        ("GET", &[], 403, &[], UNSHARED),
        ("GET", &[], 500, &[], UNSHARED),
        ("GET", &[], 503, &[], UNSHARED),
    ];
    for (method, request, status, response, expected) in rows {
        let row = format!("{method} {request:?} → {status} {response:?}");
        let world = World::new().await;
        let server = server(&world, made(*status, response)).await;
        let answer = server.ask(method, "/", request).await;
        assert_eq!(
            (answer.status, answer.field("cache-control")),
            (*status, *expected),
            "{row}"
        );
        assert_eq!(answer.field("cache-tag"), "", "{row}");
        assert!(world.tags_of("/").await.is_empty(), "{row} was bound");
    }
}

#[tokio::test]
async fn what_targets_cdns_is_withdrawn_from_a_private_response_too() {
    let world = World::new().await;
    let response = [
        ("set-cookie", "a=b"),
        ("cache-control", "private"),
        ("cdn-cache-control", "max-age=9"),
    ];
    let answer = server(&world, made(200, &response)).await.get("/").await;
    assert_eq!(answer.field("cache-control"), UNSHARED);
    assert_eq!(answer.field("cdn-cache-control"), "");
}

#[tokio::test]
async fn cookies_that_do_not_matter_are_named_by_the_site() {
    let mut world = World::new().await;
    world.parts.options.ignored_cookies = CookieNames::new(["_ga*", "theme"]).unwrap();
    let server = server(&world, made(200, &[])).await;
    for (cookies, shared) in [("_ga_x=1; theme=dark", true), ("_ga=1; sid=2", false)] {
        let answer = server.ask("GET", "/", &[("cookie", cookies)]).await;
        assert_eq!(
            answer.field("cache-control").starts_with("public"),
            shared,
            "{cookies}"
        );
    }
}
