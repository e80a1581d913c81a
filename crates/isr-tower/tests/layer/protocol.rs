//! No invalidation is lost between a render, its bind, and the last byte.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use isr_core::{Dialect, Front, Fronting, PageReason, Policy, tag};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::world::{Graph, LEASE, Server, World, hear, revalidate, url};

const SHORT: &str = "public, s-maxage=10, stale-while-revalidate=10, stale-if-error=10";

/// A page during whose render its tag is revalidated, and this process hears of it.
async fn overtaken(world: &World) -> Server {
    let (store, sender) = (Arc::clone(&world.store), Arc::clone(&world.sender));
    let handler = async move || {
        revalidate(&store, tag("post", 1)).await;
        hear(&store, &sender).await;
        "old"
    };
    let layer = world
        .layer()
        .page(Policy::default())
        .tag_param("post", "id");
    Server::start(
        Router::new()
            .route("/posts/{id}", get(handler))
            .route_layer(layer),
    )
    .await
}

#[tokio::test]
async fn a_superseded_render_leaves_as_no_store_and_its_page_is_queued_again() {
    let mut world = World::new().await;
    world.parts.fronting =
        Fronting::new([Dialect::Cloudflare, Dialect::Standard].map(Front::speaking));
    let server = overtaken(&world).await;
    let answer = server.get("/posts/1").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "old"));
    assert_eq!(answer.field("cache-control"), "private, no-store");
    assert_eq!(answer.field("cloudflare-cdn-cache-control"), "no-store");
    assert_eq!(answer.field("cache-tag"), "");
    let queued = world.queued().await;
    assert_eq!((queued.len(), &queued[0].url), (1, &url("/posts/1")));
    assert_eq!(
        (queued[0].reason, queued[0].generation.number),
        (PageReason::Superseded, 1)
    );
    assert_eq!(world.recorded(), ["superseded"]);
    world.revalidate(tag("post", 1)).await;
    world.hear().await;
    assert!(
        world.sender.owed().is_empty(),
        "nothing that caches keep has left"
    );
    assert_eq!(world.clean(), 2);
}

#[tokio::test]
async fn a_superseded_render_is_sent_whole_to_whoever_has_it_already() {
    let world = World::new().await;
    let server = overtaken(&world).await;
    let answer = server
        .ask("GET", "/posts/1", &[("if-none-match", "*")])
        .await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "old"));
}

#[tokio::test]
async fn a_render_of_other_data_is_not_superseded() {
    let world = World::new().await;
    let server = overtaken(&world).await;
    assert!(
        server
            .get("/posts/2")
            .await
            .field("cache-control")
            .starts_with("public")
    );
    assert!(world.queued().await.is_empty());
}

async fn plain(world: &World) -> Server {
    let layer = world.layer().page(Policy::default()).tag("posts");
    Server::start(
        Router::new()
            .route("/", get(async || "page"))
            .route_layer(layer),
    )
    .await
}

#[tokio::test]
async fn while_the_store_is_away_pages_are_served_and_kept_only_shortly() {
    let mut world = World::new().await;
    world.parts.graph = Arc::new(Graph::Failing);
    let answer = plain(&world).await.get("/").await;
    assert_eq!(
        (
            answer.status,
            answer.body.as_str(),
            answer.field("cache-control")
        ),
        (200, "page", SHORT)
    );
    assert_eq!(world.recorded(), ["store failed", "bind failed"]);
}

#[tokio::test]
async fn a_store_that_never_answers_holds_no_page_up_for_long() {
    let mut world = World::new().await;
    world.parts.graph = Arc::new(Graph::Hanging);
    let server = plain(&world).await;
    let timeout = world.parts.options.bind_timeout;
    let (answer, ()) = tokio::join!(server.get("/"), async {
        world.clock.sleeper(timeout).await;
        world.clock.advance(timeout);
    });
    assert_eq!(answer.field("cache-control"), SHORT);
    assert_eq!(world.recorded(), ["store failed", "bind failed"]);
}

#[tokio::test]
async fn before_the_store_was_heard_from_pages_are_kept_only_shortly() {
    let world = World::unheard();
    let answer = plain(&world).await.get("/").await;
    assert_eq!(
        (answer.body.as_str(), answer.field("cache-control")),
        ("page", SHORT)
    );
    assert_eq!(world.recorded(), ["bind failed"]);
}

#[tokio::test]
async fn a_process_that_cannot_report_sends_whole_pages_that_are_kept_only_shortly() {
    let world = World::new().await;
    let server = plain(&world).await;
    world.clock.advance(LEASE);
    let answer = server.get("/").await;
    assert_eq!(
        (answer.body.as_str(), answer.field("cache-control")),
        ("page", SHORT)
    );
    assert_eq!(world.recorded(), ["bind failed"]);
}

#[tokio::test]
async fn the_short_lifetime_may_be_none_and_never_exceeds_the_response_s_own() {
    let mut world = World::unheard();
    world.parts.options.degraded_lifetime = Duration::ZERO;
    assert_eq!(
        plain(&world).await.get("/").await.field("cache-control"),
        "private, no-cache"
    );
    world.parts.options.degraded_lifetime = Duration::from_secs(5);
    let own = get(async || ([("cache-control", "max-age=2")], "page"));
    let layer = world.layer().page(Policy::default());
    let server = Server::start(Router::new().route("/", own).route_layer(layer)).await;
    let expected = "public, s-maxage=2, stale-while-revalidate=2, stale-if-error=2";
    assert_eq!(server.get("/").await.field("cache-control"), expected);
}

/// A page sent piece by piece, at the hand of the test.
struct Slow {
    server: Server,
    pieces: Option<mpsc::Sender<Bytes>>,
}

impl Slow {
    async fn new(world: &World) -> Self {
        let (pieces, sent) = mpsc::channel::<Bytes>(1);
        let sent = Mutex::new(Some(sent));
        let body = Arc::new(move || {
            let sent = sent.lock().take().expect("it is asked for once");
            Body::from_stream(stream::unfold(sent, async |mut sent| {
                let piece = sent.recv().await?;
                Some((Ok::<Bytes, std::io::Error>(piece), sent))
            }))
        });
        let layer = world.layer().page(Policy::default()).tag("posts");
        let router = Router::new()
            .route("/", get(async move || body()))
            .route_layer(layer);
        Self {
            server: Server::start(router).await,
            pieces: Some(pieces),
        }
    }

    async fn send(&self, piece: &'static str) {
        let pieces = self.pieces.as_ref().expect("it is not finished");
        pieces.send(Bytes::from(piece)).await.unwrap();
    }

    fn finish(&mut self) {
        self.pieces = None;
    }

    /// Asks for it and reads until the first piece has come.
    async fn begun(&self) -> (TcpStream, String) {
        let mut stream = self.server.open("GET", "/", &[]).await;
        let mut read = String::new();
        let ((), ()) = tokio::join!(self.send("first"), async {
            let mut buffer = [0; 1024];
            while !read.contains("first") {
                let count = stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "the answer ended: {read}");
                read.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        (stream, read)
    }
}

#[tokio::test]
async fn a_response_still_being_sent_when_its_data_changes_keeps_the_sender_unclean() {
    let world = World::new().await;
    let mut slow = Slow::new(&world).await;
    let (mut stream, read) = slow.begun().await;
    assert!(read.contains("public, s-maxage=300"), "{read}");
    world.revalidate(tag("other", 1)).await;
    world.hear().await;
    assert_eq!(world.clean(), 1, "that concerned something else");
    world.revalidate("posts".try_into().unwrap()).await;
    world.hear().await;
    assert_eq!(world.clean(), 1);
    assert!(world.sender.owed().is_empty(), "it has not ended yet");
    slow.finish();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the body is whole: {rest:?}");
    crate::world::until(|| !world.sender.owed().is_empty()).await;
    assert_eq!(world.sender.owed()[0].url, url("/"));
    assert_eq!(world.clean(), 1, "its page is not queued yet");
    world.sender.queued(1);
    assert_eq!(world.clean(), 2);
}

#[tokio::test]
async fn a_revalidation_between_the_bind_and_its_answer_finds_the_response_on_its_way() {
    let mut world = World::new().await;
    let (store, sender) = (Arc::clone(&world.store), Arc::clone(&world.sender));
    world.parts.graph = Arc::new(Graph::Overtaken("posts".try_into().unwrap(), store, sender));
    let answer = plain(&world).await.get("/").await;
    assert!(
        answer.field("cache-control").starts_with("public"),
        "{answer:?}"
    );
    crate::world::until(|| !world.sender.owed().is_empty()).await;
}

#[tokio::test]
async fn a_visitor_who_goes_away_ends_the_flight() {
    let world = World::new().await;
    let slow = Slow::new(&world).await;
    let (stream, _) = slow.begun().await;
    world.revalidate("posts".try_into().unwrap()).await;
    world.hear().await;
    drop(stream);
    crate::world::until(|| !world.sender.owed().is_empty()).await;
}

#[tokio::test]
async fn a_body_is_broken_off_once_the_process_can_no_longer_answer_for_it() {
    let world = World::new().await;
    let mut slow = Slow::new(&world).await;
    let (mut stream, _) = slow.begun().await;
    world.clock.advance(LEASE);
    slow.send("second").await;
    slow.finish();
    let mut rest = Vec::new();
    let _ended_somehow = stream.read_to_end(&mut rest).await;
    let rest = String::from_utf8_lossy(&rest);
    assert!(
        !rest.contains("second") && !rest.contains("0\r\n\r\n"),
        "{rest:?}"
    );
}
