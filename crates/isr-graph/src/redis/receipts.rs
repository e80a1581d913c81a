//! Receipts, as they stand.

use isr_core::{
    Collected, Cursor, Receipt, ReceiptChunk, ReceiptFilter, RevalidationId, StoreError,
};

use super::link::Lane;
use super::revalidate::{Stored, read_receipt};
use super::scripts::RECEIPTS;
use super::{HOME, RedisStore};
use crate::listing::{looked_at, wanted_of};

/// The most receipts that one call removes, and calls in one step of the garbage collection.
const REMOVED_AT_ONCE: u64 = 256;
const CALLS_A_STEP: usize = 16;

/// Receipts, the last one looked at, when it was made, and whether there are more.
type Listed = (Vec<Stored>, String, String, bool);

pub(super) async fn one_receipt(
    store: &RedisStore,
    id: &RevalidationId,
) -> Result<Option<Receipt>, StoreError> {
    let found: Vec<Stored> = store
        .run(Lane::Bulk, HOME, &RECEIPTS, |_, command| {
            command.arg("one").arg(id.to_string());
        })
        .await?;
    found.first().map(|stored| read(store, stored)).transpose()
}

/// Some of the receipts, newest first. A cursor is when the last one looked at was made, and its id.
pub(super) async fn list_receipts(
    store: &RedisStore,
    wanted: &ReceiptFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<ReceiptChunk, StoreError> {
    let limit = limit.max(1);
    let (made, id) = after
        .and_then(|cursor| cursor.0.split_once(' '))
        .filter(|(made, _)| made.parse::<u64>().is_ok())
        .unwrap_or_default();
    let until = wanted.until.map(|until| until.as_millis().to_string());
    let (found, last, last_made, is_more): Listed = store
        .run(Lane::Bulk, HOME, &RECEIPTS, |_, command| {
            command.arg("list").arg(looked_at(wanted, limit));
            command.arg(until.as_deref().unwrap_or_default());
            command.arg(id).arg(made);
        })
        .await?;
    let place = |made: &str, id: &str| Cursor(format!("{made} {id}"));
    let found = found.iter().map(|stored| {
        let receipt = read(store, stored)?;
        let place = place(&stored.2.to_string(), &receipt.id.to_string());
        Ok((place, receipt))
    });
    let found = found.collect::<Result<Vec<_>, StoreError>>()?;
    let rest = is_more.then(|| place(&last_made, &last));
    let (receipts, next) = wanted_of(found, wanted, limit, rest);
    Ok(ReceiptChunk { receipts, next })
}

/// Removes what is left of receipts that are kept no longer, or some of it.
pub(super) async fn collect_receipts(store: &RedisStore) -> Result<Collected, StoreError> {
    let mut collected = Collected {
        more: true,
        ..Collected::default()
    };
    for _ in 0..CALLS_A_STEP {
        let (removed, given_up): (u64, u64) = store
            .run(Lane::Bulk, HOME, &RECEIPTS, |_, command| {
                command.arg("collect").arg(REMOVED_AT_ONCE);
            })
            .await?;
        collected.receipts += removed;
        collected.given_up += given_up;
        collected.more = removed == REMOVED_AT_ONCE;
        if !collected.more {
            break;
        }
    }
    Ok(collected)
}

fn read(store: &RedisStore, stored: &Stored) -> Result<Receipt, StoreError> {
    read_receipt(stored, store.options.partitions).map(|(receipt, _)| receipt)
}
