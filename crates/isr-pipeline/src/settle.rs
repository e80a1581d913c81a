//! Making sure that nothing made from older data can appear any more.

use std::time::Duration;

use isr_core::{Epoch, Milestone, Phase, Position, SenderState, TierState};

use crate::revalidation::{Run, Stop};

/// When to look again at senders that are not clean yet.
const SOON: Duration = Duration::from_millis(100);
/// And how much longer each time: about a ninth of what has been waited already, so that one settles
/// soon after it may, and a response that takes an hour costs hundreds of looks and not thousands.
const LONGER: f64 = 1.125;
/// But never longer than this.
const LATEST: Duration = Duration::from_secs(5);
/// How far the clocks of a store's servers may be apart: one says when a sender's lease ended, another one
/// when a revalidation was accepted.
const CLOCKS: Duration = Duration::from_mins(1);

impl Run {
    /// Settles the revalidation, or says when to go on: to look again, or, when a sender died before
    /// it was clean, to purge again.
    pub(crate) async fn settle(&mut self) -> Result<(), Stop> {
        if self.receipt.settled {
            return Ok(());
        }
        if let Some(delay) = self.begin_to_wait_for_replica() {
            return Err(Stop::Later(delay));
        }
        if self.shared.foreign_tiers().next().is_some() {
            self.nothing_in_flight().await?;
        }
        // Only now: whoever replays it later need purge nothing but the tiers that failed.
        if self.any_tier_failed() {
            return Err(Stop::GiveUp);
        }
        if !self.repeat_is_settled().await? {
            return Err(self.look_later());
        }
        self.receipt.settled = true;
        for tier in &mut self.receipt.tiers {
            tier.state = TierState::Settled;
        }
        self.reach(Milestone::Settled).await;
        self.save().await
    }

    /// Goes on once every sender is clean and what they had in flight has been purged again. A dead
    /// sender that was not clean sends the revalidation back to purging.
    async fn nothing_in_flight(&mut self) -> Result<(), Stop> {
        let position = self.position_to_settle().await?;
        self.senders_are_known(position.epoch).await?;
        let store = &self.shared.parts.store;
        let clock = &self.shared.parts.clock;
        let roll_call = &self.shared.roll_call;
        let senders = roll_call.senders(&**clock, store.senders()).await?;
        let unclean = senders
            .iter()
            .filter(|sender| !sender.report.clean.covers(&position));
        let (alive, dead): (Vec<&SenderState>, Vec<&SenderState>) =
            unclean.partition(|sender| sender.alive);
        let mourned = &self.receipt.progress.mourned;
        let newly_dead: Vec<_> = dead
            .into_iter()
            .filter(|sender| !self.was_over_before(sender))
            .map(|sender| sender.report.id.clone())
            .filter(|id| !mourned.contains(id))
            .collect();
        if !newly_dead.is_empty() {
            tracing::info!(receipt = %self.receipt.id, "a sender died before it was clean: purging again");
            self.receipt.progress.mourned.extend(newly_dead);
            // And a second time after that, if it was to be.
            self.receipt.progress.repeated = false;
            self.purge_foreign_tiers_again();
            self.receipt.phase = Phase::Purging;
            // The last of what it sent may be stored until then, and the purge must find it.
            return Err(Stop::Later(self.settling_time()));
        }
        // What is to be given up on does not wait for pages, which may have been given up on as well.
        let waits_for_pages = !self.any_tier_failed();
        if !alive.is_empty() || waits_for_pages && store.pages_outstanding(&position).await? > 0 {
            return Err(self.look_later());
        }
        Ok(())
    }

    /// Goes on once every sender has had the time to report to a store that may have forgotten it. Some may have
    /// died meanwhile, so everything is purged again then.
    async fn senders_are_known(&mut self, epoch: Epoch) -> Result<(), Stop> {
        let parts = &self.shared.parts;
        let introductions = &self.shared.introductions;
        let Some(left) = introductions
            .last(&*parts.store, &*parts.clock, epoch)
            .await?
        else {
            return Ok(());
        };
        tracing::info!(receipt = %self.receipt.id, "the store may have forgotten senders: purging again");
        self.receipt.progress.repeated = false;
        self.purge_foreign_tiers_again();
        self.receipt.phase = Phase::Purging;
        Err(Stop::Later(left + self.settling_time()))
    }

    /// Whether a dead sender died so long before this was accepted that tiers had stored all of what it sent, so that
    /// the purge has found it.
    fn was_over_before(&self, dead: &SenderState) -> bool {
        let stored = dead.lease_ends.after(self.settling_time() + CLOCKS);
        self.receipt.made.is_some_and(|made| made >= stored)
    }

    fn look_later(&mut self) -> Stop {
        let looks = &mut self.receipt.progress.looks;
        let delay = SOON
            .mul_f64(LONGER.powf(f64::from((*looks).min(64))))
            .min(LATEST);
        *looks = looks.saturating_add(1);
        Stop::Later(delay)
    }

    /// The longest time that a tier may take to store what it has received.
    fn settling_time(&self) -> Duration {
        let tiers = self.shared.foreign_tiers();
        tiers
            .map(|tier| tier.tier.capabilities().settling_time)
            .max()
            .unwrap_or_default()
    }

    /// What senders must be clean up to. Nobody reports any more how far he is clean by a history that
    /// was lost; whoever has heard of the one after it holds himself unclean, from its first number on,
    /// for all that he sent before.
    async fn position_to_settle(&self) -> Result<Position, Stop> {
        let made = self.position()?;
        let now = self.shared.parts.store.position().await?;
        if now.epoch == made.epoch {
            return Ok(made);
        }
        let numbers = now.numbers().iter().map(|&number| number.max(1));
        Ok(Position::new(now.epoch, numbers))
    }
}
