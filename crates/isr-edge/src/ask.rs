//! Requests to the origin: timeouts, metrics, and bodies that are watched.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
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

impl Inner {
    /// Asks the origin, and gives up on it when it is silent for too long. The body that comes back
    /// fails when the origin falls silent in its midst, or ends before its announced length.
    pub(crate) async fn ask(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<OriginBody>, OriginError> {
        let asked = self.clock.now();
        let head_only = request.method() == Method::HEAD;
        let activity = Activity::new();
        let request = request.map(|body| {
            Moving {
                body,
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
        Ok(self.watch(response, head_only))
    }

    fn watch(&self, response: Response<OriginBody>, head_only: bool) -> Response<OriginBody> {
        let bodiless = head_only
            || response.status().is_informational()
            || matches!(
                response.status(),
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        let announced = response.headers().get(CONTENT_LENGTH).filter(|_| !bodiless);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let idle = self.options.idle_timeout;
        response.map(|body| Watched::new(body, idle, announced).boxed_unsync())
    }
}

/// When the body of a request last moved.
#[derive(Clone, Debug)]
struct Activity {
    began: Instant,
    /// Microseconds since then.
    last: Arc<AtomicU64>,
}

impl Activity {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            last: Arc::default(),
        }
    }

    fn note(&self) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(micros, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        let last = Duration::from_micros(self.last.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }
}

pin_project! {
    /// The body of a request, whose every movement is noted.
    struct Moving {
        #[pin]
        body: RequestBody,
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
        let frame = ready!(this.body.poll_frame(context));
        this.activity.note();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
