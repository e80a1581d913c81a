//! Tags from paths, from handlers, and more of them than fit.

use axum::Router;
use axum::routing::get;
use isr_core::{Front, Fronting, Policy, TagHeader, TagHeaderLimits, TagSet, tag};
use isr_tower::Page;

use crate::world::{Server, World};

const UNSHARED: &str = "private, no-cache";

#[tokio::test]
async fn a_parameter_makes_the_tag_that_the_code_makes_of_the_same_value() {
    let world = World::new().await;
    let layer = world
        .layer()
        .page(Policy::default())
        .tag_param("a", "author");
    let router = Router::new()
        .route("/by/{author}", get(async || "page"))
        .route_layer(layer);
    let server = Server::start(router).await;
    let long = "x".repeat(300);
    let rows = [
        ("42", "42"),
        ("Ann%20Lee", "Ann Lee"),
        ("a%2Cb%22c%23", "a,b\"c#"),
        ("%C3%A9t%C3%A9", "été"),
        ("a%2Fb:c", "a/b:c"),
        ("100%25", "100%"),
        (&long, &long),
    ];
    for (spelled, value) in rows {
        let path = format!("/by/{spelled}");
        let expected = tag("a", value);
        let tags = server.get(&path).await.field("cache-tag").to_owned();
        assert_eq!(tags, format!("{expected},build:b1"), "{path}");
        assert!(
            world.tags_of(&path).await.contains(&expected.to_string()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_page_whose_path_gives_no_tag_is_kept_by_nobody() {
    let world = World::new().await;
    let layer = world
        .layer()
        .page(Policy::default())
        .tag_param("a", "author");
    let router = Router::new()
        .route("/by/{author}", get(async || "page"))
        .route("/misnamed/{name}", get(async || "page"))
        .route("/none", get(async || "page"))
        .route_layer(layer);
    let server = Server::start(router).await;
    for path in ["/by/%FF", "/misnamed/ann", "/none"] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.field("cache-control")),
            (200, UNSHARED),
            "{path}"
        );
        assert_eq!(world.recorded(), ["bind failed"], "{path}");
    }
}

#[tokio::test]
async fn a_page_with_more_tags_than_it_can_have_is_kept_by_nobody() {
    let mut world = World::new().await;
    world.parts.fronting = Fronting::default();
    world.parts.build_tag = None;
    let tagged =
        |count: usize| get(async move |page: Page| page.tags((0..count).map(|n| tag("n", n))));
    let router = Router::new()
        .route("/most", tagged(TagSet::DEFAULT_LIMIT))
        .route("/more", tagged(TagSet::DEFAULT_LIMIT + 1))
        .route_layer(world.layer().page(Policy::default()));
    let server = Server::start(router).await;
    assert!(
        server
            .get("/most")
            .await
            .field("cache-control")
            .starts_with("public")
    );
    assert_eq!(world.tags_of("/most").await.len(), TagSet::DEFAULT_LIMIT);
    assert_eq!(server.get("/more").await.field("cache-control"), UNSHARED);
    assert_eq!(world.recorded(), ["bound", "bind failed"]);
}

#[tokio::test]
async fn tags_that_do_not_all_fit_into_a_field_keep_the_page_from_its_tier() {
    let mut world = World::new().await;
    let limits = TagHeaderLimits {
        tags: 3,
        ..TagHeader::CacheGroups.limits()
    };
    let fronting = std::mem::take(&mut world.parts.fronting);
    world.parts.fronting = fronting.and([Front::reading(TagHeader::CacheGroups, limits)]);
    let tagged =
        |count: usize| get(async move |page: Page| page.tags((0..count).map(|n| tag("n", n))));
    let router = Router::new()
        .route("/fits", tagged(2))
        .route("/overflows", tagged(3))
        .route_layer(world.layer().page(Policy::default()));
    let server = Server::start(router).await;
    let fits = server.get("/fits").await;
    assert_eq!(fits.field("cache-groups"), "\"build:b1\", \"n:0\", \"n:1\"");
    let overflows = server.get("/overflows").await;
    assert_eq!(overflows.field("cache-control"), UNSHARED);
    assert_eq!(
        (
            overflows.field("cache-groups"),
            overflows.field("cache-tag")
        ),
        ("", "")
    );
}

#[tokio::test]
async fn tags_that_the_response_names_itself_are_bound_with_the_others() {
    let world = World::new().await;
    let router = Router::new()
        .route(
            "/good",
            get(async || ([("cache-tag", "Own, other")], "page")),
        )
        .route(
            "/bad",
            get(async || ([("cache-tag", "own, two words")], "page")),
        )
        .route_layer(world.layer().page(Policy::default()).tag("posts"));
    let server = Server::start(router).await;
    assert_eq!(
        server.get("/good").await.field("cache-tag"),
        "build:b1,other,own,posts"
    );
    assert_eq!(
        world.tags_of("/good").await,
        ["build:b1", "other", "own", "posts"]
    );
    assert_eq!(server.get("/bad").await.field("cache-control"), UNSHARED);
}

#[test]
fn a_constant_that_is_no_tag_stops_the_service_from_starting() {
    let layer = World::unheard().layer();
    let tagging = std::panic::AssertUnwindSafe(|| drop(layer.tag("two words")));
    let panic = std::panic::catch_unwind(tagging).unwrap_err();
    let message = panic.downcast_ref::<String>().map(String::as_str);
    assert!(
        message.is_some_and(|text| text.contains("tag `two words` has the byte 0x20")),
        "{message:?}"
    );
}
