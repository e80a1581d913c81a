//! What is done when a store's history begins: when it is made, and when it may have lost something.
//!
//! The built-in edge, the layer and every bind count everything older as superseded then, by the epoch alone. Other
//! tiers may go on with copies that a lost revalidation should have removed, or of pages that the store has
//! never heard of.

use std::time::Duration;

use isr_core::{
    Beginning, Epoch, Mode, Receipt, RevalidateOptions, RevalidationId, SenderOptions, Source,
    Store, StoreError, Targets,
};

/// What becomes of copies on tiers that know nothing of the store's history, when that begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnHistoryLost {
    /// They stay until their lifetimes end. The default, since a purge of everything sends every visitor to
    /// the origin.
    #[default]
    AgeOut,
    /// Everything is purged on every tier, hard: a lost revalidation may have been so. That is also done when the
    /// store is made, since one that was lost whole looks just like it.
    PurgeAll,
}

/// How long after it was noticed a beginning is dealt with: every sender that lives has reported to the new history
/// by then, so what it had on its way is found again by whatever is purged.
pub(crate) const GRACE: Duration = SenderOptions::LEASE;

/// Deals with the beginning of a history if nobody has. Whoever crashes meanwhile, or does it at the same time,
/// does it under the same name, so it happens once. `noticed` is kept between two looks.
pub(crate) async fn deal_with_beginning(
    store: &dyn Store,
    policy: OnHistoryLost,
    usual: &RevalidateOptions,
    now: Duration,
    noticed: &mut Option<(Epoch, Duration)>,
) -> Result<(), StoreError> {
    let Some(beginning) = store.beginning().await? else {
        return Ok(());
    };
    if noticed.is_none_or(|(epoch, _)| epoch != beginning.epoch) {
        *noticed = Some((beginning.epoch, now));
    }
    if noticed.is_none_or(|(_, at)| now < at + GRACE) {
        return Ok(());
    }
    match policy {
        OnHistoryLost::PurgeAll => purge_all(store, beginning, usual).await?,
        OnHistoryLost::AgeOut if beginning.lost => tracing::error!(
            epoch = %beginning.epoch,
            "the store may have lost revalidations: what other tiers keep may be old until its lifetime ends; \
             `edge-isr purge --everything` removes it now"
        ),
        OnHistoryLost::AgeOut => {}
    }
    store.dealt_with(beginning.epoch).await
}

async fn purge_all(
    store: &dyn Store,
    beginning: Beginning,
    usual: &RevalidateOptions,
) -> Result<(), StoreError> {
    tracing::warn!(
        epoch = %beginning.epoch,
        lost = beginning.lost,
        "the store's history begins here: everything is purged on every tier"
    );
    let options = RevalidateOptions {
        mode: Mode::Hard.into(),
        warm: false,
        at: None,
        // Who wants everything purged then has said so in the configuration, and may be asleep when it happens.
        hold: false,
        ..usual.clone()
    };
    let receipt = Receipt::new(Targets::everything(), options, Source::LostHistory)
        .with_id(RevalidationId::of_beginning(beginning.epoch));
    store.invalidate(receipt).await.map(drop)
}
