//! The whole loop through the facade: tag, serve, revalidate, warm, on every store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use edge_isr::core::{Phase, Receipt, Target, Targets, TierState, tag};
use edge_isr::edge::{Edge, RequestBody, ServeOptions, ServiceOrigin};
use edge_isr::pipeline::Awaited;
use edge_isr::{Engine, EngineOptions, config};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use isr_testkit::RedisServer;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_service::Service;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Pages {
    /// What each post says.
    posts: BTreeMap<u32, String>,
    /// How often each page was rendered, by its path.
    renders: BTreeMap<String, u32>,
}

/// A blog of posts and an index.
#[derive(Clone, Default)]
struct Blog(Arc<Mutex<Pages>>);

impl Blog {
    fn with_posts(count: u32) -> Self {
        let blog = Self::default();
        (1..=count).for_each(|post| blog.write(post, "first"));
        blog
    }

    fn write(&self, post: u32, text: &str) {
        self.0.lock().posts.insert(post, text.to_owned());
    }

    fn renders(&self, path: &str) -> u32 {
        self.0.lock().renders.get(path).copied().unwrap_or_default()
    }

    fn render(&self, path: &str) -> Response<Full<Bytes>> {
        let mut pages = self.0.lock();
        *pages.renders.entry(path.to_owned()).or_default() += 1;
        let (text, tags) = match path
            .strip_prefix("/posts/")
            .and_then(|post| post.parse().ok())
        {
            Some(post) => (pages.posts[&post].clone(), format!("post:{post}, posts")),
            None => (
                pages.posts.values().cloned().collect::<Vec<_>>().join(" "),
                "posts".to_owned(),
            ),
        };
        Response::builder()
            .header("cache-control", "s-maxage=600, stale-while-revalidate=600")
            .header("cache-tag", tags)
            .body(Full::from(text))
            .unwrap()
    }
}

impl fmt::Debug for Blog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blog")
    }
}

impl Service<Request<RequestBody>> for Blog {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let response = self.render(request.uri().path());
        Box::pin(async move { Ok(response) })
    }
}

/// An engine, its edge, and the socket at which the crawler reaches it.
struct Machine {
    engine: Engine,
    edge: Edge,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<bool>,
}

impl Machine {
    async fn start(blog: &Blog, store: &str) -> Self {
        // A busy machine may keep a test from asking the store for a while; that is not what is tested.
        let toml = format!(
            "[site]\nhosts = [\"http://blog.example\"]\n[edge]\nmax_lag = \"10s\"\n[warm]\nkey = \"0123456789abcdef0123456789abcdef\"\n{store}"
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let options = EngineOptions {
            edge_address: Some(address),
            ..EngineOptions::default()
        };
        let engine = Engine::start(config::parse(&toml).unwrap().config, options).unwrap();
        let edge = engine
            .edge_before(Arc::new(ServiceOrigin::new(blog.clone())))
            .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let served =
            edge_isr::edge::serve(listener, edge.clone(), ServeOptions::default(), shutdown);
        let machine = Self {
            engine,
            edge,
            stop,
            serving: tokio::spawn(served),
        };
        assert!(
            machine.engine.up_to_date(PATIENCE).await,
            "the store was never heard from"
        );
        machine
    }

    /// A page's body, and how the cache says it was answered.
    async fn get(&self, path: &str) -> (String, String) {
        let request = Request::get(path)
            .header("host", "blog.example")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = self.edge.clone().call(request).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let status = response.headers()["cache-status"]
            .to_str()
            .unwrap()
            .to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), status)
    }

    /// Visits a page that must be answered from the cache, fresh.
    async fn hit(&self, path: &str) -> String {
        let (body, status) = self.get(path).await;
        assert!(
            status.contains("hit") && !status.contains("ttl=-"),
            "{path}: {status}"
        );
        body
    }

    async fn done(&self, receipt: &Receipt) -> Receipt {
        let done = self
            .engine
            .wait(&receipt.id, Awaited::Done, PATIENCE)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(done.phase, Phase::Done, "{done:#?}");
        done
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        assert!(self.serving.await.unwrap(), "every request has ended");
        self.engine.stop().await;
    }
}

async fn exactly_the_pages_that_changed_become_fresh(store: &str) {
    let blog = Blog::with_posts(3);
    let machine = Machine::start(&blog, store).await;
    let pages = ["/", "/posts/1", "/posts/2", "/posts/3"];
    for page in pages {
        let (_, status) = machine.get(page).await;
        assert!(
            status.contains("fwd=uri-miss") && status.contains("stored"),
            "{page}: {status}"
        );
        machine.hit(page).await;
        assert_eq!(blog.renders(page), 1, "{page}");
    }
    blog.write(1, "second");
    let receipt = machine.engine.revalidate([tag("post", 1)]).await.unwrap();
    let (_, status) = machine.get("/posts/1").await;
    assert!(
        !status.contains("hit") || status.contains("ttl=-"),
        "not fresh any more: {status}"
    );
    let done = machine.done(&receipt).await;
    assert!(done.settled);
    assert!(
        done.tiers
            .iter()
            .all(|tier| tier.state == TierState::Settled),
        "{done:#?}"
    );
    assert_eq!(
        (done.warm.warmed, done.warm.verified, done.warm.failed),
        (1, 1, 0)
    );
    assert_eq!(machine.hit("/posts/1").await, "second");
    for page in ["/", "/posts/2", "/posts/3"] {
        machine.hit(page).await;
        assert_eq!(blog.renders(page), 1, "{page} does not show post 1's tag");
    }
    machine.stop().await;
}

async fn a_hard_revalidation_is_seen_by_the_next_visitor(store: &str) {
    let blog = Blog::with_posts(2);
    let machine = Machine::start(&blog, store).await;
    machine.get("/posts/1").await;
    machine.hit("/posts/1").await;
    blog.write(1, "second");
    let receipt = Receipt::new(
        Targets::new([Target::Tag(tag("post", 1))]).unwrap(),
        edge_isr::core::RevalidateOptions {
            mode: edge_isr::core::Mode::Hard.into(),
            ..machine.engine.revalidate_options()
        },
        edge_isr::core::Source::Library,
    );
    machine
        .engine
        .revalidator()
        .revalidate(receipt)
        .await
        .unwrap();
    assert_eq!(machine.get("/posts/1").await.0, "second");
    machine.stop().await;
}

async fn every_machine_that_shares_a_store_becomes_fresh(store: &str) {
    let blog = Blog::with_posts(2);
    let (one, two) = (
        Machine::start(&blog, store).await,
        Machine::start(&blog, store).await,
    );
    for machine in [&one, &two] {
        for page in ["/", "/posts/1", "/posts/2"] {
            machine.get(page).await;
            machine.hit(page).await;
        }
    }
    blog.write(2, "second");
    let receipt = one.engine.revalidate([tag("post", 2)]).await.unwrap();
    let heard = one
        .engine
        .wait(&receipt.id, Awaited::Edges, PATIENCE)
        .await
        .unwrap()
        .unwrap();
    assert!(heard.tiers[0].state >= TierState::Confirmed, "{heard:#?}");
    let (_, status) = two.get("/posts/2").await;
    assert!(
        !status.contains("hit") || status.contains("ttl=-") || blog.renders("/posts/2") > 2,
        "{status}"
    );
    let done = one.done(&receipt).await;
    assert_eq!(
        (done.warm.warmed, done.warm.verified),
        (2, 2),
        "once at each"
    );
    for machine in [&one, &two] {
        assert_eq!(machine.hit("/posts/2").await, "second");
        machine.hit("/posts/1").await;
    }
    assert_eq!(
        (blog.renders("/posts/1"), blog.renders("/")),
        (2, 2),
        "once at each, and untouched"
    );
    assert_eq!(blog.renders("/posts/2"), 4, "twice at each");
    one.stop().await;
    let senders: BTreeSet<_> = two
        .engine
        .store()
        .senders()
        .await
        .unwrap()
        .into_iter()
        .map(|sender| sender.alive)
        .collect();
    assert_eq!(
        senders,
        BTreeSet::from([true]),
        "who stopped in good order is not mourned"
    );
    two.stop().await;
}

/// The configuration of a new store of each kind, with what keeps it alive.
macro_rules! on_every_store {
    ($($case:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case("[store]\nkind = \"memory\"\n").await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("edge-isr.sqlite3");
                super::$case(&format!("[store]\nkind = \"sqlite\"\npath = {path:?}\n")).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $case() {
                let server = super::RedisServer::start().await;
                super::$case(&format!("[store]\nkind = \"redis\"\nurl = \"{}\"\n", server.url())).await;
            })*
        }
    };
}

on_every_store! {
    exactly_the_pages_that_changed_become_fresh
    a_hard_revalidation_is_seen_by_the_next_visitor
}

#[tokio::test]
async fn machines_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge-isr.sqlite3");
    let store = format!("[store]\nkind = \"sqlite\"\npath = {path:?}\n");
    every_machine_that_shares_a_store_becomes_fresh(&store).await;
}

#[tokio::test]
async fn machines_share_a_redis() {
    let server = RedisServer::start().await;
    let store = format!("[store]\nkind = \"redis\"\nurl = \"{}\"\n", server.url());
    every_machine_that_shares_a_store_becomes_fresh(&store).await;
}

#[tokio::test]
async fn machines_share_a_partitioned_redis() {
    let server = RedisServer::start().await;
    let store = format!(
        "[store]\nkind = \"redis\"\npartitions = 4\nurl = \"{}\"\n",
        server.url()
    );
    every_machine_that_shares_a_store_becomes_fresh(&store).await;
}
