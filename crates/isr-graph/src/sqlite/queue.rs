//! Jobs: queueing them, merging them, counting them, and the one place where they change.

use std::time::Duration;

use isr_core::{Generation, PageWork, StoreError};
use rusqlite::Connection;

use super::failure::Failure;
use super::job_row::{self, Entry, Kind};
use super::readers::Read;
use super::schedule;
use super::state::State;
use super::writer::Write;

/// Makes sure that `more` jobs have room.
pub(super) fn require_room(write: &Write<'_>, kind: Kind, more: usize) -> Result<(), Failure> {
    let waiting = match kind {
        Kind::Revalidation => write.state.revalidations + write.state.scheduled + write.state.held,
        Kind::Page => write.state.page_jobs,
    };
    let limit = write.options.queue;
    if waiting.cast_unsigned().saturating_add(more as u64) > limit {
        return Err(StoreError::QueueFull { limit }.into());
    }
    Ok(())
}

/// Queues a job, or merges it with what is queued under the same key; see
/// [`isr_core::JobStore::queue_pages`].
pub(super) fn push(
    write: &mut Write<'_>,
    kind: Kind,
    key: &str,
    work: Option<PageWork>,
    due: i64,
) -> Result<(), Failure> {
    let now = write.now;
    change(write, kind, key, |slot, _| {
        let Some(entry) = slot else {
            *slot = Some(Entry::waiting(work, due));
            return;
        };
        if entry.error.is_some() {
            *entry = Entry::waiting(merge(entry.work.take(), work), due);
        } else if entry.held.is_none() && entry.at.is_some_and(|at| due <= at.max(now)) {
            entry.work = merge(entry.work.take(), work);
        } else {
            entry.again = Some(match entry.again.take() {
                Some((behind, at)) => (merge(behind, work), at.max(due)),
                None => (work, due),
            });
        }
    })
}

pub(super) fn merge(earlier: Option<PageWork>, later: Option<PageWork>) -> Option<PageWork> {
    match (earlier, later) {
        (Some(earlier), Some(later)) => Some(earlier.merge(later)),
        (earlier, later) => later.or(earlier),
    }
}

/// Whether a claim would find anything.
pub(super) fn is_anything_due(read: &Read<'_>, kind: Kind) -> Result<bool, Failure> {
    Ok(first_at(read.connection, kind)?.is_some_and(|at| at <= read.now))
}

fn first_at(connection: &Connection, kind: Kind) -> Result<Option<i64>, Failure> {
    let mut select =
        connection.prepare_cached("SELECT min(at) FROM job WHERE kind = ? AND at IS NOT NULL")?;
    Ok(select.query_row([kind as i64], |row| row.get(0))?)
}

/// How long the oldest job that may be claimed has been waiting.
pub(super) fn oldest_due(read: &Read<'_>) -> Result<Option<Duration>, Failure> {
    let mut oldest = None;
    for kind in [Kind::Revalidation, Kind::Page] {
        let since =
            first_at(read.connection, kind)?.and_then(|at| u64::try_from(read.now - at).ok());
        oldest = oldest.max(since);
    }
    let first = schedule::first_at(read.connection)?;
    let overdue = first.and_then(|at| u64::try_from(read.now - at).ok());
    Ok(oldest.max(overdue).map(Duration::from_micros))
}

/// Queues a dead job again; `false` when there is no such dead job.
pub(super) fn replay(write: &mut Write<'_>, kind: Kind, key: &str) -> Result<bool, Failure> {
    let now = write.now;
    change(write, kind, key, |slot, _| match slot {
        Some(entry) if entry.error.is_some() => {
            (entry.error, entry.attempt, entry.at) = (None, 0, Some(now));
            true
        }
        _ => false,
    })
}

/// How much work on pages that were in flight, dead jobs included, somebody at `generation` waits for.
pub(super) fn outstanding(connection: &Connection, generation: Generation) -> Result<u64, Failure> {
    let (epoch, number) = job_row::stored(generation);
    let mut select = connection.prepare_cached(
        "SELECT (SELECT count(*) FROM job \
                 WHERE reason = 'in_flight' AND epoch = ?1 AND oldest <= ?2) \
         + (SELECT count(*) FROM job \
            WHERE again_reason = 'in_flight' AND again_epoch = ?1 AND again_oldest <= ?2)",
    )?;
    let count: i64 = select.query_row((epoch, number), |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Forgets a job, whatever it is at.
pub(super) fn forget(write: &mut Write<'_>, kind: Kind, key: &str) -> Result<(), Failure> {
    change(write, kind, key, |slot, _| *slot = None)
}

/// The one place where jobs change, so that the counters always agree with them.
pub(super) fn change<R>(
    write: &mut Write<'_>,
    kind: Kind,
    key: &str,
    act: impl FnOnce(&mut Option<Entry>, &mut State) -> R,
) -> Result<R, Failure> {
    let before = job_row::load(write.connection, kind, key)?;
    let mut slot = before.as_ref().map(|(_, entry)| entry.clone());
    let result = act(&mut slot, &mut write.state);
    count(
        &mut write.state,
        kind,
        before.as_ref().map(|(_, entry)| entry),
        -1,
    );
    count(&mut write.state, kind, slot.as_ref(), 1);
    match (before, slot) {
        (None, None) => {}
        (None, Some(entry)) => job_row::insert(write.connection, kind, key, &entry)?,
        (Some((id, _)), None) => job_row::delete(write.connection, id)?,
        (Some((_, before)), Some(after)) if before == after => {}
        (Some((id, _)), Some(entry)) => job_row::update(write.connection, id, &entry)?,
    }
    Ok(result)
}

fn count(state: &mut State, kind: Kind, entry: Option<&Entry>, by: i64) {
    let Some(entry) = entry else { return };
    let counter = match kind {
        _ if entry.error.is_some() => &mut state.dead,
        Kind::Revalidation => &mut state.revalidations,
        Kind::Page => &mut state.page_jobs,
    };
    *counter += by;
}
