//! Receipts, and the senders' reports: what is stored as JSON and found by its name.

use isr_core::{
    Collected, Cursor, Receipt, ReceiptChunk, ReceiptFilter, RevalidationId, SenderId,
    SenderReport, SenderState, Timestamp,
};
use rusqlite::{Connection, OptionalExtension};

use super::failure::Failure;
use super::job_row::Kind;
use super::queue;
use super::readers::Read;
use super::state::{at_most, micros};
use super::writer::Write;
use crate::GIVEN_UP_KEPT;
use crate::listing::{looked_at, wanted_of};

/// Receipts that one garbage collection removes at most.
const COLLECTED_AT_ONCE: i64 = 1_000;

/// Of the receipts that one call reads: a revalidation may have ten thousand targets.
const BYTES_AT_ONCE: usize = 1024 * 1024;

pub(super) fn find(
    connection: &Connection,
    id: &RevalidationId,
) -> Result<Option<Receipt>, Failure> {
    let mut select = connection.prepare_cached("SELECT body FROM receipt WHERE id = ?")?;
    let body: Option<String> = select
        .query_row([id.to_string()], |row| row.get(0))
        .optional()?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
}

/// Some of the receipts, newest first; a cursor is the number of the last one looked at.
pub(super) fn list(
    connection: &Connection,
    wanted: &ReceiptFilter,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<ReceiptChunk, Failure> {
    let before = match (after, wanted.until) {
        (Some(cursor), _) => cursor.0.parse().unwrap_or_default(),
        (None, Some(until)) => beyond(connection, until)?,
        (None, None) => i64::MAX,
    };
    let limit = limit.max(1);
    let most = looked_at(wanted, limit);
    let mut select = connection.prepare_cached(
        "SELECT sequence, body FROM receipt WHERE sequence < ? ORDER BY sequence DESC LIMIT ?",
    )?;
    // One more, to know whether there are any.
    let mut rows = select.query((before, at_most(most + 1)))?;
    let (mut some, mut bytes, mut rest) = (Vec::<(i64, Receipt)>::new(), 0, None);
    while let Some(row) = rows.next()? {
        if some.len() == most || bytes > BYTES_AT_ONCE {
            rest = some.last().map(|(sequence, _)| *sequence);
            break;
        }
        let body = row.get_ref(1)?.as_str().map_err(Failure::unreadable)?;
        bytes += body.len();
        some.push((row.get(0)?, serde_json::from_str(body)?));
    }
    let (receipts, next) = wanted_of(some, wanted, limit, rest);
    Ok(ReceiptChunk {
        receipts,
        next: next.map(|sequence| Cursor(sequence.to_string())),
    })
}

/// The number after that of the last receipt that was accepted at some time or earlier.
fn beyond(connection: &Connection, until: Timestamp) -> Result<i64, Failure> {
    let mut select = connection.prepare_cached(
        "SELECT sequence FROM receipt WHERE made <= ? ORDER BY made DESC, sequence DESC LIMIT 1",
    )?;
    let last: Option<i64> = select
        .query_row([until.as_millis().cast_signed()], |row| row.get(0))
        .optional()?;
    Ok(last.map_or(0, |last| last + 1))
}

pub(super) fn insert(write: &Write<'_>, receipt: &Receipt) -> Result<(), Failure> {
    let mut insert = write
        .connection
        .prepare_cached("INSERT INTO receipt (id, body, made) VALUES (?, ?, ?)")?;
    insert.execute((
        receipt.id.to_string(),
        serde_json::to_string(receipt)?,
        receipt.made.map(|made| made.as_millis().cast_signed()),
    ))?;
    Ok(())
}

/// Whether anybody is going to work on a revalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Not,
    /// Nothing is left to do.
    Finished,
    /// Not until it is replayed.
    GivenUp,
}

/// Stores a receipt as it stands now.
pub(super) fn update(write: &Write<'_>, receipt: &Receipt, ended: Ended) -> Result<(), Failure> {
    let mut update = write
        .connection
        .prepare_cached("UPDATE receipt SET body = ?, finished = ?, given_up = ? WHERE id = ?")?;
    let at = |is_it: bool| is_it.then_some(write.now);
    update.execute((
        serde_json::to_string(receipt)?,
        at(ended == Ended::Finished),
        at(ended == Ended::GivenUp),
        receipt.id.to_string(),
    ))?;
    Ok(())
}

/// Notes that a revalidation is worked on again.
pub(super) fn not_given_up(write: &Write<'_>, id: &RevalidationId) -> Result<(), Failure> {
    write
        .connection
        .prepare_cached("UPDATE receipt SET given_up = NULL WHERE id = ?")?
        .execute([id.to_string()])?;
    Ok(())
}

/// Removes some of the receipts that have ended longer ago than they are kept, and the jobs of those that
/// were given up on.
pub(super) fn collect(write: &mut Write<'_>) -> Result<Collected, Failure> {
    let keep = write.options.keep_receipts;
    let forgotten: Vec<String> = {
        let mut delete = write.connection.prepare_cached(
            "DELETE FROM receipt WHERE sequence IN \
             (SELECT sequence FROM receipt WHERE given_up <= ? ORDER BY given_up LIMIT ?) \
             RETURNING id",
        )?;
        let until = write.now - micros(GIVEN_UP_KEPT.max(keep));
        let rows = delete.query_map((until, COLLECTED_AT_ONCE), |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    for id in &forgotten {
        queue::forget(write, Kind::Revalidation, id)?;
    }
    let mut delete = write.connection.prepare_cached(
        "DELETE FROM receipt WHERE sequence IN \
         (SELECT sequence FROM receipt WHERE finished <= ? ORDER BY finished LIMIT ?)",
    )?;
    let removed = delete.execute((write.now - micros(keep), COLLECTED_AT_ONCE))?;
    let (removed, given_up) = (removed as u64, forgotten.len() as u64);
    Ok(Collected {
        receipts: removed + given_up,
        given_up,
        more: removed.max(given_up) == COLLECTED_AT_ONCE.unsigned_abs(),
        ..Collected::default()
    })
}

/// Notes what a sender says of itself.
pub(super) fn report(write: &Write<'_>, report: &SenderReport) -> Result<(), Failure> {
    let mut upsert = write.connection.prepare_cached(
        "INSERT INTO sender (id, report, ends) VALUES (?1, ?2, ?3) \
         ON CONFLICT (id) DO UPDATE SET report = ?2, ends = ?3",
    )?;
    upsert.execute((
        &report.id.0,
        serde_json::to_string(report)?,
        write.now + micros(report.lease),
    ))?;
    Ok(())
}

pub(super) fn senders(read: &Read<'_>) -> Result<Vec<SenderState>, Failure> {
    let mut select = read
        .connection
        .prepare_cached("SELECT report, ends FROM sender ORDER BY id")?;
    let mut rows = select.query([])?;
    let mut senders = Vec::new();
    while let Some(row) = rows.next()? {
        let report = serde_json::from_str(row.get_ref(0)?.as_str().map_err(Failure::unreadable)?)?;
        let ends: i64 = row.get(1)?;
        senders.push(SenderState {
            report,
            alive: ends > read.now,
            lease_ends: super::schedule::timestamp(ends),
        });
    }
    Ok(senders)
}

pub(super) fn dismiss(write: &Write<'_>, sender: &SenderId) -> Result<(), Failure> {
    write
        .connection
        .prepare_cached("DELETE FROM sender WHERE id = ?")?
        .execute([&sender.0])?;
    Ok(())
}
