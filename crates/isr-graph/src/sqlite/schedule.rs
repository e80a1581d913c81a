//! Revalidations that wait for their time.

use isr_core::{Phase, Receipt, RevalidationId, Timestamp};
use rusqlite::Connection;

use super::failure::Failure;
use super::readers::Read;
use super::receipts::Ended;
use super::state::at_most;
use super::writer::Write;
use super::{graph, held, receipts};
use crate::BEGUN_AT_ONCE;

/// What a time by the store's clock, in microseconds, is for everybody else.
pub(super) fn timestamp(microseconds: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(microseconds / 1_000).unwrap_or_default())
}

fn microseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis().saturating_mul(1_000)).unwrap_or(i64::MAX)
}

/// Keeps a revalidation until its time has come.
pub(super) fn add(
    write: &mut Write<'_>,
    receipt: Receipt,
    at: Timestamp,
) -> Result<Receipt, Failure> {
    let phase = Phase::Scheduled;
    let receipt = Receipt { phase, ..receipt };
    receipts::insert(write, &receipt)?;
    write
        .connection
        .prepare_cached("INSERT INTO scheduled (at, receipt) VALUES (?, ?)")?
        .execute((microseconds(at), receipt.id.to_string()))?;
    write.state.scheduled += 1;
    Ok(receipt)
}

/// Whether anything's time has come.
pub(super) fn is_anything_due(read: &Read<'_>) -> Result<bool, Failure> {
    Ok(first_at(read.connection)?.is_some_and(|at| at <= read.now))
}

/// The time of the first that is to begin.
pub(super) fn first_at(connection: &Connection) -> Result<Option<i64>, Failure> {
    let mut select = connection.prepare_cached("SELECT min(at) FROM scheduled")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// Begins some of what is due, each as if it had just been asked for.
pub(super) fn begin_due(write: &mut Write<'_>) -> Result<(), Failure> {
    let due: Vec<(i64, String)> = {
        let mut select = write.connection.prepare_cached(
            "SELECT at, receipt FROM scheduled WHERE at <= ? ORDER BY at, receipt LIMIT ?",
        )?;
        let rows = select.query_map((write.now, at_most(BEGUN_AT_ONCE)), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    for (at, id) in due {
        remove(write, at, &id)?;
        let receipt = receipts::find(write.connection, &id.parse()?)?.ok_or_else(|| {
            Failure::unreadable(format!("what is scheduled as {id} has no receipt"))
        })?;
        let receipt = graph::begin(write, receipt)?;
        receipts::update(write, &receipt, Ended::Not)?;
    }
    Ok(())
}

/// Calls one off, if it has not begun or is held; says how it stands then.
pub(super) fn cancel(
    write: &mut Write<'_>,
    id: &RevalidationId,
) -> Result<Option<Receipt>, Failure> {
    let Some(mut receipt) = receipts::find(write.connection, id)? else {
        return Ok(None);
    };
    let is_scheduled = match receipt.options.at.map(microseconds) {
        Some(at) => remove(write, at, &id.to_string())?,
        None => false,
    };
    if is_scheduled || held::remove(write, id)? {
        receipt.phase = Phase::Cancelled;
        receipts::update(write, &receipt, Ended::Finished)?;
    }
    Ok(Some(receipt))
}

/// Schedules something no more; `false` when it was not.
fn remove(write: &mut Write<'_>, at: i64, id: &str) -> Result<bool, Failure> {
    let removed = write
        .connection
        .prepare_cached("DELETE FROM scheduled WHERE at = ? AND receipt = ?")?
        .execute((at, id))?;
    write.state.scheduled -= i64::from(removed > 0);
    Ok(removed > 0)
}
