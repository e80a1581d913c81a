//! What a page says of itself.

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, ETAG, LOCATION, VARY};
use http::{HeaderName, StatusCode};
use isr_core::{Dialect, EntityTag, Front, Fronting, Policy, tag};
use isr_tower::Page;

use crate::world::{Server, World};

const SHARED: &str = "public, s-maxage=300, stale-while-revalidate=60, stale-if-error=3600";
const UNSHARED: &str = "private, no-cache";

async fn post_page(page: Page) -> impl IntoResponse {
    page.tag(tag("author", 7));
    ([(VARY, "Accept")], "a post")
}

fn posts(world: &World) -> Router {
    let policy = Policy::builder().vary([ACCEPT_LANGUAGE]).build().unwrap();
    let layer = world
        .layer()
        .page(policy)
        .tag("posts")
        .tag_param("post", "id");
    Router::new()
        .route("/posts/{id}", get(post_page))
        .route_layer(layer)
}

#[tokio::test]
async fn a_page_says_for_how_long_it_may_be_kept_and_by_what_it_is_found() {
    let world = World::new().await;
    let server = Server::start(posts(&world)).await;
    let answer = server.get("/posts/42").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a post"));
    assert_eq!(answer.field("cache-control"), SHARED);
    assert_eq!(answer.field("cache-tag"), "author:7,build:b1,post:42,posts");
    assert_eq!(answer.field("vary"), "Accept, accept-language");
    assert_eq!(
        answer.field("etag"),
        EntityTag::of_body(b"a post").to_string()
    );
    assert_eq!(
        world.tags_of("/posts/42").await,
        ["author:7", "build:b1", "post:42", "posts"]
    );
    assert_eq!(world.recorded(), ["bound"]);
}

#[tokio::test]
async fn whoever_has_the_page_gets_304_with_the_same_fields() {
    let world = World::new().await;
    let server = Server::start(posts(&world)).await;
    let whole = server.get("/posts/42").await;
    for method in ["GET", "HEAD"] {
        let condition = format!("\"other\", W/{}", whole.field("etag"));
        let answer = server
            .ask(method, "/posts/42", &[("if-none-match", &condition)])
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{method}");
        for field in ["cache-control", "cache-tag", "etag", "vary"] {
            assert_eq!(answer.field(field), whole.field(field), "{field}");
        }
        for field in ["content-length", "transfer-encoding", "content-type"] {
            assert_eq!(
                answer.field(field),
                "",
                "{field} speaks of a body that is not there"
            );
        }
    }
    let answer = server
        .ask("GET", "/posts/42", &[("if-none-match", "\"other\"")])
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_head_says_what_a_get_would() {
    let world = World::new().await;
    let explicit = get(async || "a page").head(async || ());
    let router = posts(&world)
        .route("/explicit", explicit)
        .route_layer(world.layer().page(Policy::default()));
    let server = Server::start(router).await;
    let whole = server.get("/posts/42").await;
    let head = server.ask("HEAD", "/posts/42", &[]).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for field in [
        "cache-control",
        "cache-tag",
        "etag",
        "vary",
        "content-length",
    ] {
        assert_eq!(head.field(field), whole.field(field), "{field}");
    }
    let bodiless = server.ask("HEAD", "/explicit", &[]).await;
    assert_eq!(
        bodiless.field("etag"),
        "",
        "the entity tag of an empty body would be wrong"
    );
}

#[tokio::test]
async fn bodies_that_are_long_or_streamed_pass_through_without_an_entity_tag() {
    let mut world = World::new().await;
    world.parts.options.largest_hashed_body = 10;
    let streamed =
        async || Body::from_stream(stream::iter([Ok::<_, std::io::Error>(Bytes::from("x"))]));
    let router = Router::new()
        .route("/short", get(async || "0123456789"))
        .route("/long", get(async || "0123456789a"))
        .route("/streamed", get(streamed))
        .route_layer(world.layer().page(Policy::default()));
    let server = Server::start(router).await;
    for (path, tagged) in [("/short", true), ("/long", false), ("/streamed", false)] {
        let answer = server.get(path).await;
        assert_eq!(answer.headers.contains_key(ETAG), tagged, "{path}");
        assert_eq!(answer.field("cache-control"), SHARED, "{path}");
        assert!(!world.tags_of(path).await.is_empty(), "{path} is bound");
    }
    assert_eq!(server.get("/long").await.body, "0123456789a");
}

#[tokio::test]
async fn an_entity_tag_of_the_handler_is_kept_and_compared() {
    let world = World::new().await;
    let router = Router::new()
        .route("/", get(async || ([(ETAG, "W/\"v1\"")], "page")))
        .route_layer(world.layer().page(Policy::default()));
    let server = Server::start(router).await;
    assert_eq!(server.get("/").await.field("etag"), "W/\"v1\"");
    assert_eq!(
        server
            .ask("GET", "/", &[("if-none-match", "\"v1\"")])
            .await
            .status,
        304
    );
}

#[tokio::test]
async fn what_is_not_there_and_what_has_moved_is_bound_and_short_lived() {
    let world = World::new().await;
    let router = Router::new()
        .route("/gone", get(async || StatusCode::GONE))
        .route(
            "/missing",
            get(async || (StatusCode::NOT_FOUND, [(ETAG, "\"v1\"")], "no")),
        )
        .route(
            "/moved",
            get(async || (StatusCode::MOVED_PERMANENTLY, [(LOCATION, "/")])),
        )
        .route(
            "/found",
            get(async || (StatusCode::FOUND, [(LOCATION, "/")])),
        )
        .route("/failed", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route_layer(world.layer().page(Policy::default()));
    let server = Server::start(router).await;
    let short = "public, s-maxage=60, stale-while-revalidate=60, stale-if-error=60";
    for path in ["/gone", "/missing", "/moved", "/found"] {
        assert_eq!(
            server.get(path).await.field("cache-control"),
            short,
            "{path}"
        );
        assert_eq!(world.tags_of(path).await, ["build:b1"], "{path}");
    }
    let condition = server
        .ask("GET", "/missing", &[("if-none-match", "*")])
        .await;
    assert_eq!(
        condition.status, 404,
        "conditions count for a success alone"
    );
    assert_eq!(server.get("/failed").await.field("cache-control"), UNSHARED);
    assert!(world.tags_of("/failed").await.is_empty());
}

#[tokio::test]
async fn each_tier_is_told_in_its_own_words() {
    let mut world = World::new().await;
    world.parts.fronting = Fronting::new([Front::speaking(Dialect::Cloudflare)]);
    let server = Server::start(posts(&world)).await;
    let answer = server.get("/posts/1").await;
    assert_eq!(answer.field("cache-control"), "public, max-age=0");
    let targeted = "max-age=300, stale-while-revalidate=60, stale-if-error=3600";
    assert_eq!(answer.field("cloudflare-cdn-cache-control"), targeted);
}

#[tokio::test]
async fn the_service_s_own_word_is_left_and_the_page_is_bound_for_as_long_as_it_says() {
    let world = World::new().await;
    let router = Router::new()
        .route(
            "/",
            get(async || ([(CACHE_CONTROL, "max-age=900")], "page")),
        )
        .route_layer(world.layer().page(Policy::default()));
    let server = Server::start(router).await;
    assert_eq!(server.get("/").await.field("cache-control"), "max-age=900");
    let bound = isr_core::TagGraph::tags_for(&*world.store, &crate::world::url("/"))
        .await
        .unwrap();
    assert_eq!(bound.unwrap().tags[0].expires_in.as_secs(), 900);
}

#[tokio::test]
async fn only_what_is_opted_in_is_touched() {
    let world = World::new().await;
    let opt_in = async |page: Page| page.policy(Policy::default());
    let opt_out = async |page: Page| page.private();
    let router = Router::new()
        .route("/plain", get(async || "plain"))
        .route("/in", get(opt_in).post(opt_in))
        .route("/out", get(opt_out))
        .layer(world.layer());
    let server = Server::start(router).await;
    let plain = server.get("/plain").await;
    for field in ["cache-control", "etag", "cache-tag", "vary"] {
        assert_eq!(plain.field(field), "", "{field}");
    }
    assert_eq!(server.get("/in").await.field("cache-control"), SHARED);
    assert_eq!(
        server.ask("POST", "/in", &[]).await.field("cache-control"),
        ""
    );
    assert_eq!(server.get("/out").await.field("cache-control"), UNSHARED);
    assert_eq!(world.recorded(), ["bound"]);
}

#[tokio::test]
async fn another_spelling_of_the_url_is_kept_only_by_tiers_that_normalise_it() {
    let mut world = World::new().await;
    let server = Server::start(posts(&world)).await;
    let alias = "/posts/42?utm_source=letter";
    assert_eq!(server.get(alias).await.field("cache-control"), UNSHARED);
    assert!(world.tags_of("/posts/42").await.is_empty());
    world.parts.options.tiers_normalise_urls = true;
    let server = Server::start(posts(&world)).await;
    assert_eq!(server.get(alias).await.field("cache-control"), SHARED);
    assert!(!world.tags_of("/posts/42").await.is_empty());
}

#[tokio::test]
async fn within_a_nested_router_the_page_is_the_whole_url() {
    let world = World::new().await;
    let inner = world
        .layer()
        .page(Policy::default())
        .tag_param("post", "id")
        .tag_param("blog", "blog");
    let routes = Router::new()
        .route("/posts/{id}", get(async || "post"))
        .route_layer(inner);
    let server = Server::start(Router::new().nest("/{blog}", routes)).await;
    server.get("/a/posts/1").await;
    assert_eq!(
        world.tags_of("/a/posts/1").await,
        ["blog:a", "build:b1", "post:1"]
    );
    assert!(world.tags_of("/posts/1").await.is_empty());
}

#[tokio::test]
async fn layers_within_one_another_bind_once_and_the_innermost_policy_counts() {
    let world = World::new().await;
    let isr = world.layer();
    let short = Policy::builder()
        .s_maxage(std::time::Duration::from_secs(9))
        .build()
        .unwrap();
    let router = Router::new()
        .route("/{id}", get(post_page))
        .route_layer(isr.page(short).tag_param("post", "id"))
        .layer(isr.page(Policy::default()).tag("site"));
    let server = Server::start(router).await;
    let answer = server.get("/1").await;
    assert!(
        answer.field("cache-control").contains("s-maxage=9,"),
        "{answer:?}"
    );
    assert_eq!(
        world.tags_of("/1").await,
        ["author:7", "build:b1", "post:1", "site"]
    );
    assert_eq!(world.recorded(), ["bound"]);
}

#[tokio::test]
async fn a_handler_without_the_layer_is_told_what_is_missing() {
    let router = Router::new()
        .route("/", get(post_page))
        .route("/edit", post(post_page));
    let server = Server::start(router).await;
    let answer = server.get("/").await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("IsrLayer"), "{answer:?}");
}

#[tokio::test]
async fn a_handler_that_answers_304_itself_renews_a_bound_page() {
    let world = World::new().await;
    let vary: HeaderName = VARY;
    let router = Router::new()
        .route(
            "/",
            get(async || (StatusCode::NOT_MODIFIED, [(vary, "Accept")])),
        )
        .route_layer(world.layer().page(Policy::default()).tag("posts"));
    let server = Server::start(router).await;
    let answer = server.ask("GET", "/", &[("if-none-match", "\"v1\"")]).await;
    assert_eq!(
        (answer.status, answer.field("cache-control")),
        (304, SHARED)
    );
    assert_eq!(world.tags_of("/").await, ["build:b1", "posts"]);
}
