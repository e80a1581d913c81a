//! Waiting for a revalidation to come so far.

use std::time::Duration;

use isr_core::{Clock, JobStore, Phase, Receipt, RevalidationId, StoreError, TierState};

/// How often a receipt is looked at.
const POLL: Duration = Duration::from_millis(20);

/// How far a caller wants a revalidation to have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Every live edge has acknowledged it: none of them serves anything it concerns as fresh.
    Edges,
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
            Self::Settled => receipt.settled,
            Self::Done => receipt.phase == Phase::Done,
        }
    }
}

/// Waits until a revalidation has come so far, has ended, or `patience` has; answers with the receipt
/// as it then stands, `None` when it is not known. `edge` is the name of the built-in edge's tier.
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
    let deadline = clock.now() + patience;
    loop {
        let Some(receipt) = store.receipt(id).await? else {
            return Ok(None);
        };
        let ended = receipt.phase.is_final() || awaited.reached(&receipt, edge);
        if ended || clock.now() >= deadline {
            return Ok(Some(receipt));
        }
        clock.sleep(POLL).await;
    }
}
