//! Receipts, as they stand.

use isr_core::{Receipt, RevalidationId, StoreError};

use super::link::Lane;
use super::revalidate::{Stored, read_receipt};
use super::scripts::RECEIPTS;
use super::{HOME, RedisStore};

/// The most receipts that one call gives or removes.
const RECEIPTS_A_CALL: usize = 256;

pub(super) async fn one_receipt(
    store: &RedisStore,
    id: &RevalidationId,
) -> Result<Option<Receipt>, StoreError> {
    Ok(ask(store, &id.to_string(), 1).await?.pop())
}

pub(super) async fn newest_receipts(
    store: &RedisStore,
    limit: usize,
) -> Result<Vec<Receipt>, StoreError> {
    ask(store, "newest", limit.min(RECEIPTS_A_CALL)).await
}

/// Removes what is left of receipts that are kept no longer.
pub(super) async fn collect_receipts(store: &RedisStore) -> Result<u64, StoreError> {
    store
        .run(Lane::Bulk, HOME, &RECEIPTS, |_, command| {
            command.arg("collect").arg(RECEIPTS_A_CALL);
        })
        .await
}

async fn ask(store: &RedisStore, which: &str, limit: usize) -> Result<Vec<Receipt>, StoreError> {
    let found: Vec<Stored> = store
        .run(Lane::Bulk, HOME, &RECEIPTS, |_, command| {
            command.arg(which).arg(limit);
        })
        .await?;
    let read = |stored: &Stored| {
        read_receipt(stored, store.options.partitions).map(|(receipt, _)| receipt)
    };
    found.iter().map(read).collect()
}
