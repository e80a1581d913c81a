//! Waiting until a tier has carried a purge out.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{CdnConnector, Completion, Reference, TierState};

use crate::revalidation::{Run, Stop};

/// The longest that is waited without giving the job up meanwhile.
const WAITED_FOR: Duration = Duration::from_secs(1);

/// How long a tier may take to carry a purge out that somebody waits for. What it has not by then is asked
/// for again.
pub(crate) const LONGEST_COMPLETION: Duration = Duration::from_mins(15);

/// What is said of a tier that takes longer.
pub(crate) fn not_carried_out(tier: &str) -> String {
    let minutes = LONGEST_COMPLETION.as_secs() / 60;
    format!("{tier} took a purge on and did not carry it out within {minutes} minutes")
}

impl Run {
    /// Waits until everything a tier took on has been carried out. One that cannot be asked stays
    /// accepted.
    pub(crate) async fn confirm_tier(
        &mut self,
        index: usize,
        tier: &Arc<dyn CdnConnector>,
    ) -> Result<(), Stop> {
        if !tier.capabilities().observes_completion {
            return Ok(());
        }
        // Still to be asked about when this is taken up again.
        self.receipt.tiers[index].state = TierState::Sent;
        self.confirm_so_far(index, tier, WAITED_FOR).await?;
        self.receipt.tiers[index].state = TierState::Confirmed;
        Ok(())
    }

    /// Waits until everything that a tier has taken on by now has been carried out. It may take on no
    /// more before that, and would never be seen to be done if it were not asked. Where it wants to be left
    /// alone for more than `longest`, the job is given up meanwhile. One that is never done has failed.
    pub(crate) async fn confirm_so_far(
        &mut self,
        index: usize,
        tier: &Arc<dyn CdnConnector>,
        longest: Duration,
    ) -> Result<(), Stop> {
        let until = self.shared.parts.clock.now() + LONGEST_COMPLETION;
        while let Some(reference) = self.receipt.progress.references.last().cloned() {
            let answer = self.holding(tier.poll(&Reference(reference))).await?;
            match answer.map_err(|error| self.failed_call(index, &error))? {
                Completion::Complete => {
                    self.receipt.progress.references.pop();
                }
                Completion::Pending { .. } if self.shared.parts.clock.now() >= until => {
                    return Err(Stop::Failed {
                        error: not_carried_out(&self.receipt.tiers[index].connector),
                        retry_after: None,
                    });
                }
                Completion::Pending { retry_after } if retry_after <= longest => {
                    self.holding(self.shared.parts.clock.sleep(retry_after))
                        .await?;
                }
                Completion::Pending { retry_after } => return Err(Stop::Later(retry_after)),
            }
        }
        Ok(())
    }
}
