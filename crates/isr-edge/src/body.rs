//! Bodies: what leaves towards the visitor, and what comes from the origin.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use isr_core::{BoxError, Flight};
use pin_project_lite::pin_project;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

/// A body on its way to the origin.
pub type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// A body on its way from the origin.
pub type OriginBody = UnsyncBoxBody<Bytes, BoxError>;

/// An empty body for the origin.
pub(crate) fn no_request_body() -> RequestBody {
    http_body_util::Empty::new()
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Why a response, or a request, was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The store has not heard of this process for too long, so a tier in front must not keep the
    /// rest of the response.
    #[error("the response was broken off: the store no longer knows of this sender")]
    Lapsed,
    /// The origin sent nothing for too long.
    #[error("the response was broken off: the origin fell silent")]
    OriginSilent,
    /// The visitor sent nothing for too long.
    #[error("the request was broken off: the visitor fell silent")]
    VisitorSilent,
    /// Fewer bytes came than the origin had announced.
    #[error("the response was broken off: the origin sent less than it announced")]
    Short,
}

/// The body of a response. While it exists, the response counts as being on its way.
pub struct EdgeBody {
    source: Source,
    flight: Option<Flight>,
}

enum Source {
    /// Bytes in hand, sent piece by piece.
    Whole(Bytes),
    /// Frames from a task that stores them too.
    Tee(mpsc::Receiver<Result<Frame<Bytes>, BoxError>>),
    /// Straight from the origin.
    Origin(OriginBody),
}

/// The largest piece of a stored body that is handed out at once, so that a response can be broken
/// off in its midst.
const PIECE: usize = 256 * 1024;

impl EdgeBody {
    /// A body of bytes in hand.
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self {
            source: Source::Whole(bytes),
            flight: None,
        }
    }

    pub(crate) const fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    pub(crate) const fn tee(frames: mpsc::Receiver<Result<Frame<Bytes>, BoxError>>) -> Self {
        Self {
            source: Source::Tee(frames),
            flight: None,
        }
    }

    pub(crate) const fn origin(body: OriginBody) -> Self {
        Self {
            source: Source::Origin(body),
            flight: None,
        }
    }

    /// The same body, keeping a response on its way until the last byte has left.
    pub(crate) fn in_flight(mut self, flight: Flight) -> Self {
        self.flight = Some(flight);
        self
    }
}

impl fmt::Debug for EdgeBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Whole(bytes) => return write!(f, "EdgeBody({} bytes)", bytes.len()),
            Source::Tee(_) => "stored on the way",
            Source::Origin(_) => "from the origin",
        };
        write!(f, "EdgeBody({source})")
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self
            .flight
            .as_ref()
            .is_some_and(|flight| !flight.may_go_on())
        {
            return Poll::Ready(Some(Err(BodyError::Lapsed.into())));
        }
        match &mut self.source {
            Source::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Whole(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Source::Tee(frames) => frames.poll_recv(context),
            Source::Origin(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Tee(_) => false,
            Source::Origin(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Tee(_) => SizeHint::default(),
            Source::Origin(body) => body.size_hint(),
        }
    }
}

pin_project! {
    /// A body that fails when its source is silent for too long, or ends too early.
    pub(crate) struct Watched<B> {
        #[pin]
        body: B,
        // How long nothing has come although it was waited for: whoever reads may take his time.
        #[pin]
        silence: Sleep,
        waits: bool,
        patience: Duration,
        silent: BodyError,
        // Bytes that are still to come, when it was announced how many.
        announced: Option<u64>,
    }
}

impl<B> Watched<B> {
    /// A body on its way from the origin, of so many bytes if it has announced how many.
    pub(crate) fn response(body: B, patience: Duration, announced: Option<u64>) -> Self {
        Self::new(body, patience, BodyError::OriginSilent, announced)
    }

    /// A body on its way from a visitor, whose length the server watches over.
    pub(crate) fn request(body: B, patience: Duration) -> Self {
        Self::new(body, patience, BodyError::VisitorSilent, None)
    }

    fn new(body: B, patience: Duration, silent: BodyError, announced: Option<u64>) -> Self {
        Self {
            body,
            silence: tokio::time::sleep(patience),
            waits: false,
            patience,
            silent,
            announced,
        }
    }
}

impl<B: Body<Data = Bytes, Error = BoxError>> Body for Watched<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let Poll::Ready(frame) = this.body.poll_frame(context) else {
            if !std::mem::replace(this.waits, true) {
                this.silence.as_mut().reset(Instant::now() + *this.patience);
            }
            ready!(this.silence.poll(context));
            return Poll::Ready(Some(Err((*this.silent).into())));
        };
        *this.waits = false;
        let Some(frame) = frame.transpose()? else {
            let whole = this.announced.is_none_or(|left| left == 0);
            return Poll::Ready((!whole).then(|| Err(BodyError::Short.into())));
        };
        if let (Some(left), Some(data)) = (this.announced.as_mut(), frame.data_ref()) {
            *left = left.saturating_sub(data.len() as u64);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn stored_bytes_leave_in_pieces_and_whole() {
        let bytes = Bytes::from(vec![7; PIECE * 2 + 1]);
        let mut body = EdgeBody::whole(bytes.clone());
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(
            pieces.iter().map(Bytes::len).collect::<Vec<_>>(),
            [PIECE, PIECE, 1]
        );
        assert_eq!(pieces.concat(), bytes);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_silence_of_the_source_counts() {
        let minute = Duration::from_mins(1);
        let (frames, source) = mpsc::channel(1);
        let mut body = Watched::request(EdgeBody::tee(source), minute).boxed_unsync();
        frames
            .send(Ok(Frame::data(Bytes::from("a"))))
            .await
            .unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(minute * 2).await; // nobody reads
        let late = tokio::spawn(async move {
            tokio::time::sleep(minute / 2).await;
            frames
                .send(Ok(Frame::data(Bytes::from("b"))))
                .await
                .unwrap();
            frames
        });
        assert!(body.frame().await.unwrap().is_ok());
        let _frames = late.await.unwrap();
        let silent = body.frame().await.unwrap().unwrap_err();
        assert_eq!(
            silent.downcast_ref::<BodyError>(),
            Some(&BodyError::VisitorSilent)
        );
    }

    #[tokio::test]
    async fn a_body_that_ends_before_its_announced_length_fails() {
        let body = |announced| {
            let body = Full::new(Bytes::from("abc")).map_err(|never| match never {});
            Watched::response(body, Duration::from_mins(1), announced).boxed_unsync()
        };
        assert!(body(Some(3)).collect().await.is_ok());
        assert!(body(None).collect().await.is_ok());
        assert!(body(Some(4)).collect().await.is_err());
    }
}
