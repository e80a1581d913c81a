//! Keeps a process that sends responses up to date with the store, and the store with it.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{Event, News, Position, Recorder, Sender, SenderReport, Store, StoreError};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::last_word::last_word;
use crate::outage::Outage;

/// What the log calls a step.
const FOLLOWING: &str = "following revalidations";

/// Revalidations asked for at a time.
const NEWS_AT_ONCE: usize = 1_000;

/// Pages queued in one call.
const PAGES_AT_ONCE: usize = 1_000;

/// How a follower behaves.
#[derive(Clone, Copy, Debug)]
pub struct FollowerOptions {
    /// How often the store is asked for news. Default: 50 ms, a fifth of the default `max_lag`.
    pub poll: Duration,
}

impl Default for FollowerOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(50),
        }
    }
}

/// Feeds a [`Sender`] with news, queues what it owes, and stores its reports.
#[derive(Debug)]
pub struct Follower {
    sender: Arc<Sender>,
    store: Arc<dyn Store>,
    recorder: Arc<dyn Recorder>,
    options: FollowerOptions,
    /// One step at a time; holds what was last reported, and when.
    reported: Mutex<Option<(SenderReport, Duration)>>,
    outage: Outage,
}

impl Follower {
    /// A follower for a sender.
    #[must_use]
    pub fn new(
        sender: Arc<Sender>,
        store: Arc<dyn Store>,
        recorder: Arc<dyn Recorder>,
        options: FollowerOptions,
    ) -> Self {
        Self {
            sender,
            store,
            recorder,
            options,
            reported: Mutex::new(None),
            outage: Outage::default(),
        }
    }

    /// Follows until `stop`, and then leaves in good order if nothing is on its way any more.
    pub async fn run(&self, stop: CancellationToken) {
        let clock = Arc::clone(self.sender.clock());
        while !stop.is_cancelled() {
            self.step_or_record().await;
            if let Some(by) = self.sender.lag() {
                self.recorder.record(&Event::Behind { by });
            }
            tokio::select! {
                biased;
                () = clock.sleep(self.options.poll) => {}
                () = stop.cancelled() => {}
            }
        }
        self.leave().await;
    }

    /// Asks for news once, and acts on them.
    ///
    /// # Errors
    ///
    /// Whatever the store answers; everything is done again with the next step. A queue that is full keeps
    /// pages from being queued, and nothing else.
    pub async fn step(&self) -> Result<(), StoreError> {
        let mut reported = self.reported.lock().await;
        self.learn().await?;
        let settled = self.settle_debts().await;
        // Whatever is still owed keeps the report from saying too much; without a report this would
        // count as dead.
        self.report(&mut reported).await?;
        settled
    }

    /// Follows until `position` is known here.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    pub async fn catch_up(&self, position: &Position) -> Result<(), StoreError> {
        let knows = || {
            let known = self.sender.known();
            known.is_some_and(|known| known.covers(position))
        };
        while !knows() {
            let before = self.sender.known();
            let step = self.step().await;
            // What else there was to do is done again with the next step.
            if knows() {
                break;
            }
            step?;
            // One that is of another epoch even now is never covered: its history is gone. Nor is one that
            // asking brings nobody nearer to.
            let after = self.sender.known();
            if after == before || after.map(|it| it.epoch) != Some(position.epoch) {
                break;
            }
        }
        Ok(())
    }

    async fn learn(&self) -> Result<(), StoreError> {
        loop {
            let asked = self.sender.clock().now();
            let news = match self.sender.known() {
                Some(known) => self.store.news_since(&known, NEWS_AT_ONCE).await?,
                None => self.first_news().await?,
            };
            self.sender.learn(&news, asked);
            if !news.more {
                return Ok(());
            }
        }
    }

    /// What came before the first question is unknown.
    async fn first_news(&self) -> Result<News, StoreError> {
        let position = self.store.position().await?;
        Ok(News {
            heard: Vec::new(),
            position,
            more: false,
            gap: true,
        })
    }

    /// Queues what is owed. A queue that has no room for many has room for some: all of them together may be
    /// more than it ever holds.
    async fn settle_debts(&self) -> Result<(), StoreError> {
        let delay = self.sender.options().settling_time;
        let owed = self.sender.owed();
        let mut rest = owed.as_slice();
        let mut at_once = PAGES_AT_ONCE;
        while !rest.is_empty() {
            let some = &rest[..at_once.min(rest.len())];
            match self.store.queue_pages(some, delay).await {
                Ok(()) => {
                    self.sender.queued(some.len());
                    rest = &rest[some.len()..];
                }
                Err(StoreError::QueueFull { .. }) if some.len() > 1 => at_once = some.len() / 2,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reports what changed at once, and that it lives three times a lease.
    async fn report(&self, last: &mut Option<(SenderReport, Duration)>) -> Result<(), StoreError> {
        loop {
            self.sender.renew_if_needed();
            let Some(report) = self.sender.report() else {
                return Ok(());
            };
            let now = self.sender.clock().now();
            let due = last
                .as_ref()
                .is_none_or(|(told, at)| *told != report || now >= *at + report.lease / 3);
            if !due {
                return Ok(());
            }
            self.store.report(&report).await?;
            // A report that took so long that the one before it ran out has come too late: somebody
            // may have dealt with this name as dead, and will not do so a second time.
            let known_by_it = last.as_ref().is_some_and(|(told, _)| told.id == report.id);
            let late = known_by_it && self.sender.has_lapsed();
            *last = Some((report, now));
            if !late {
                self.sender.reported(now);
                return Ok(());
            }
        }
    }

    async fn step_or_record(&self) {
        match self.step().await {
            Ok(()) => self.outage.worked(FOLLOWING),
            Err(error) => {
                self.outage.failed(FOLLOWING, &error);
                let operation = "follow";
                self.recorder.record(&Event::StoreFailed { operation });
            }
        }
    }

    /// The last word: a sender whose last response has long been stored need not be waited for, nor
    /// mourned. Until then it follows, since a revalidation may yet concern what it sent; one that
    /// cannot end its responses in that time stays behind to be mourned.
    async fn leave(&self) {
        let clock = self.sender.clock();
        let patience = self.sender.options().settling_time + 20 * self.options.poll;
        let deadline = clock.now() + patience;
        loop {
            self.step_or_record().await;
            if self.sender.withdraw() {
                break;
            }
            if clock.now() >= deadline {
                return;
            }
            clock.sleep(self.options.poll).await;
        }
        let id = self.sender.id();
        last_word(&**clock, self.store.dismiss(&id), "cannot sign off").await;
    }
}

#[cfg(test)]
mod tests {
    use isr_core::{
        Flight, Footprint, JobStore, LeavePage, PageUrl, Receipt, RevalidateOptions, SenderOptions,
        Source, Tag, TagGraph, TagSet, Target, Targets, WorkerId,
    };
    use isr_graph::{MemoryOptions, MemoryStore};

    use super::*;
    use crate::TokioClock;

    const QUEUE: usize = 3;
    const SENT: usize = 5;

    fn changed() -> Tag {
        "changed".parse().unwrap()
    }

    /// A sender with more on its way than the queue holds, and who follows for it.
    async fn with_more_than_the_queue_holds() -> (Arc<MemoryStore>, Follower, Vec<Flight>) {
        let clock = Arc::new(TokioClock::new());
        let options = MemoryOptions {
            queue: QUEUE,
            ..MemoryOptions::default()
        };
        let store = Arc::new(MemoryStore::new(clock.clone(), options));
        let options = SenderOptions {
            tracks: true,
            settling_time: Duration::ZERO,
            ..SenderOptions::default()
        };
        let sender = Sender::new("sender", options, clock);
        let follower = Follower::new(
            Arc::clone(&sender),
            store.clone(),
            Arc::new(isr_core::NoRecorder),
            FollowerOptions::default(),
        );
        follower.step().await.unwrap();
        let position = store.position().await.unwrap();
        let flights = (0..SENT).map(|number| {
            let url: PageUrl = format!("https://example.com/{number}").parse().unwrap();
            let generation = position.generation_of(&url);
            let tags = TagSet::try_from_iter([changed()]).unwrap();
            sender.depart(&Arc::new(Footprint { url, tags }), generation)
        });
        let flights = flights.collect();
        (store, follower, flights)
    }

    async fn revalidate(store: &MemoryStore) -> Position {
        let targets = Targets::new([Target::Tag(changed())]).unwrap();
        let receipt = Receipt::new(targets, RevalidateOptions::default(), Source::Api);
        let accepted = store.invalidate(receipt).await.unwrap();
        accepted.position.unwrap()
    }

    /// Works on what is queued, and says how much that was.
    async fn work_off(store: &MemoryStore) -> usize {
        let worker = WorkerId("worker".to_owned());
        let lease = Duration::from_secs(10);
        let claimed = store.claim_pages(&worker, 100, lease).await.unwrap();
        let left = claimed
            .into_iter()
            .map(|page| (page.claim, LeavePage::Done));
        let left: Vec<_> = left.collect();
        store.leave_pages(&left).await.unwrap();
        left.len()
    }

    #[tokio::test]
    async fn a_full_queue_keeps_nobody_from_hearing_and_reporting() {
        let (store, follower, flights) = with_more_than_the_queue_holds().await;
        let position = revalidate(&store).await;
        drop(flights);
        follower.catch_up(&position).await.unwrap();
        let senders = store.senders().await.unwrap();
        assert_eq!(senders[0].report.known, position);
        assert!(!senders[0].report.clean.covers(&position));
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_is_queued_bit_by_bit() {
        let (store, follower, flights) = with_more_than_the_queue_holds().await;
        let position = revalidate(&store).await;
        drop(flights);
        let full = follower.step().await;
        assert!(matches!(full, Err(StoreError::QueueFull { .. })));
        assert_eq!(work_off(&store).await, QUEUE);
        follower.step().await.unwrap();
        assert_eq!(work_off(&store).await, SENT - QUEUE);
        let senders = store.senders().await.unwrap();
        assert!(senders[0].report.clean.covers(&position));
    }
}
