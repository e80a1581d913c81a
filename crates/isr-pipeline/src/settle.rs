//! Making sure that nothing made from older data can appear any more.

use std::time::Duration;

use isr_core::{Event, Milestone, Phase, SenderState, TierState};

use crate::revalidation::{Run, Stop};

/// When to look again at senders that are not clean yet.
const SOON: Duration = Duration::from_millis(100);

impl Run {
    /// Settles the revalidation, or says when to look again. When a sender died before it was clean,
    /// it goes back to purging.
    pub(crate) async fn settle(&mut self) -> Result<(), Stop> {
        if self.receipt.settled {
            return Ok(());
        }
        if self.shared.foreign_tiers().next().is_some() && !self.nothing_in_flight().await? {
            return Ok(());
        }
        self.receipt.settled = true;
        for tier in &mut self.receipt.tiers {
            if tier.state != TierState::Failed {
                tier.state = TierState::Settled;
            }
        }
        self.reach(Milestone::Settled);
        self.save().await
    }

    /// Whether every sender is clean and what they had in flight has been purged again. A dead sender
    /// that was not clean sends the revalidation back to purging, which is not settled either.
    async fn nothing_in_flight(&mut self) -> Result<bool, Stop> {
        let position = self.position()?;
        let store = &self.shared.parts.store;
        let senders = store.senders().await?;
        let unclean = senders
            .iter()
            .filter(|sender| !sender.report.clean.covers(&position));
        let (alive, dead): (Vec<&SenderState>, Vec<&SenderState>) =
            unclean.partition(|sender| sender.alive);
        let mourned = &self.receipt.progress.mourned;
        let newly_dead: Vec<_> = dead
            .iter()
            .map(|sender| sender.report.id.clone())
            .filter(|id| !mourned.contains(id))
            .collect();
        if !newly_dead.is_empty() {
            tracing::info!(receipt = %self.receipt.id, "a sender died before it was clean: purging again");
            self.receipt.progress.mourned.extend(newly_dead);
            self.purge_foreign_tiers_again();
            self.receipt.phase = Phase::Purging;
            self.save().await?;
            return Ok(false);
        }
        if !alive.is_empty() || store.pages_outstanding(&position).await? > 0 {
            self.look_at_queue().await?;
            return Err(Stop::Later(SOON));
        }
        Ok(true)
    }

    async fn look_at_queue(&self) -> Result<(), Stop> {
        let depth = self.shared.parts.store.depth().await?;
        self.shared.record(&Event::Queue { depth });
        Ok(())
    }
}
