//! Keeps a process that sends responses up to date with the store, and the store with it.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{Event, News, Position, Recorder, Sender, SenderReport, Store, StoreError};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Revalidations asked for at a time.
const NEWS_AT_ONCE: usize = 1_000;

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
    /// Whatever the store answers; everything is done again with the next step.
    pub async fn step(&self) -> Result<(), StoreError> {
        let mut reported = self.reported.lock().await;
        self.learn().await?;
        self.settle_debts().await?;
        self.report(&mut reported).await
    }

    /// Follows until `position` is known here.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    pub async fn catch_up(&self, position: &Position) -> Result<(), StoreError> {
        loop {
            // A position of another epoch is never covered: the history it belonged to is gone.
            let known = self.sender.known();
            if known.is_some_and(|known| known.covers(position) || known.epoch != position.epoch) {
                return Ok(());
            }
            self.step().await?;
        }
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

    async fn settle_debts(&self) -> Result<(), StoreError> {
        let owed = self.sender.owed();
        if !owed.is_empty() {
            self.store
                .queue_pages(&owed, self.sender.options().settling_time)
                .await?;
            self.sender.queued(owed.len());
        }
        Ok(())
    }

    /// Reports what changed at once, and that it lives three times a lease.
    async fn report(&self, last: &mut Option<(SenderReport, Duration)>) -> Result<(), StoreError> {
        self.sender.renew_if_needed();
        let Some(report) = self.sender.report() else {
            return Ok(());
        };
        let now = self.sender.clock().now();
        let due = last
            .as_ref()
            .is_none_or(|(told, at)| *told != report || now >= *at + report.lease / 3);
        if due {
            self.store.report(&report).await?;
            self.sender.reported(now);
            *last = Some((report, now));
        }
        Ok(())
    }

    async fn step_or_record(&self) {
        if let Err(error) = self.step().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot follow revalidations"
            );
            self.recorder.record(&Event::StoreFailed {
                operation: "follow",
            });
        }
    }

    /// The last word: a sender that is clean need not be waited for, nor mourned.
    async fn leave(&self) {
        self.step_or_record().await;
        let clean = self
            .sender
            .report()
            .is_some_and(|report| report.clean.covers(&report.known));
        if clean && let Err(error) = self.store.dismiss(&self.sender.id()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot sign off");
        }
    }
}
