//! An engine from a few lines of configuration, and origins for it.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use edge_isr::edge::{Edge, EdgeBody, RequestBody, ServiceOrigin};
use edge_isr::{Engine, EngineOptions, config};
use http::request::Builder;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_service::Service;

/// How long anything may take before a test is given up on.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The host of every site here.
pub(crate) const HOST: &str = "a.example";

/// Starts an engine with a store in memory, unless the lines name another.
pub(crate) async fn engine(toml: &str) -> Engine {
    let store = if toml.contains("[store]") {
        ""
    } else {
        "[store]\nkind = \"memory\"\n"
    };
    let site = if toml.contains("[site]") {
        ""
    } else {
        "[site]\nhosts = [\"http://a.example\"]\n"
    };
    let config = config::parse(&format!("{site}{store}{toml}"))
        .unwrap()
        .config;
    let engine = Engine::start(config, EngineOptions::default()).unwrap();
    let heard = engine.up_to_date(PATIENCE).await;
    assert!(heard, "the store was never heard from");
    engine
}

type Answer = fn(&Request<RequestBody>) -> Response<Full<Bytes>>;

/// An origin in this process that keeps the fields of every request it is sent.
#[derive(Clone)]
pub(crate) struct App {
    answer: Answer,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
}

impl App {
    pub(crate) fn new(answer: Answer) -> Self {
        let seen = Arc::default();
        Self { answer, seen }
    }

    /// The cache in front of it.
    pub(crate) fn behind(&self, engine: &Engine) -> Edge {
        let origin = ServiceOrigin::new(self.clone());
        engine.edge_before(Arc::new(origin)).unwrap()
    }

    /// The fields of the requests that came.
    pub(crate) fn seen(&self) -> Vec<HeaderMap> {
        self.seen.lock().clone()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

impl Service<Request<RequestBody>> for App {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        self.seen.lock().push(request.headers().clone());
        ready(Ok((self.answer)(&request)))
    }
}

/// A page that says nothing about caching.
pub(crate) fn page(_: &Request<RequestBody>) -> Response<Full<Bytes>> {
    Response::new(Full::from("a page"))
}

/// Asks the cache, and reads the whole answer.
pub(crate) async fn ask(edge: &Edge, request: Builder) -> Response<()> {
    let response = open(edge, request).await;
    let (head, body) = response.into_parts();
    body.collect().await.unwrap();
    Response::from_parts(head, ())
}

/// Asks the cache.
pub(crate) async fn open(edge: &Edge, request: Builder) -> Response<EdgeBody> {
    let hosted = request
        .headers_ref()
        .is_some_and(|f| f.contains_key("host"));
    let request = if hosted {
        request
    } else {
        request.header("host", HOST)
    };
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    edge.clone().call(request).await.unwrap()
}

/// A field of a response, empty when it has none.
pub(crate) fn field<'r, B>(response: &'r Response<B>, name: &str) -> &'r str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// An origin that sends the same bytes to everybody and then falls silent.
pub(crate) async fn raw_origin(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}
