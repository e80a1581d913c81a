//! Garbage collection: removing what has ended.

use isr_core::Collected;
use rusqlite::Connection;

use super::failure::Failure;
use super::pages::{milliseconds, remove, remove_edges, store_record};
use super::record::Record;
use super::state::at_most;
use super::writer::Write;

/// Pages that are read at a time.
const READ_AT_A_TIME: usize = 256;

/// Removes what has ended, from where the last call stopped, until `limit` pairs have been looked at.
pub(super) fn collect(write: &mut Write<'_>, limit: usize) -> Result<Collected, Failure> {
    let mut collected = Collected {
        more: true,
        ..Collected::default()
    };
    let mut looked_at = 0;
    while looked_at < limit {
        let pages = pages_after(
            write.connection,
            write.state.collected,
            READ_AT_A_TIME.min(limit),
        )?;
        if pages.is_empty() {
            write.state.collected = 0;
            return Ok(Collected {
                more: false,
                ..collected
            });
        }
        for (page, url, stored) in &pages {
            if looked_at >= limit {
                break;
            }
            write.state.collected = *page;
            let Some(record) = Record::decode(stored) else {
                // When it ends is not known, and what comes after it is to be collected all the same.
                tracing::warn!(%url, "the record of a page is damaged: the page is kept");
                looked_at += 1;
                continue;
            };
            looked_at += record.tags.len().max(1);
            collect_page(write, *page, url, record, &mut collected)?;
        }
    }
    Ok(collected)
}

fn collect_page(
    write: &mut Write<'_>,
    page: i64,
    url: &str,
    mut record: Record<'_>,
    collected: &mut Collected,
) -> Result<(), Failure> {
    let now = milliseconds(write.now);
    if record.ends <= now {
        collected.edges += record.tags.len() as u64;
        collected.pages += 1;
        return remove(write, page, url, &record);
    }
    let ended = record.take_ended(now);
    if !ended.is_empty() {
        collected.edges += ended.len() as u64;
        remove_edges(write, page, &ended, &record)?;
        store_record(write, page, &record)?;
    }
    Ok(())
}

/// A page's number, URL and packed record.
type StoredPage = (i64, String, Vec<u8>);

/// Pages in the order of their numbers.
fn pages_after(
    connection: &Connection,
    page: i64,
    limit: usize,
) -> Result<Vec<StoredPage>, Failure> {
    let mut select = connection
        .prepare_cached("SELECT id, url, record FROM page WHERE id > ? ORDER BY id LIMIT ?")?;
    let rows = select.query_map((page, at_most(limit)), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
