//! Requests to the origin: timeouts, metrics, and bodies that are watched.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use isr_core::{BoxError, Event};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::body::{OriginBody, RequestBody, Watched};
use crate::edge::Inner;
use crate::origin::{OriginError, with_patience};
use crate::places::Place;

impl Inner {
    /// Asks the origin, and gives up on it when it is silent for too long. The body that comes back
    /// fails when the origin falls silent in its midst, or ends before its announced length; the one
    /// that is sent, when the visitor falls silent. The place at the origin is taken until the body that
    /// comes back has ended.
    pub(crate) async fn ask(
        &self,
        request: Request<RequestBody>,
        place: Place,
    ) -> Result<Response<OriginBody>, OriginError> {
        let asked = self.clock.now();
        let head_only = request.method() == Method::HEAD;
        let activity = Activity::new();
        let request = request.map(|body| {
            Moving {
                body: Watched::request(body, self.options.upload_timeout),
                activity: activity.clone(),
            }
            .boxed_unsync()
        });
        let moved = || activity.silence();
        let answer = with_patience(self.origin.send(request), self.options.head_timeout, moved);
        let answer = answer.await.unwrap_or(Err(OriginError::TimedOut));
        let status = answer
            .as_ref()
            .ok()
            .map(|response| response.status().as_u16());
        let took = self.clock.now().saturating_sub(asked);
        self.recorder.record(&Event::OriginAsked { status, took });
        let response = answer.inspect_err(|error| {
            let error: &(dyn std::error::Error + 'static) = error;
            tracing::warn!(origin = ?self.origin, error, "the origin gave no response");
        })?;
        let response = self.watch(response, head_only);
        Ok(response.map(|body| {
            let place = Some(place);
            Placed { body, place }.boxed_unsync()
        }))
    }

    fn watch(
        &self,
        response: Response<OriginBody>,
        head_only: bool,
    ) -> Response<Watched<OriginBody>> {
        let bodiless = head_only
            || response.status().is_informational()
            || matches!(
                response.status(),
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        let announced = response.headers().get(CONTENT_LENGTH).filter(|_| !bodiless);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let idle = self.options.idle_timeout;
        response.map(|body| Watched::response(body, idle, announced))
    }
}

/// What the body of a request does: while the visitor owes more of it, the origin owes nothing.
#[derive(Clone, Debug)]
struct Activity(Arc<Movements>);

#[derive(Debug)]
struct Movements {
    began: Instant,
    /// When the body last moved, in microseconds since then.
    last: AtomicU64,
    /// Whether the visitor is waited for.
    awaits_visitor: AtomicBool,
}

impl Activity {
    fn new() -> Self {
        Self(Arc::new(Movements {
            began: Instant::now(),
            last: AtomicU64::new(0),
            awaits_visitor: AtomicBool::new(false),
        }))
    }

    fn note(&self, moved: bool) {
        if moved {
            let elapsed = self.0.began.elapsed().as_micros();
            let micros = u64::try_from(elapsed).unwrap_or(u64::MAX);
            self.0.last.store(micros, Ordering::Relaxed);
        }
        self.0.awaits_visitor.store(!moved, Ordering::Relaxed);
    }

    /// How long the origin has been silent.
    fn silence(&self) -> Duration {
        if self.0.awaits_visitor.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let last = Duration::from_micros(self.0.last.load(Ordering::Relaxed));
        self.0.began.elapsed().saturating_sub(last)
    }
}

pin_project! {
    /// The body of a request, whose every movement is noted.
    struct Moving {
        #[pin]
        body: Watched<RequestBody>,
        activity: Activity,
    }
}

impl Body for Moving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let frame = this.body.poll_frame(context);
        this.activity.note(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// The body of a response, which keeps its place at the origin until it has ended: whoever reads
    /// it may still hold it then.
    struct Placed {
        #[pin]
        body: Watched<OriginBody>,
        place: Option<Place>,
    }
}

impl Body for Placed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let frame = this.body.poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            *this.place = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
