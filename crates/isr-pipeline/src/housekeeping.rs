//! What somebody has to do now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Clock, Cursor, Epoch, Event, Recorder, RevalidateOptions, SenderId, Store, StoreError, Tier,
};
use tokio_util::sync::CancellationToken;

use crate::beginnings::{OnHistoryLost, deal_with_beginning};
use crate::returning::replay_for_tiers_that_are_back;

/// How often the queue and the graph are looked at for the metrics.
const LOOK: Duration = Duration::from_secs(10);

/// Looks between two garbage collections.
const LOOKS_PER_COLLECTION: u32 = 6;

/// Pairs looked at in one call of a garbage collection.
const COLLECTED_AT_ONCE: usize = 10_000;

/// How long a dead sender is remembered, so that every revalidation of its time can mourn it. What it
/// had in flight has long been stored by then, so purges made later need not know of it.
const MOURNING: Duration = Duration::from_hours(1);

/// Deals with a history's beginning, collects garbage, forgets senders that died long ago, has tiers purged that are back, and looks at
/// the store for the metrics.
#[derive(Debug)]
pub struct Housekeeper {
    store: Arc<dyn Store>,
    tiers: Vec<Tier>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
    on_history_lost: OnHistoryLost,
    usual: RevalidateOptions,
}

/// What is kept between two looks.
#[derive(Debug, Default)]
struct Notes {
    /// When each sender was first seen dead from here.
    dead: HashMap<SenderId, Duration>,
    /// How far dead letters have been looked at.
    looked_at: Option<Cursor>,
    /// A history that has begun, and when that was first seen from here.
    beginning: Option<(Epoch, Duration)>,
}

impl Housekeeper {
    /// A housekeeper. Several may serve one store; that costs a little and harms nothing.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        tiers: Vec<Tier>,
        clock: Arc<dyn Clock>,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        Self {
            store,
            tiers,
            clock,
            recorder,
            on_history_lost: OnHistoryLost::default(),
            usual: RevalidateOptions::default(),
        }
    }

    /// What it does when the store may have lost revalidations, or was made, and what the site `usual`ly chooses:
    /// its replica lag and its second purge count then too. Default: let copies age out.
    #[must_use]
    pub fn on_history_lost(mut self, policy: OnHistoryLost, usual: RevalidateOptions) -> Self {
        self.on_history_lost = policy;
        self.usual = usual;
        self
    }

    /// Keeps house until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut notes = Notes::default();
        for look in 0_u32.. {
            if let Err(error) = self.round(look, &mut notes).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot look after the store"
                );
                self.recorder.record(&Event::StoreFailed {
                    operation: "housekeeping",
                });
            }
            tokio::select! {
                biased;
                () = self.clock.sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn round(&self, look: u32, notes: &mut Notes) -> Result<(), StoreError> {
        let (policy, now) = (self.on_history_lost, self.clock.now());
        deal_with_beginning(&*self.store, policy, &self.usual, now, &mut notes.beginning).await?;
        self.look().await?;
        self.dismiss_the_long_dead(&mut notes.dead).await?;
        replay_for_tiers_that_are_back(&*self.store, &self.tiers, &mut notes.looked_at).await?;
        if look.is_multiple_of(LOOKS_PER_COLLECTION) {
            self.collect().await?;
        }
        Ok(())
    }

    async fn collect(&self) -> Result<(), StoreError> {
        loop {
            let collected = self.store.collect_garbage(COLLECTED_AT_ONCE).await?;
            if collected.given_up > 0 {
                tracing::warn!(
                    revalidations = collected.given_up,
                    "forgot revalidations that were given up on long ago and never replayed: the tiers that \
                     failed may hold what they were to be purged of until it expires there"
                );
            }
            if !collected.more {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let depth = self.store.depth().await?;
        self.recorder.record(&Event::Queue { depth });
        let graph = self.store.statistics(0).await?;
        self.recorder.record(&Event::Graph {
            pages: graph.pages,
            tags: graph.tags,
            edges: graph.edges,
            bytes: graph.bytes,
        });
        for tier in &self.tiers {
            self.look_at_rates(tier).await?;
        }
        Ok(())
    }

    /// How much of a tier's emptiest bucket is left. One without rate limits has none to run out of.
    async fn look_at_rates(&self, tier: &Tier) -> Result<(), StoreError> {
        let mut least = None;
        for limit in tier.capabilities().rates() {
            let there = f64::from(self.store.left(limit).await?);
            let left = there / f64::from(limit.burst.get());
            least = Some(left.min(least.unwrap_or(left)));
        }
        if let Some(left) = least {
            let connector = tier.name();
            self.recorder.record(&Event::RateBudget { connector, left });
        }
        Ok(())
    }

    /// `dead` holds when each sender was first seen dead from here.
    async fn dismiss_the_long_dead(
        &self,
        dead: &mut HashMap<SenderId, Duration>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let senders = self.store.senders().await?;
        dead.retain(|id, _| {
            senders
                .iter()
                .any(|sender| !sender.alive && sender.report.id == *id)
        });
        for sender in senders.iter().filter(|sender| !sender.alive) {
            let since = *dead.entry(sender.report.id.clone()).or_insert(now);
            if now.saturating_sub(since) >= MOURNING {
                self.store.dismiss(&sender.report.id).await?;
            }
        }
        Ok(())
    }
}
