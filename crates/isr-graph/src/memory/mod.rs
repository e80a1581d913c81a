//! A store in this process's memory: for tests, and for trying things out. It forgets all on exit.

mod between;
mod graph;
mod jobs;
mod queue;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Beginning, Bind, BindOutcome, Bucket, Claim, Claimed, Clock, Collected, Cursor,
    DeadLetterChunk, Epoch, GraphStatistics, Heard, JobKey, JobStore, Leave, LeavePage, Marks,
    News, PageJob, PageTags, PageUrl, PageWork, Position, QueueDepth, RateBudget, RateLimit,
    Receipt, ReceiptChunk, ReceiptFilter, RevalidationId, Secret, SenderId, SenderReport,
    SenderState, Standing, StoreError, Tag, TagGraph, Taken, Target, Timestamp, UrlChunk, WorkerId,
};
use parking_lot::Mutex;

pub use self::between::BetweenPartitions;
use self::graph::Graph;
use self::jobs::Jobs;
use crate::{BEGUN_AT_ONCE, LARGEST_TAGS, RECEIPTS_KEPT};

/// How the store behaves at its limits.
#[derive(Clone, Copy, Debug)]
pub struct MemoryOptions {
    /// Partitions that the pages are spread over, at least one. Each counts revalidations by itself, as
    /// those of a store on several servers do. Default: 1.
    pub partitions: u16,
    /// Revalidations remembered for those who follow them. Default: 100 000.
    pub history: usize,
    /// Targets whose generations are told apart; older ones share one floor. Default: as many as `history`.
    pub targets: Option<usize>,
    /// Revalidations and pages that may wait, each. Default: 1 000 000.
    pub queue: usize,
    /// How long receipts of finished revalidations are kept. Default: a day.
    pub keep_receipts: Duration,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            partitions: 1,
            history: 100_000,
            targets: None,
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
    between: Option<Arc<dyn BetweenPartitions>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, options: MemoryOptions) -> Self {
        let told_apart = options.targets.unwrap_or(options.history);
        let graph = Graph::new(options.partitions, options.history, told_apart);
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
            between: None,
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

    /// Tells targets apart only by what was revalidated after `floor`, as a store does that has no room for more.
    pub fn raise_floor(&self, floor: Marks) {
        self.state.lock().graph.raise_floor(floor);
    }

    /// Looks at a receipt as it stands, without a copy of it; `None` when it is not known.
    pub fn look_at<R>(&self, id: &RevalidationId, look: impl FnOnce(&Receipt) -> R) -> Option<R> {
        self.state.lock().jobs.look_at(id, look)
    }

    fn with<R>(&self, act: impl FnOnce(&mut State, Duration) -> R) -> R {
        act(&mut self.state.lock(), self.clock.now())
    }

    fn time_at(&self, now: Duration) -> Timestamp {
        self.begun.after(now)
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
        let stored = self.with(|state, now| {
            if let Some(known) = state.jobs.receipt(&receipt.id) {
                return Ok::<Receipt, StoreError>(known);
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
        })?;
        self.complete(stored).await
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
        page: &PageUrl,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        Ok(self.with(|state, _| state.graph.history(page, before, limit)))
    }

    async fn report(&self, report: &SenderReport) -> Result<(), StoreError> {
        self.with(|state, now| state.graph.report(report.clone(), now));
        Ok(())
    }

    async fn senders(&self) -> Result<Vec<SenderState>, StoreError> {
        Ok(self.with(|state, now| state.graph.senders(now, self.begun)))
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
        let due = self.with(|state, now| {
            let due = state.jobs.take_due(BEGUN_AT_ONCE, self.time_at(now));
            let begun = due.into_iter().map(|receipt| state.begin(receipt, now));
            begun.collect::<Vec<Receipt>>()
        });
        // Even where there is no place for its job, everybody hears of it.
        for begun in due {
            self.complete(begun).await?;
        }
        let mut claimed =
            self.with(|state, now| state.jobs.claim_revalidations(worker, limit, lease, now));
        for claimed in &mut claimed {
            claimed.work = self.complete(claimed.work.clone()).await?;
        }
        Ok(claimed)
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
