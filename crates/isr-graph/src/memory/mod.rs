//! A store in this process's memory: for tests, and for trying things out. It forgets all on exit.

mod graph;
mod jobs;
mod queue;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Beginning, Bind, BindOutcome, Bucket, Claim, Claimed, Clock, Collected, Cursor,
    DeadLetterChunk, Epoch, GraphStatistics, Heard, JobKey, JobStore, Leave, LeavePage, News,
    PageJob, PageTags, PageUrl, PageWork, Phase, Position, QueueDepth, RateBudget, RateLimit,
    Receipt, ReceiptChunk, ReceiptFilter, RevalidationId, Secret, SenderId, SenderReport,
    SenderState, Standing, StoreError, Tag, TagGraph, Taken, Target, Timestamp, UrlChunk, WorkerId,
};
use parking_lot::Mutex;

use self::graph::Graph;
use self::jobs::Jobs;
use crate::{BEGUN_AT_ONCE, LARGEST_TAGS, RECEIPTS_KEPT};

/// How the store behaves at its limits.
#[derive(Clone, Copy, Debug)]
pub struct MemoryOptions {
    /// Revalidations remembered for those who follow them. Default: 100 000.
    pub history: usize,
    /// Revalidations and pages that may wait, each. Default: 1 000 000.
    pub queue: usize,
    /// How long receipts of finished revalidations are kept. Default: a day.
    pub keep_receipts: Duration,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            history: 100_000,
            queue: 1_000_000,
            keep_receipts: RECEIPTS_KEPT,
        }
    }
}

#[derive(Clone, Debug)]
struct State {
    graph: Graph,
    jobs: Jobs,
    buckets: HashMap<String, Bucket>,
    beginning: Option<Beginning>,
}

impl State {
    fn bucket(&mut self, name: &str) -> &mut Bucket {
        self.buckets.entry(name.to_owned()).or_default()
    }
}

/// All that a store in memory held at some moment, as a backup would.
#[derive(Clone, Debug)]
pub struct MemorySnapshot(State);

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    /// The time of day when the clock showed nothing yet. Only the clock moves on from there.
    begun: Timestamp,
    secret: Secret,
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, options: MemoryOptions) -> Self {
        let graph = Graph::new(options.history);
        let state = State {
            beginning: Some(Beginning {
                epoch: graph.position().epoch,
                lost: false,
            }),
            graph,
            jobs: Jobs::new(options.queue, options.keep_receipts),
            buckets: HashMap::new(),
        };
        Self {
            begun: Timestamp::from(clock.time_of_day()).before(clock.now()),
            clock,
            secret: Secret::random(),
            state: Mutex::new(state),
        }
    }

    /// What it holds now.
    #[must_use]
    pub fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot(self.state.lock().clone())
    }

    /// Puts back what it held: what came after is lost. Its history then may have gone on without it, so
    /// [`MemoryStore::begin_epoch`] belongs to it.
    pub fn restore(&self, snapshot: &MemorySnapshot) {
        *self.state.lock() = snapshot.0.clone();
    }

    /// Begins another epoch: everything made before counts as superseded, and those who follow hear of a
    /// gap.
    pub fn begin_epoch(&self) {
        let mut state = self.state.lock();
        state.graph.begin_epoch();
        state.beginning = Some(Beginning {
            epoch: state.graph.position().epoch,
            lost: true,
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut State, Duration) -> R) -> R {
        act(&mut self.state.lock(), self.clock.now())
    }

    fn time_at(&self, now: Duration) -> Timestamp {
        self.begun.after(now)
    }
}

impl State {
    /// Moves the generations of a revalidation's targets and queues its job.
    fn begin(&mut self, receipt: Receipt, now: Duration) -> Receipt {
        let mode = receipt.options.mode.mode();
        let position = self.graph.invalidate(receipt.id, &receipt.targets, mode);
        let receipt = Receipt {
            position: Some(position),
            phase: Phase::Queued,
            ..receipt
        };
        self.jobs.queue_revalidation(receipt, now)
    }
}

#[async_trait]
impl TagGraph for MemoryStore {
    async fn position(&self) -> Result<Position, StoreError> {
        Ok(self.with(|state, _| state.graph.position()))
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        Ok(self.time_at(self.clock.now()))
    }

    async fn secret(&self) -> Result<Secret, StoreError> {
        Ok(self.secret.clone())
    }

    async fn bind(&self, binds: &[Bind]) -> Result<Vec<BindOutcome>, StoreError> {
        Ok(self.with(|state, now| {
            let bind_one = |bind| {
                let (outcome, again) = state.graph.bind(bind, now);
                if let Some(work) = again {
                    state.jobs.queue_page(work, now, now);
                }
                outcome
            };
            binds.iter().map(bind_one).collect()
        }))
    }

    async fn unbind(&self, urls: &[PageUrl]) -> Result<u64, StoreError> {
        Ok(self.with(|state, _| {
            urls.iter()
                .map(|url| u64::from(state.graph.unbind(url)))
                .sum()
        }))
    }

    async fn urls_for(
        &self,
        target: &Target,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<UrlChunk, StoreError> {
        Ok(self.with(|state, now| state.graph.urls_for(target, after, limit.max(1), now)))
    }

    async fn tags_for(&self, url: &PageUrl) -> Result<Option<PageTags>, StoreError> {
        Ok(self.with(|state, now| state.graph.tags_for(url, now)))
    }

    async fn invalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.with(|state, now| {
            if let Some(known) = state.jobs.receipt(&receipt.id) {
                return Ok(known);
            }
            let time = self.time_at(now);
            let wait = receipt.options.waits_until(time)?;
            state.jobs.require_room()?;
            let made = Some(time);
            let receipt = Receipt { made, ..receipt };
            Ok(match wait {
                Some(at) => state.jobs.schedule(receipt, at),
                None => state.begin(receipt, now),
            })
        })
    }

    async fn beginning(&self) -> Result<Option<Beginning>, StoreError> {
        Ok(self.with(|state, _| state.beginning))
    }

    async fn dealt_with(&self, beginning: Epoch) -> Result<(), StoreError> {
        self.with(|state, _| state.beginning.take_if(|known| known.epoch == beginning));
        Ok(())
    }

    async fn news_since(&self, after: &Position, limit: usize) -> Result<News, StoreError> {
        Ok(self.with(|state, _| state.graph.news_since(after, limit.max(1))))
    }

    async fn standing(&self, page: &PageUrl, tags: &[Tag]) -> Result<Standing, StoreError> {
        Ok(self.with(|state, _| state.graph.standing(page, tags)))
    }

    async fn history(
        &self,
        _: &PageUrl,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        Ok(self.with(|state, _| state.graph.history(before, limit)))
    }

    async fn report(&self, report: &SenderReport) -> Result<(), StoreError> {
        self.with(|state, now| state.graph.report(report.clone(), now));
        Ok(())
    }

    async fn senders(&self) -> Result<Vec<SenderState>, StoreError> {
        Ok(self.with(|state, now| state.graph.senders(now)))
    }

    async fn dismiss(&self, sender: &SenderId) -> Result<(), StoreError> {
        self.with(|state, _| state.graph.dismiss(sender));
        Ok(())
    }

    async fn statistics(&self, largest: usize) -> Result<GraphStatistics, StoreError> {
        Ok(self.with(|state, _| state.graph.statistics(largest.min(LARGEST_TAGS))))
    }

    async fn collect_garbage(&self, limit: usize) -> Result<Collected, StoreError> {
        Ok(self.with(|state, now| {
            let collected = state.graph.collect_garbage(limit.max(1), now);
            let (receipts, given_up) = state.jobs.collect_receipts(now);
            Collected {
                receipts,
                given_up,
                ..collected
            }
        }))
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn claim_revalidations(
        &self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed<Receipt>>, StoreError> {
        Ok(self.with(|state, now| {
            for receipt in state.jobs.take_due(BEGUN_AT_ONCE, self.time_at(now)) {
                state.begin(receipt, now);
            }
            state.jobs.claim_revalidations(worker, limit, lease, now)
        }))
    }

    async fn cancel(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.with(|state, now| state.jobs.cancel(id, now)))
    }

    async fn release(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.with(|state, now| state.jobs.release(id, now)))
    }

    async fn save(
        &self,
        claim: &Claim,
        receipt: &Receipt,
        lease: Duration,
    ) -> Result<(), StoreError> {
        self.with(|state, now| state.jobs.save(claim, receipt, now + lease))
    }

    async fn leave(&self, claim: &Claim, receipt: &Receipt, how: &Leave) -> Result<(), StoreError> {
        self.with(|state, now| state.jobs.leave(claim, receipt, how, now))
    }

    async fn queue_pages(&self, pages: &[PageWork], delay: Duration) -> Result<(), StoreError> {
        self.with(|state, now| {
            state.jobs.require_page_room(pages.len())?;
            for work in pages {
                state.jobs.queue_page(work.clone(), now + delay, now);
            }
            Ok(())
        })
    }

    async fn claim_pages(
        &self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed<PageWork>>, StoreError> {
        Ok(self.with(|state, now| state.jobs.claim_pages(worker, limit, lease, now)))
    }

    async fn renew_pages(&self, claims: &[Claim], lease: Duration) -> Result<(), StoreError> {
        self.with(|state, now| {
            for claim in claims {
                state.jobs.renew_page(claim, now + lease);
            }
        });
        Ok(())
    }

    async fn leave_pages(&self, pages: &[(Claim, LeavePage)]) -> Result<(), StoreError> {
        self.with(|state, now| {
            for (claim, how) in pages {
                state.jobs.leave_page(claim, how, now);
            }
        });
        Ok(())
    }

    async fn pages_outstanding(&self, position: &Position) -> Result<u64, StoreError> {
        Ok(self.with(|state, _| state.jobs.pages_outstanding(position)))
    }

    async fn hand_back(&self, worker: &WorkerId) -> Result<(), StoreError> {
        self.with(|state, now| state.jobs.hand_back(worker, now));
        Ok(())
    }

    async fn receipt(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.with(|state, _| state.jobs.receipt(id)))
    }

    async fn receipts(
        &self,
        wanted: &ReceiptFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ReceiptChunk, StoreError> {
        Ok(self.with(|state, _| state.jobs.receipts(wanted, after, limit)))
    }

    async fn dead_letters(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<DeadLetterChunk, StoreError> {
        Ok(self.with(|state, _| state.jobs.dead_letters(after, limit)))
    }

    async fn page_job(&self, page: &PageUrl) -> Result<Option<PageJob>, StoreError> {
        Ok(self.with(|state, now| state.jobs.page_job(page, now)))
    }

    async fn replay(&self, jobs: &[JobKey]) -> Result<u64, StoreError> {
        Ok(self.with(|state, now| {
            jobs.iter()
                .map(|job| u64::from(state.jobs.replay(job, now)))
                .sum()
        }))
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        Ok(self.with(|state, now| state.jobs.depth(now, self.time_at(now))))
    }
}

#[async_trait]
impl RateBudget for MemoryStore {
    async fn take(
        &self,
        limit: &RateLimit,
        tokens: u32,
        patience: Duration,
    ) -> Result<Taken, StoreError> {
        Ok(self.with(|state, now| {
            state
                .bucket(&limit.bucket)
                .take(limit, tokens, patience, now)
        }))
    }

    async fn pause(&self, limit: &RateLimit, pause: Duration) -> Result<(), StoreError> {
        self.with(|state, now| state.bucket(&limit.bucket).pause(limit, pause, now));
        Ok(())
    }
}
