//! What is seen of a revalidation.

use isr_core::{Phase, Receipt, TierState};

/// What is known of a scheduled revalidation, and of any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    /// Whether its history was lost, and nothing more is promised of it.
    pub(crate) void: bool,
    /// Whether somebody has tried to call it off.
    pub(crate) asked_to_call_off: bool,
    /// Whether that is done.
    pub(crate) called_off: bool,
}

/// What a receipt says.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) settled: bool,
    pub(crate) called_off: bool,
    /// Whether a generation has moved for it.
    pub(crate) begun: bool,
    /// The tiers that have carried it out, each a bit.
    pub(crate) confirmed: u32,
}

impl Seen {
    pub(crate) fn of(receipt: &Receipt) -> Self {
        let confirmed = receipt
            .tiers
            .iter()
            .filter(|tier| matches!(tier.state, TierState::Confirmed | TierState::Settled));
        Self {
            settled: receipt.settled,
            called_off: receipt.phase == Phase::Cancelled,
            begun: receipt.position.is_some(),
            confirmed: confirmed
                .filter_map(|tier| tier.connector.strip_prefix("cdn")?.parse::<u32>().ok())
                .fold(0, |tiers, tier| tiers | 1 << tier),
        }
    }
}
