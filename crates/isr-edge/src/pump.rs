//! The tee: a body goes to the visitor and is collected to be stored, at the pace of the faster.

use std::collections::VecDeque;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use isr_core::BoxError;
use tokio::sync::mpsc;

use crate::body::OriginBody;
use crate::collecting::Share;

/// Frames that wait for the visitor, beyond those in hand.
pub(crate) const FRAMES: usize = 4;

type FrameSender = mpsc::Sender<Result<Frame<Bytes>, BoxError>>;

/// A body on its way to a visitor, who may have gone, and to the store, which may refuse it.
pub(crate) struct Pump {
    body: OriginBody,
    visitor: Option<FrameSender>,
    /// Read, but not yet taken by the visitor.
    waiting: VecDeque<Frame<Bytes>>,
    /// What has come, while it is to be stored.
    collected: Option<Vec<Bytes>>,
    length: u64,
    limit: u64,
    /// What may be held of the body in memory, by the visitor's frames too, which are the same bytes.
    share: Share,
}

/// What came of collecting a body.
#[derive(Debug)]
pub(crate) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// It is larger than what is stored.
    TooLarge,
    /// There was no room for it among all the bodies on their way into the store.
    CrowdedOut,
    /// It broke off.
    Broken,
}

impl Pump {
    pub(crate) fn new(
        body: OriginBody,
        visitor: Option<FrameSender>,
        limit: u64,
        share: Share,
    ) -> Self {
        Self {
            body,
            visitor,
            waiting: VecDeque::new(),
            collected: Some(Vec::new()),
            length: 0,
            limit,
            share,
        }
    }

    /// Reads until the body has ended, or cannot be stored. As long as it can, a slow visitor does
    /// not hold it up: what waits for him are the very bytes that are collected.
    pub(crate) async fn collect(&mut self) -> Collected {
        loop {
            let frame = tokio::select! {
                biased;
                _ = hand_over(&mut self.visitor, &mut self.waiting), if !self.waiting.is_empty() => continue,
                frame = self.body.frame() => frame,
            };
            match frame {
                None => return Collected::Whole(join(&self.collected.take().unwrap_or_default())),
                Some(Ok(frame)) => {
                    if let Some(end) = self.take(frame) {
                        return end;
                    }
                }
                Some(Err(error)) => {
                    self.fail(error).await;
                    return Collected::Broken;
                }
            }
        }
    }

    /// Hands the visitor what waits for him and what is still to come, at his pace.
    pub(crate) async fn finish(mut self) {
        let waiting = self.waiting.iter().map(length).sum();
        self.share.shrink_to(waiting);
        while self.visitor.is_some() {
            if !self.waiting.is_empty() {
                let handed = hand_over(&mut self.visitor, &mut self.waiting).await;
                self.share.give_back(handed);
                continue;
            }
            let Some(visitor) = &self.visitor else { return };
            let frame = tokio::select! {
                () = visitor.closed() => return,
                frame = self.body.frame() => frame,
            };
            match frame {
                None => return,
                Some(Ok(frame)) => self.waiting.push_back(frame),
                Some(Err(error)) => return self.fail(error).await,
            }
        }
    }

    /// Takes a frame in; says so when the body cannot be stored after all.
    fn take(&mut self, frame: Frame<Bytes>) -> Option<Collected> {
        self.length += length(&frame);
        let end = if self.length > self.limit {
            Some(Collected::TooLarge)
        } else if self.share.cover(self.length) {
            None
        } else {
            Some(Collected::CrowdedOut)
        };
        if end.is_some() {
            self.collected = None;
        }
        if let (Some(collected), Some(data)) = (&mut self.collected, frame.data_ref()) {
            collected.push(data.clone());
        }
        if self.visitor.is_some() {
            self.waiting.push_back(frame);
        }
        end
    }

    async fn fail(&mut self, error: BoxError) {
        while self.visitor.is_some() && !self.waiting.is_empty() {
            hand_over(&mut self.visitor, &mut self.waiting).await;
        }
        if let Some(visitor) = self.visitor.take() {
            // A visitor who has gone need not be told.
            let _ = visitor.send(Err(error)).await;
        }
    }
}

/// Hands the visitor one frame as soon as he takes it, and says how many bytes that were. Dropping the
/// future loses none.
async fn hand_over(visitor: &mut Option<FrameSender>, waiting: &mut VecDeque<Frame<Bytes>>) -> u64 {
    if let Some(sender) = visitor.as_ref()
        && let Ok(permit) = sender.reserve().await
    {
        let frame = waiting.pop_front();
        let handed = frame.as_ref().map_or(0, length);
        if let Some(frame) = frame {
            permit.send(Ok(frame));
        }
        return handed;
    }
    *visitor = None;
    waiting.clear();
    0
}

/// How many bytes of the body a frame has.
fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| data.len() as u64)
}

/// One piece of memory of the exact size, so that a stored body pins no larger buffers.
fn join(pieces: &[Bytes]) -> Bytes {
    Bytes::from(pieces.concat().into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;

    use super::*;
    use crate::collecting::Collecting;

    fn body(pieces: Vec<Result<&'static str, &'static str>>) -> OriginBody {
        let frames = pieces.into_iter().map(|piece| {
            piece
                .map(|text| Frame::data(Bytes::from(text)))
                .map_err(BoxError::from)
        });
        StreamBody::new(stream::iter(frames)).boxed_unsync()
    }

    /// A share that can be as large as may be.
    fn plenty() -> Share {
        Collecting::new(u64::MAX).share(0).unwrap()
    }

    #[tokio::test]
    async fn a_whole_body_is_collected_though_the_visitor_takes_nothing_yet() {
        let (visitor, mut seen) = mpsc::channel(1);
        let mut pump = Pump::new(
            body(vec![Ok("ab"), Ok("cd"), Ok("ef")]),
            Some(visitor),
            10,
            plenty(),
        );
        let Collected::Whole(bytes) = pump.collect().await else {
            panic!("not collected")
        };
        assert_eq!(bytes, "abcdef");
        let rest = tokio::spawn(pump.finish());
        let mut text = Vec::new();
        while let Some(frame) = seen.recv().await {
            text.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        rest.await.unwrap();
        assert_eq!(text, b"abcdef");
    }

    #[tokio::test]
    async fn a_visitor_who_left_does_not_stop_the_collecting() {
        let (visitor, seen) = mpsc::channel(1);
        drop(seen);
        let mut pump = Pump::new(body(vec![Ok("ab"), Ok("cd")]), Some(visitor), 10, plenty());
        assert!(matches!(pump.collect().await, Collected::Whole(_)));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_still_reaches_the_visitor_whole() {
        let (visitor, mut seen) = mpsc::channel(1);
        let mut pump = Pump::new(
            body(vec![Ok("ab"), Ok("cd"), Ok("ef")]),
            Some(visitor),
            3,
            plenty(),
        );
        assert!(matches!(pump.collect().await, Collected::TooLarge));
        let rest = tokio::spawn(pump.finish());
        let mut frames = 0;
        while seen.recv().await.is_some() {
            frames += 1;
        }
        rest.await.unwrap();
        assert_eq!(frames, 3);
    }

    #[tokio::test]
    async fn a_broken_body_breaks_off_at_the_visitor_too() {
        let (visitor, mut seen) = mpsc::channel(8);
        let mut pump = Pump::new(
            body(vec![Ok("ab"), Err("lost")]),
            Some(visitor),
            10,
            plenty(),
        );
        assert!(matches!(pump.collect().await, Collected::Broken));
        drop(pump);
        assert!(seen.recv().await.unwrap().is_ok());
        assert!(seen.recv().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_read_no_faster_than_the_visitor_takes_it() {
        const FRAME: usize = 1024;
        const COUNT: usize = 5000;
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let frames = stream::iter(0..COUNT).map(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, BoxError>(Frame::data(Bytes::from(vec![0; FRAME])))
        });
        let (visitor, mut seen) = mpsc::channel(FRAMES);
        let limit = 8 * FRAME;
        let body = StreamBody::new(frames).boxed_unsync();
        let mut pump = Pump::new(body, Some(visitor), limit as u64, plenty());
        let task = tokio::spawn(async move {
            assert!(matches!(pump.collect().await, Collected::TooLarge));
            pump.finish().await;
        });
        let mut taken = 0;
        while seen.recv().await.is_some() {
            taken += 1;
            let held = read.load(Ordering::SeqCst) - taken;
            assert!(held <= limit / FRAME + FRAMES + 2, "{held} frames are held");
        }
        task.await.unwrap();
        assert_eq!(taken, COUNT);
    }

    #[tokio::test]
    async fn a_body_without_room_still_reaches_the_visitor_whole_and_gives_its_share_back() {
        let collecting = Collecting::new(5);
        let (visitor, mut seen) = mpsc::channel(1);
        let pieces = body(vec![Ok("ab"), Ok("cd"), Ok("ef")]);
        let mut pump = Pump::new(pieces, Some(visitor), 10, collecting.share(0).unwrap());
        assert!(matches!(pump.collect().await, Collected::CrowdedOut));
        assert!(collecting.share(5).is_none(), "what waits is still held");
        let rest = tokio::spawn(pump.finish());
        let mut text = Vec::new();
        while let Some(frame) = seen.recv().await {
            text.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        rest.await.unwrap();
        assert_eq!(text, b"abcdef");
        assert!(collecting.share(5).is_some());
    }

    #[tokio::test]
    async fn a_visitor_who_takes_nothing_of_a_collected_body_keeps_its_share() {
        let collecting = Collecting::new(6);
        let (visitor, mut seen) = mpsc::channel(1);
        let share = collecting.share(6).unwrap();
        let pieces = body(vec![Ok("ab"), Ok("cd"), Ok("ef")]);
        let mut pump = Pump::new(pieces, Some(visitor), 10, share);
        assert!(matches!(pump.collect().await, Collected::Whole(_)));
        let rest = tokio::spawn(pump.finish());
        tokio::task::yield_now().await;
        // One piece is in hand, and no longer counted; two wait.
        assert!(collecting.share(3).is_none() && collecting.share(2).is_some());
        while seen.recv().await.is_some() {}
        rest.await.unwrap();
        assert!(collecting.share(6).is_some());
    }
}
