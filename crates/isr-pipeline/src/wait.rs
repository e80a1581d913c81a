//! Waiting for a revalidation to come so far.

use std::time::Duration;

use isr_core::{
    Clock, JobStore, Phase, Receipt, RevalidationId, StoreError, TierReceipt, TierState,
};

/// How soon a receipt is looked at again: a tenth of what has been waited already, within these bounds, so
/// that a short wait ends at once and a long one costs the store little.
const SOONEST: Duration = Duration::from_millis(20);
const LATEST: Duration = Duration::from_millis(500);

/// How far a caller wants a revalidation to have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Every live edge has acknowledged it: none of them serves anything it concerns as fresh.
    Edges,
    /// Every tier has taken the purge on.
    Purged,
    /// Nothing made from older data can appear on any tier any more.
    Settled,
    /// Nothing is left to do, warming included.
    Done,
}

impl Awaited {
    /// Whether a receipt has come so far, given the name of the tier that is the built-in edge.
    #[must_use]
    pub fn reached(self, receipt: &Receipt, edge: &str) -> bool {
        match self {
            Self::Edges => receipt.tiers.iter().any(|tier| {
                tier.connector == edge
                    && matches!(tier.state, TierState::Confirmed | TierState::Settled)
            }),
            Self::Purged => {
                let taken_on = |tier: &TierReceipt| {
                    matches!(
                        tier.state,
                        TierState::Accepted | TierState::Confirmed | TierState::Settled
                    )
                };
                !receipt.tiers.is_empty() && receipt.tiers.iter().all(taken_on)
            }
            Self::Settled => receipt.settled,
            Self::Done => receipt.phase == Phase::Done,
        }
    }
}

/// Waits until a revalidation has come so far, has ended or is held, or `patience` has ended; answers with the
/// receipt as it then stands, `None` when it is not known. One that is held does not come further by itself, and
/// whoever waits may be the one who has to release it. `edge` is the name of the built-in edge's tier.
///
/// # Errors
///
/// Whatever the store answers.
pub async fn await_receipt(
    store: &dyn JobStore,
    clock: &dyn Clock,
    id: &RevalidationId,
    awaited: Awaited,
    edge: &str,
    patience: Duration,
) -> Result<Option<Receipt>, StoreError> {
    let begun = clock.now();
    let deadline = begun + patience;
    loop {
        let Some(receipt) = store.receipt(id).await? else {
            return Ok(None);
        };
        let stands = receipt.phase.is_final() || receipt.phase == Phase::Held;
        let ended = stands || awaited.reached(&receipt, edge);
        let now = clock.now();
        if ended || now >= deadline {
            return Ok(Some(receipt));
        }
        let waited = now.saturating_sub(begun);
        let soon = (waited / 10).clamp(SOONEST, LATEST);
        clock.sleep(soon.min(deadline.saturating_sub(now))).await;
    }
}
