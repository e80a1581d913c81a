//! One revalidation on its way through the phases.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Claim, Claimed, Event, Leave, Milestone, Phase, Position, Progress, Receipt, StoreError,
    TierReceipt, TierState,
};

use crate::backoff;
use crate::worker::Shared;

/// Why a revalidation is not gone on with now.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It waits for something outside.
    Later(Duration),
    /// A step failed and may succeed later.
    Failed {
        error: String,
        retry_after: Option<Duration>,
    },
    /// It concerns so many pages that somebody has to release it.
    Held,
    /// It has done all it can, and that is not enough.
    GiveUp,
    /// The store failed, or somebody else has the job.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A claimed revalidation.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) shared: Arc<Shared>,
    claim: Claim,
    pub(crate) receipt: Receipt,
    /// How old it was when this process's clock showed that; `None` until somebody wants to know.
    age: Option<(Duration, Duration)>,
}

impl Run {
    pub(crate) fn new(shared: Arc<Shared>, claimed: Claimed<Receipt>) -> Self {
        Self {
            shared,
            claim: claimed.claim,
            receipt: claimed.work,
            age: None,
        }
    }

    /// Goes on with the revalidation as far as it can, and leaves it.
    pub(crate) async fn run(mut self) {
        let left = match self.phases().await {
            Ok(()) => self.leave(Leave::Done).await,
            Err(Stop::Later(delay)) => {
                self.leave(Leave::Later {
                    delay,
                    failed: false,
                })
                .await
            }
            Err(Stop::Held) => self.leave(Leave::Held).await,
            Err(Stop::Failed { error, retry_after }) => self.fail(error, retry_after).await,
            Err(Stop::GiveUp) => self.give_up().await,
            Err(Stop::Store(error)) => Err(error),
        };
        if let Err(error) = left {
            tracing::warn!(
                receipt = %self.receipt.id,
                error = &error as &dyn std::error::Error,
                "left a revalidation to whoever claims it next"
            );
            self.shared.record(&Event::StoreFailed {
                operation: "revalidation",
            });
        }
    }

    async fn phases(&mut self) -> Result<(), Stop> {
        self.meet_tiers();
        self.repeat_after_lag().await?;
        loop {
            match self.receipt.phase {
                Phase::Queued | Phase::Scheduled | Phase::Held | Phase::Failed => self.begin(),
                Phase::Purging => {
                    self.purge().await?;
                    self.enter(Phase::Warming).await?;
                }
                Phase::Warming => {
                    self.warm().await?;
                    self.reach(Milestone::Warmed).await;
                    if self.was_verified() {
                        self.reach(Milestone::Verified).await;
                    }
                    self.enter(Phase::Settling).await?;
                }
                Phase::Settling => {
                    self.settle().await?;
                    self.receipt.phase = Phase::Done;
                }
                Phase::Done | Phase::Cancelled => return Ok(()),
            }
        }
    }

    /// Lists the tiers as they are configured here, which may be otherwise than where the revalidation
    /// was worked on before. One that is new has to be purged; those that are done stay done.
    fn meet_tiers(&mut self) {
        let tiers = &self.shared.tiers;
        let known = self.receipt.tiers.iter();
        if known
            .map(|tier| tier.connector.as_str())
            .eq(tiers.iter().map(|tier| tier.tier.name()))
        {
            return;
        }
        let mut known = std::mem::take(&mut self.receipt.tiers);
        for tier in tiers {
            let found = known
                .iter()
                .position(|old| old.connector == tier.tier.name());
            let mut receipt = found.map_or_else(
                || TierReceipt::queued(tier.tier.name()),
                |index| known.swap_remove(index),
            );
            // The walk starts over, and so must what was half way through it.
            if receipt.state == TierState::Sent {
                receipt.state = TierState::Queued;
            }
            self.receipt.tiers.push(receipt);
        }
        self.restart_walk();
        let queued = |tier: &TierReceipt| tier.state == TierState::Queued;
        if !self.receipt.phase.is_final() && self.receipt.tiers.iter().any(queued) {
            self.receipt.phase = Phase::Purging;
        }
    }

    /// Starts from the front; tiers that are done stay done.
    fn begin(&mut self) {
        for tier in &mut self.receipt.tiers {
            if tier.state == TierState::Failed {
                tier.state = TierState::Queued;
            }
        }
        self.receipt.failures = 0;
        self.receipt.error = None;
        self.restart_walk();
        self.receipt.phase = Phase::Purging;
    }

    /// Starts the walk over the targets from the front.
    pub(crate) fn restart_walk(&mut self) {
        let Progress {
            repeated,
            mourned,
            lag,
            weighed,
            ..
        } = std::mem::take(&mut self.receipt.progress);
        self.receipt.progress = Progress {
            repeated,
            mourned,
            lag,
            weighed,
            ..Progress::default()
        };
    }

    async fn enter(&mut self, phase: Phase) -> Result<(), Stop> {
        self.restart_walk();
        self.receipt.phase = phase;
        self.save().await
    }

    /// Saves the receipt as it stands: everything in it has happened.
    pub(crate) async fn save(&mut self) -> Result<(), Stop> {
        let Shared { parts, options, .. } = &*self.shared;
        Ok(parts
            .store
            .save(&self.claim, &self.receipt, options.lease)
            .await?)
    }

    /// Works on something while the claim is kept up.
    pub(crate) async fn holding<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let Shared { parts, options, .. } = &*self.shared;
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return Ok(result),
                () = parts.clock.sleep(options.lease / 3) => {
                    parts.store.save(&self.claim, &self.receipt, options.lease).await?;
                }
            }
        }
    }

    /// The position it made. The store fills it in before it hands the job out.
    pub(crate) fn position(&self) -> Result<Position, Stop> {
        self.receipt.position.clone().ok_or_else(|| Stop::Failed {
            error: "the store has not said which generation this revalidation made".to_owned(),
            retry_after: None,
        })
    }

    /// Takes note of a milestone that is reached for the first time. How long that took is by the store's
    /// clock, since claims end and other processes go on; where the store cannot say, nobody hears of it.
    pub(crate) async fn reach(&mut self, milestone: Milestone) {
        if self.is_repeated(milestone) {
            return;
        }
        let clock = Arc::clone(&self.shared.parts.clock);
        if self.age.is_none()
            && let Some(began) = self.receipt.began()
            && let Ok(time) = self.shared.parts.store.time().await
        {
            self.age = Some((time.since(began), clock.now()));
        }
        if let Some((age, at)) = self.age {
            let after = age + clock.now().saturating_sub(at);
            self.shared.record(&Event::Reached { milestone, after });
        }
    }

    /// Whether it has gone through a milestone before, as it is purged and warmed again.
    fn is_repeated(&self, milestone: Milestone) -> bool {
        let progress = &self.receipt.progress;
        match milestone {
            Milestone::Purged | Milestone::Confirmed => {
                progress.repeated || !progress.mourned.is_empty()
            }
            Milestone::Warmed | Milestone::Verified => !progress.mourned.is_empty(),
            Milestone::Settled => false,
        }
    }

    /// Whether the warm-up has seen every page that it asked for, and none of them old.
    fn was_verified(&self) -> bool {
        let warm = &self.receipt.warm;
        warm.failed == 0 && warm.verified == warm.warmed && warm.warmed > 0
    }

    /// Whether every tier has taken everything on.
    pub(crate) fn is_purged(&self) -> bool {
        let done = |tier: &TierReceipt| {
            matches!(
                tier.state,
                TierState::Accepted | TierState::Confirmed | TierState::Settled
            )
        };
        self.receipt.tiers.iter().all(done)
    }

    /// Something has been done: what failed before no longer counts.
    pub(crate) fn progressed(&mut self) {
        self.receipt.failures = 0;
        self.receipt.error = None;
    }

    pub(crate) fn any_tier_failed(&self) -> bool {
        self.receipt
            .tiers
            .iter()
            .any(|tier| tier.state == TierState::Failed)
    }

    async fn fail(
        &mut self,
        error: String,
        retry_after: Option<Duration>,
    ) -> Result<(), StoreError> {
        self.receipt.failures += 1;
        self.receipt.error = Some(error);
        let options = &self.shared.options;
        if self.receipt.failures >= options.attempts {
            return self.give_up().await;
        }
        let delay = backoff::delay(options, self.receipt.failures, retry_after);
        self.leave(Leave::Later {
            delay,
            failed: true,
        })
        .await
    }

    async fn give_up(&mut self) -> Result<(), StoreError> {
        // The generations must move again even if no tier can be purged.
        if let Some(delay) = self.begin_to_wait_for_replica() {
            let failed = false;
            return self.leave(Leave::Later { delay, failed }).await;
        }
        self.receipt.phase = Phase::Failed;
        if self.receipt.error.is_none() {
            self.receipt.error = self
                .receipt
                .tiers
                .iter()
                .find_map(|tier| tier.error.clone());
        }
        self.shared.record(&Event::RevalidationFailed);
        self.leave(Leave::Dead).await
    }

    async fn leave(&self, how: Leave) -> Result<(), StoreError> {
        self.shared
            .parts
            .store
            .leave(&self.claim, &self.receipt, &how)
            .await
    }
}
