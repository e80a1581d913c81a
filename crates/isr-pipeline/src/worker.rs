//! Takes jobs from the store's queue and sees to it that they are carried out.

use std::sync::Arc;

use isr_core::{Clock, Event, Recorder, Store, StoreError, Tier, Warmer};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::WorkerOptions;
use crate::client::{CallOptions, Dispatcher, TierClient};
use crate::done::Done;
use crate::introductions::Introductions;
use crate::last_word::last_word;
use crate::outage::Outage;
use crate::pages::Pages;
use crate::revalidation::Run;
use crate::roll_call::RollCall;

/// What the log calls looking at the queue.
const CLAIMING: &str = "looking at the queue";

/// Pages taken from the queue at a time.
const PAGES_AT_ONCE: usize = 32;

/// How often that is done before the first of them are done with: most of the time they wait for tiers.
const PAGE_GROUPS: usize = 8;

/// Revalidations that look for their pages at once, however many there are: each holds some thousands.
const WALKS: usize = 8;

/// What a worker works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The store whose queue it serves.
    pub store: Arc<dyn Store>,
    /// Every tier, in any order.
    pub tiers: Vec<Tier>,
    /// The crawler; without one nothing is warmed.
    pub warmer: Option<Arc<dyn Warmer>>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who takes note of what happens.
    pub recorder: Arc<dyn Recorder>,
    /// Rung when there is something in the queue, so that it need not be polled for.
    pub wake: Arc<Notify>,
}

/// What all jobs of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) options: WorkerOptions,
    pub(crate) done: Done,
    pub(crate) introductions: Introductions,
    pub(crate) roll_call: RollCall,
    /// Nearest the origin first.
    pub(crate) tiers: Vec<TierClient>,
    /// Revalidations that look for their pages at once.
    pub(crate) walks: Semaphore,
    /// The one that counts very many pages.
    pub(crate) counts: Semaphore,
}

impl Shared {
    /// The tiers whose copies are not under this system's generations, nearest the origin first.
    pub(crate) fn foreign_tiers(&self) -> impl Iterator<Item = &TierClient> {
        self.tiers
            .iter()
            .filter(|tier| tier.tier.capabilities().foreign)
    }

    pub(crate) fn record(&self, event: &Event<'_>) {
        self.parts.recorder.record(event);
    }
}

/// Carries out revalidations, and purges and warms single pages.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    /// Until the worker runs.
    dispatchers: Mutex<Vec<Dispatcher>>,
    outage: Outage,
}

impl Worker {
    /// A worker.
    #[must_use]
    pub fn new(mut parts: Parts, options: WorkerOptions) -> Self {
        parts.tiers.sort_by_key(|tier| tier.capabilities().distance);
        let tiers = parts.tiers.iter().map(|tier| {
            let calls = CallOptions::of(&options, tier.capabilities());
            let Parts {
                store,
                clock,
                recorder,
                ..
            } = &parts;
            Dispatcher::new(tier.clone(), store, clock, recorder, calls)
        });
        let (tiers, dispatchers) = tiers.unzip();
        Self {
            shared: Arc::new(Shared {
                parts,
                options,
                done: Done::new(),
                introductions: Introductions::default(),
                roll_call: RollCall::default(),
                tiers,
                walks: Semaphore::new(WALKS),
                counts: Semaphore::new(1),
            }),
            dispatchers: Mutex::new(dispatchers),
            outage: Outage::default(),
        }
    }

    /// Works until `stop`, and then hands back what it had claimed. Once only.
    pub async fn run(&self, stop: CancellationToken) {
        let mut clients = JoinSet::new();
        for dispatcher in self.dispatchers.lock().drain(..) {
            clients.spawn(dispatcher.run());
        }
        let mut revalidations = JoinSet::new();
        let mut pages = JoinSet::new();
        while !stop.is_cancelled() {
            let claimed = self.claim(&mut revalidations, &mut pages).await;
            let claimed = self.or_record(claimed);
            if claimed == 0 {
                self.idle(&mut revalidations, &mut pages, &stop).await;
            }
        }
        revalidations.shutdown().await;
        pages.shutdown().await;
        clients.shutdown().await;
        self.hand_back().await;
    }

    /// How many jobs were taken: none when the store failed.
    fn or_record(&self, claimed: Result<usize, StoreError>) -> usize {
        claimed
            .inspect(|_| self.outage.worked(CLAIMING))
            .unwrap_or_else(|error| {
                self.outage.failed(CLAIMING, &error);
                let operation = "claim";
                self.shared.record(&Event::StoreFailed { operation });
                0
            })
    }

    /// Takes as many jobs as there are places for; says how many.
    async fn claim(
        &self,
        revalidations: &mut JoinSet<()>,
        pages: &mut JoinSet<()>,
    ) -> Result<usize, StoreError> {
        let Shared { parts, options, .. } = &*self.shared;
        // All of them now: a busy worker is never idle, and what has ended would hold its place for ever.
        reap(revalidations);
        reap(pages);
        let mut claimed = 0;
        let places = options
            .concurrency
            .max(1)
            .saturating_sub(revalidations.len());
        // Even without a place: what is scheduled begins by this.
        let jobs = parts
            .store
            .claim_revalidations(&options.id, places, options.lease)
            .await?;
        claimed += jobs.len();
        for job in jobs {
            revalidations.spawn(Run::new(Arc::clone(&self.shared), job).run());
        }
        if pages.len() < PAGE_GROUPS {
            let jobs = parts
                .store
                .claim_pages(&options.id, PAGES_AT_ONCE, options.lease)
                .await?;
            claimed += jobs.len();
            if !jobs.is_empty() {
                pages.spawn(Pages::new(Arc::clone(&self.shared), jobs).run());
            }
        }
        Ok(claimed)
    }

    /// Waits until there may be something to do.
    async fn idle(
        &self,
        revalidations: &mut JoinSet<()>,
        pages: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) {
        let Shared { parts, options, .. } = &*self.shared;
        // In a fixed order, so that a test replays: whichever it is, everything is looked at again.
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Some(ended) = revalidations.join_next() => report_panic(&ended),
            Some(ended) = pages.join_next() => report_panic(&ended),
            () = parts.wake.notified() => {}
            () = parts.store.queued() => {}
            () = parts.clock.sleep(options.idle_poll) => {}
        }
    }

    async fn hand_back(&self) {
        let Shared { parts, options, .. } = &*self.shared;
        let left = parts.store.hand_back(&options.id);
        let otherwise = "cannot hand jobs back: others take them over once the leases have ended";
        last_word(&*parts.clock, left, otherwise).await;
    }
}

/// Lets go of the tasks that have ended.
fn reap(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.try_join_next() {
        report_panic(&ended);
    }
}

/// A job whose task broke down is taken over once its lease has ended.
fn report_panic(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(error = error as &dyn std::error::Error, "a job broke down");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use isr_core::{JobStore as _, NoRecorder, PageReason, PageUrl, PageWork, TagGraph as _};
    use isr_graph::{MemoryOptions, MemoryStore};

    use super::*;
    use crate::TokioClock;

    async fn worker_with_a_page() -> Worker {
        let clock = Arc::new(TokioClock::new());
        let store = Arc::new(MemoryStore::new(clock.clone(), MemoryOptions::default()));
        let position = store.position().await.unwrap();
        let url: PageUrl = "https://example.com/page".parse().unwrap();
        let generation = position.generation_of(&url);
        let work = PageWork::new(url, generation, PageReason::InFlight);
        store.queue_pages(&[work], Duration::ZERO).await.unwrap();
        let parts = Parts {
            store,
            tiers: Vec::new(),
            warmer: None,
            clock,
            recorder: Arc::new(NoRecorder),
            wake: Arc::default(),
        };
        Worker::new(parts, WorkerOptions::new("worker"))
    }

    /// So many tasks that have ended, and that nobody has joined.
    async fn ended(count: usize) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let spawned: Vec<_> = (0..count).map(|_| tasks.spawn(async {})).collect();
        while !spawned.iter().all(tokio::task::AbortHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        tasks
    }

    /// Where revalidations end as fast as they are claimed, the worker always has one of them to join, and
    /// never waits for pages. Revalidations that wait for pages would then wait for one another.
    #[tokio::test]
    async fn what_has_ended_leaves_its_place_to_pages_also_while_revalidations_keep_ending() {
        let worker = worker_with_a_page().await;
        let mut revalidations = ended(worker.shared.options.concurrency).await;
        let mut pages = ended(PAGE_GROUPS).await;
        let claimed = worker.claim(&mut revalidations, &mut pages).await;
        assert_eq!(claimed.unwrap(), 1);
    }
}
