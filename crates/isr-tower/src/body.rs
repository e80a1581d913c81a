//! Response bodies that say when they have left.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use isr_core::{BoxError, Flight};
use pin_project_lite::pin_project;

pin_project! {
    /// A body with the [`Flight`] of its response: the flight ends when the body has ended, failed
    /// or been dropped.
    ///
    /// The body of a response that caches may keep breaks off with an error once its sender may no
    /// longer send such: an unfinished message is not stored (RFC 9111 §3.3).
    pub(crate) struct TrackedBody<B> {
        #[pin]
        inner: B,
        flight: Option<Flight>,
        breaks_off: bool,
        ended: bool,
    }
}

/// The rest of a body was held back.
#[derive(Debug, thiserror::Error)]
#[error(
    "the response was broken off, because the store has not heard of this process for too long"
)]
struct BrokenOff;

impl<B> TrackedBody<B> {
    /// Tracks a body. `breaks_off` is false only for a response with a lifetime so short that it may
    /// always be finished.
    pub(crate) const fn new(inner: B, flight: Option<Flight>, breaks_off: bool) -> Self {
        Self {
            inner,
            flight,
            breaks_off,
            ended: false,
        }
    }
}

impl<B> Body for TrackedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(this.inner.poll_frame(context));
        // Asked once the frame is there: it leaves next, however long it took to come.
        let held_back = *this.breaks_off
            && this
                .flight
                .as_ref()
                .is_some_and(|flight| !flight.may_go_on());
        let frame = match frame {
            Some(Ok(_)) if held_back => Some(Err(BrokenOff.into())),
            other => other.map(|frame| frame.map_err(Into::into)),
        };
        if !matches!(frame, Some(Ok(_))) {
            *this.ended = true;
            *this.flight = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::{BodyExt as _, Full};
    use isr_core::{Epoch, Footprint, News, PageUrl, Position, Sender, SenderOptions, TagSet};
    use isr_testkit::HandClock;

    use super::*;

    #[tokio::test]
    async fn the_flight_ends_with_the_body_even_if_that_is_held_on_to() {
        let options = SenderOptions {
            tracks: true,
            ..SenderOptions::default()
        };
        let sender = Sender::new("test", options, Arc::new(HandClock::new()));
        let learn = |number, gap| {
            let position = Position::new(Epoch::new(1), [number]);
            let news = News {
                heard: Vec::new(),
                position,
                more: false,
                gap,
            };
            sender.learn(&news, sender.clock().now());
        };
        learn(0, false);
        let url = PageUrl::parse("https://blog.example/").unwrap();
        let generation = sender.generation(&url).unwrap();
        let footprint = Arc::new(Footprint {
            url,
            tags: TagSet::new(),
        });
        let flight = sender.depart(&footprint, generation);
        let mut body = TrackedBody::new(Full::from("page"), Some(flight), false);
        assert_eq!(body.size_hint().exact(), Some(4));
        body.frame().await.unwrap().unwrap();
        learn(1, true); // concerns everything
        assert!(sender.owed().is_empty());
        assert!(body.frame().await.is_none());
        assert_eq!(sender.owed().len(), 1);
        assert!(body.frame().await.is_none() && body.is_end_stream());
    }
}
