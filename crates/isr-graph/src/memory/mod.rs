//! A store in this process's memory: for tests, and for trying things out. It forgets all on exit.

mod graph;
mod jobs;
mod queue;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Bind, BindOutcome, Bucket, Claim, Claimed, Clock, Collected, Cursor, DeadLetter,
    GraphStatistics, JobKey, JobStore, Leave, LeavePage, News, PageTags, PageUrl, PageWork,
    Position, QueueDepth, RateBudget, RateLimit, Receipt, RevalidationId, Secret, SenderId,
    SenderReport, SenderState, StoreError, TagGraph, Taken, Target, UrlChunk, WorkerId,
};
use parking_lot::Mutex;

use self::graph::Graph;
use self::jobs::Jobs;
use crate::LARGEST_TAGS;

/// How the store behaves at its limits.
#[derive(Clone, Copy, Debug)]
pub struct MemoryOptions {
    /// Revalidations remembered for those who follow them. Default: 100 000.
    pub history: usize,
    /// Revalidations and pages that may wait, each. Default: 1 000 000.
    pub queue: usize,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            history: 100_000,
            queue: 1_000_000,
        }
    }
}

#[derive(Clone, Debug)]
struct State {
    graph: Graph,
    jobs: Jobs,
    buckets: HashMap<String, Bucket>,
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
    secret: Secret,
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, options: MemoryOptions) -> Self {
        let state = State {
            graph: Graph::new(options.history),
            jobs: Jobs::new(options.queue),
            buckets: HashMap::new(),
        };
        Self {
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
        self.state.lock().graph.begin_epoch();
    }

    fn with<R>(&self, act: impl FnOnce(&mut State, Duration) -> R) -> R {
        act(&mut self.state.lock(), self.clock.now())
    }
}

#[async_trait]
impl TagGraph for MemoryStore {
    async fn position(&self) -> Result<Position, StoreError> {
        Ok(self.with(|state, _| state.graph.position()))
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
            state.jobs.require_room()?;
            let position =
                state
                    .graph
                    .invalidate(receipt.id, &receipt.targets, receipt.options.mode);
            Ok(state.jobs.queue_revalidation(
                Receipt {
                    position: Some(position),
                    ..receipt
                },
                now,
            ))
        })
    }

    async fn news_since(&self, after: &Position, limit: usize) -> Result<News, StoreError> {
        Ok(self.with(|state, _| state.graph.news_since(after, limit.max(1))))
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
            Collected {
                receipts: state.jobs.collect_receipts(now),
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
        Ok(self.with(|state, now| state.jobs.claim_revalidations(worker, limit, lease, now)))
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

    async fn receipts(&self, limit: usize) -> Result<Vec<Receipt>, StoreError> {
        Ok(self.with(|state, _| state.jobs.receipts(limit)))
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(self.with(|state, _| state.jobs.dead_letters(limit)))
    }

    async fn replay(&self, jobs: &[JobKey]) -> Result<u64, StoreError> {
        Ok(self.with(|state, now| {
            jobs.iter()
                .map(|job| u64::from(state.jobs.replay(job, now)))
                .sum()
        }))
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        Ok(self.with(|state, now| state.jobs.depth(now)))
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
