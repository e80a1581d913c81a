//! Receipts, and the senders' reports: what is stored as JSON and found by its name.

use isr_core::{Receipt, RevalidationId, SenderId, SenderReport, SenderState};
use rusqlite::{Connection, OptionalExtension};

use super::failure::Failure;
use super::readers::Read;
use super::state::{at_most, micros};
use super::writer::Write;
use crate::RECEIPTS_KEPT;

/// Receipts that one garbage collection removes at most.
const COLLECTED_AT_ONCE: i64 = 1_000;

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

/// The newest receipts, newest first.
pub(super) fn newest(connection: &Connection, limit: usize) -> Result<Vec<Receipt>, Failure> {
    let mut select =
        connection.prepare_cached("SELECT body FROM receipt ORDER BY sequence DESC LIMIT ?")?;
    let mut rows = select.query([at_most(limit)])?;
    let mut receipts = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_str().map_err(Failure::unreadable)?;
        receipts.push(serde_json::from_str(body)?);
    }
    Ok(receipts)
}

pub(super) fn insert(write: &Write<'_>, receipt: &Receipt) -> Result<(), Failure> {
    let mut insert = write
        .connection
        .prepare_cached("INSERT INTO receipt (id, body) VALUES (?, ?)")?;
    insert.execute((receipt.id.to_string(), serde_json::to_string(receipt)?))?;
    Ok(())
}

/// Stores a receipt as it stands now; `finished` when nobody is going to work on it any more.
pub(super) fn update(write: &Write<'_>, receipt: &Receipt, finished: bool) -> Result<(), Failure> {
    let mut update = write
        .connection
        .prepare_cached("UPDATE receipt SET body = ?, finished = ? WHERE id = ?")?;
    let finished = finished.then_some(write.now);
    update.execute((
        serde_json::to_string(receipt)?,
        finished,
        receipt.id.to_string(),
    ))?;
    Ok(())
}

/// Removes some of the receipts that have been finished for longer than they are kept.
pub(super) fn collect(write: &Write<'_>) -> Result<u64, Failure> {
    let mut delete = write.connection.prepare_cached(
        "DELETE FROM receipt WHERE sequence IN \
         (SELECT sequence FROM receipt WHERE finished <= ? ORDER BY finished LIMIT ?)",
    )?;
    let removed = delete.execute((write.now - micros(RECEIPTS_KEPT), COLLECTED_AT_ONCE))?;
    Ok(removed as u64)
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
