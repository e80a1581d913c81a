//! The cache itself: a tower service that answers from what is stored, or asks the origin.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use isr_core::{
    BoxError, CacheOutcome, Clock, Event, Recorder, Revalidator, Sender, TagGraph, WarmupKey,
};
use tower_service::Service;

use crate::admission::TARGETS;
use crate::body::{EdgeBody, RequestBody};
use crate::cache_status::Forward;
use crate::collapse::{Fetches, Uncacheable};
use crate::collecting::Collecting;
use crate::fields::{HopByHop, believe_only_proxies};
use crate::options::{EdgeOptions, UnknownHost};
use crate::origin::Origin;
use crate::outage::Outage;
use crate::places::Places;
use crate::present::own_response;
use crate::purge;
use crate::rule::Rules;
use crate::storage::{Storage, largest_response};
use crate::visit::{Errand, Visit};

/// What the cache works with. Nothing is global; several caches share a process.
#[derive(Clone, Debug)]
pub struct EdgeParts {
    /// Where pages are bound to their tags.
    pub graph: Arc<dyn TagGraph>,
    /// What this process knows of revalidations, and what it has on its way. Somebody else feeds it.
    pub sender: Arc<Sender>,
    /// Takes note of what happens.
    pub recorder: Arc<dyn Recorder>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Knows our own warm-up requests; without it, there are none.
    pub warmup_key: Option<WarmupKey>,
    /// Takes what `PURGE` requests and successful writes ask for.
    pub revalidator: Arc<dyn Revalidator>,
}

/// The shared HTTP cache. A clone is the same cache.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

/// What all clones share.
pub(crate) struct Inner {
    pub(crate) options: EdgeOptions,
    /// The largest body that is stored: what was asked for, as far as the store takes it.
    pub(crate) largest_body: u64,
    pub(crate) rules: Rules,
    pub(crate) storage: Storage,
    /// Bytes of bodies on their way into the store.
    pub(crate) collecting: Collecting,
    pub(crate) fetches: Fetches,
    pub(crate) places: Places,
    pub(crate) uncacheable: Uncacheable,
    pub(crate) origin: Arc<dyn Origin>,
    pub(crate) graph: Arc<dyn TagGraph>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) warmup_key: Option<WarmupKey>,
    pub(crate) revalidator: Arc<dyn Revalidator>,
    /// Whether pages cannot be bound.
    pub(crate) binding: Outage,
    /// Whether revalidations cannot be accepted.
    pub(crate) accepting: Outage,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("origin", &self.0.origin)
            .field("hosts", &self.0.options.hosts())
            .field("held", &self.0.storage.held())
            .finish_non_exhaustive()
    }
}

impl Edge {
    /// A cache in front of `origin`, with nothing stored.
    #[must_use]
    pub fn new(mut options: EdgeOptions, origin: Arc<dyn Origin>, parts: EdgeParts) -> Self {
        let rules = Rules::new(std::mem::take(&mut options.rules), &TARGETS);
        Self(Arc::new(Inner {
            largest_body: options
                .largest_body
                .min(largest_response(options.memory_bytes)),
            storage: Storage::new(options.memory_bytes, options.variants_per_page),
            rules,
            // Twice the largest body at least, since that is an eighth at most.
            collecting: Collecting::new(options.memory_bytes / 4),
            fetches: Fetches::default(),
            places: Places::new(options.origin_concurrency),
            uncacheable: Uncacheable::new(options.uncacheable_lifetime),
            options,
            origin,
            graph: parts.graph,
            sender: parts.sender,
            recorder: parts.recorder,
            clock: parts.clock,
            warmup_key: parts.warmup_key,
            revalidator: parts.revalidator,
            binding: Outage::of("binding pages to their tags"),
            accepting: Outage::of("accepting revalidations"),
        }))
    }

    fn begin<B>(&self, request: Request<B>) -> EdgeFuture
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let inner = Arc::clone(&self.0);
        let (mut parts, body) = request.into_parts();
        if let Some(refusal) = refusal(&parts) {
            return EdgeFuture::ready(refusal);
        }
        // With all its fields: a purge must not hide what it came through by naming it in `Connection`.
        if purge::is_purge(&parts.method) {
            return EdgeFuture::later(async move { purge::answer(&inner, &parts).await });
        }
        let hop = HopByHop::take(&mut parts.headers);
        let Some(errand) = Errand::of(&inner, &parts, hop) else {
            let status = match inner.options.unknown_host {
                UnknownHost::Misdirected => StatusCode::MISDIRECTED_REQUEST,
                UnknownHost::NotFound => StatusCode::NOT_FOUND,
            };
            return EdgeFuture::ready(own_response(status, Forward::Bypass, "unknown_host"));
        };
        believe_only_proxies(&mut parts.headers, errand.peer, &inner.options);
        let page = errand.page.clone();
        if let (true, Some(page)) = (matches!(parts.method, Method::GET | Method::HEAD), page) {
            let visit = Visit::new(&inner, errand, page, &mut parts);
            return match visit.asked.bypass {
                None => inner.visit(visit),
                Some(_) if visit.asked.only_if_cached => inner.only_if_cached(visit.errand.started),
                Some(why) => {
                    parts.headers = visit.headers;
                    inner.pass(visit.errand, Request::from_parts(parts, boxed(body)), why)
                }
            };
        }
        let why = if matches!(parts.method, Method::GET | Method::HEAD) {
            Forward::Bypass
        } else {
            Forward::Method
        };
        inner.pass(errand, Request::from_parts(parts, boxed(body)), why)
    }
}

impl Inner {
    /// Whether some tier in front keeps what leaves here, and so must be told the right thing.
    pub(crate) fn has_tiers(&self) -> bool {
        !self.options.downstream.fronting.is_empty() || self.sender.options().tracks
    }

    /// Takes note of how a request was answered.
    pub(crate) fn answered(&self, outcome: CacheOutcome, started: std::time::Duration) {
        let took = self.clock.now().saturating_sub(started);
        self.recorder.record(&Event::Answered { outcome, took });
    }
}

/// Refuses what no origin is asked for: a tunnel, and a request that names two hosts, of which others
/// on its way may have read another one (RFC 9112 §3.2).
fn refusal(parts: &Parts) -> Option<Response<EdgeBody>> {
    let (status, why, detail) = if parts.method == Method::CONNECT {
        let status = StatusCode::NOT_IMPLEMENTED;
        (status, Forward::Method, "unsupported_method")
    } else if parts.headers.get_all(HOST).iter().nth(1).is_some() {
        (StatusCode::BAD_REQUEST, Forward::Bypass, "several_hosts")
    } else {
        return None;
    };
    Some(own_response(status, why, detail))
}

fn boxed<B>(body: B) -> RequestBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

impl<B> Service<Request<B>> for Edge
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<EdgeBody>;
    type Error = Infallible;
    type Future = EdgeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Answers a request. Must be called within a tokio runtime: requests to the origin that others
    /// may wait for run in tasks of their own.
    fn call(&mut self, request: Request<B>) -> EdgeFuture {
        self.begin(request)
    }
}

/// A response that is there already, or will be. Dropping it gives the visitor up; a request to the
/// origin that others may wait for goes on.
pub struct EdgeFuture(State);

enum State {
    Ready(Option<Box<Response<EdgeBody>>>),
    Later(Pin<Box<dyn Future<Output = Response<EdgeBody>> + Send>>),
}

impl EdgeFuture {
    pub(crate) fn ready(response: Response<EdgeBody>) -> Self {
        Self(State::Ready(Some(Box::new(response))))
    }

    pub(crate) fn later(
        response: impl Future<Output = Response<EdgeBody>> + Send + 'static,
    ) -> Self {
        Self(State::Later(Box::pin(response)))
    }
}

impl fmt::Debug for EdgeFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = matches!(self.0, State::Ready(_));
        f.debug_struct("EdgeFuture").field("ready", &ready).finish()
    }
}

impl Future for EdgeFuture {
    type Output = Result<Response<EdgeBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(response) => {
                let response = response
                    .take()
                    .expect("a finished future is not polled again");
                Poll::Ready(Ok(*response))
            }
            State::Later(response) => response.as_mut().poll(context).map(Ok),
        }
    }
}
