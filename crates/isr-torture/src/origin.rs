//! The origin: renders pages from the data, at times slowly, and at times with the data read half-way.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::journal::{About, Journal};
use crate::random::{happens, millis, stream as random_stream};
use crate::world::{self, World};

/// How long tiers may keep a page: longer than any run, so that nothing old goes by itself.
const LIFETIME: &str = "public, s-maxage=86400, stale-while-revalidate=60, stale-if-error=600";

/// What a health probe asks for.
pub(crate) const PROBE: &str = "/probe";

type Body = StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>>;

/// Where the pages come from.
#[derive(Debug)]
pub(crate) struct Origin {
    world: Arc<World>,
    journal: Arc<Journal>,
    random: Mutex<StdRng>,
    /// Whether it still takes its time now and then.
    dawdles: AtomicBool,
    rendered: AtomicU64,
}

impl Origin {
    pub(crate) fn new(seed: u64, world: Arc<World>, journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self {
            world,
            journal,
            random: Mutex::new(random_stream(seed, "origin", 0)),
            dawdles: AtomicBool::new(true),
            rendered: AtomicU64::new(0),
        })
    }

    /// Renders everything at once from here on.
    pub(crate) fn hurry(&self) {
        self.dawdles.store(false, Ordering::Relaxed);
    }

    /// How many pages it has rendered.
    pub(crate) fn rendered(&self) -> u64 {
        self.rendered.load(Ordering::Relaxed)
    }

    /// Answers on a port until what it gives back is dropped.
    pub(crate) async fn listen(self: &Arc<Self>, port: u16) -> std::io::Result<JoinSet<()>> {
        let listener = TcpListener::bind(crate::ports::address(port)).await?;
        let origin = Arc::clone(self);
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    // Small pieces of a body leave as they are written.
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(Arc::clone(&origin).serve(TokioIo::new(stream)));
                }
            }
        });
        Ok(listening)
    }

    async fn serve(self: Arc<Self>, stream: TokioIo<tokio::net::TcpStream>) {
        let service = service_fn(move |request| Arc::clone(&self).answer(request));
        // A connection that breaks is the edge's business.
        let _ = http1::Builder::new()
            .serve_connection(stream, service)
            .await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let Some(number) = world::page_of(request.uri().path()) else {
            let known = request.uri().path() == PROBE;
            return Ok(no_page(if known {
                StatusCode::OK
            } else {
                StatusCode::NOT_FOUND
            }));
        };
        self.rendered.fetch_add(1, Ordering::Relaxed);
        let (before, within) = self.delays();
        tokio::time::sleep(before).await;
        let page = &self.world.pages[number];
        let tags: Vec<String> = page.items.iter().filter_map(|&it| world::tag(it)).collect();
        let body = if page.streamed {
            self.streamed(number, within)
        } else {
            self.at_once(number, within)
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        let field = |text: &str| header::HeaderValue::from_str(text);
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("text/plain"),
        );
        headers.insert(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static(LIFETIME),
        );
        headers.insert(
            "cache-tag",
            field(&tags.join(",")).expect("tags are letters"),
        );
        Ok(response)
    }

    /// How long the head takes, and how long the body stands still half-way.
    fn delays(&self) -> (Duration, Duration) {
        if !self.dawdles.load(Ordering::Relaxed) {
            return (Duration::ZERO, Duration::ZERO);
        }
        let mut random = self.random.lock();
        let before = if happens(&mut random, 50) {
            millis(&mut random, 20, 300)
        } else {
            millis(&mut random, 0, 4)
        };
        let within = match () {
            () if happens(&mut random, 10) => millis(&mut random, 500, 2_500),
            () if happens(&mut random, 100) => millis(&mut random, 10, 300),
            () => Duration::ZERO,
        };
        (before, within)
    }

    /// Reads the data first, and sends the body in two halves.
    fn at_once(&self, number: usize, within: Duration) -> Body {
        let page = &self.world.pages[number];
        let versions = page.items.iter().map(|&it| (it, self.world.version(it)));
        let versions: Vec<(usize, u64)> = versions.collect();
        self.note(number, &versions);
        let lines = versions
            .iter()
            .map(|&(it, version)| world::line(it, version));
        let text: String = lines.collect();
        let pieces = [text, filler(page.filler)];
        let pieces = stream::iter(pieces)
            .enumerate()
            .then(move |(index, piece)| async move {
                if index > 0 {
                    tokio::time::sleep(within).await;
                }
                Ok(Frame::data(Bytes::from(piece)))
            });
        StreamBody::new(Box::pin(pieces))
    }

    /// Reads each datum when its line is sent, and stands still before the last.
    fn streamed(self: Arc<Self>, number: usize, within: Duration) -> Body {
        let items = self.world.pages[number].items.clone();
        let last = items.len() - 1;
        let origin = Arc::clone(&self);
        let size = self.world.pages[number].filler;
        let lines = stream::iter(items).enumerate().then(move |(index, item)| {
            let origin = Arc::clone(&origin);
            async move {
                if index == last {
                    tokio::time::sleep(within).await;
                }
                let version = origin.world.version(item);
                origin.note(number, &[(item, version)]);
                Ok(Frame::data(Bytes::from(world::line(item, version))))
            }
        });
        let end = stream::iter([Ok(Frame::data(Bytes::from(filler(size))))]);
        StreamBody::new(Box::pin(lines.chain(end)))
    }

    fn note(&self, page: usize, shown: &[(usize, u64)]) {
        let shown: Vec<String> = shown
            .iter()
            .map(|&(it, version)| format!("{} at {version}", world::name(it)))
            .collect();
        let text = format!(
            "{} is rendered with {}",
            world::path(page),
            shown.join(", ")
        );
        self.journal.note(About::Page(page), text);
    }
}

fn no_page(status: StatusCode) -> Response<Body> {
    let body: Body = StreamBody::new(Box::pin(stream::empty()));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let no_store = header::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

fn filler(size: usize) -> String {
    let mut text = "-".repeat(size);
    text.push('\n');
    text
}
