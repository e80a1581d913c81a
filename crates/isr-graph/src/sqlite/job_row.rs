//! A row of the table `job`.

use isr_core::{Epoch, Generation, PageReason, PageUrl, PageWork};
use rusqlite::{Connection, Row, params};

use super::failure::Failure;

/// What a job is about; its number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A receipt, by its id.
    Revalidation = 0,
    /// A page, by its URL.
    Page = 1,
}

/// What is stored of a job beside its kind and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// `None` for a revalidation, which has its receipt.
    pub(super) work: Option<PageWork>,
    /// From when it may be claimed: its due time, or the end of its lease; `None` for a dead one.
    pub(super) at: Option<i64>,
    pub(super) attempt: u32,
    pub(super) held: Option<Held>,
    /// What to do when this is done, and when at the earliest.
    pub(super) again: Option<(Option<PageWork>, i64)>,
    /// Why it was given up on.
    pub(super) error: Option<String>,
}

/// Who works on a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) worker: String,
    pub(super) token: i64,
}

impl Entry {
    pub(super) fn waiting(work: Option<PageWork>, due: i64) -> Self {
        Self {
            work,
            at: Some(due),
            attempt: 0,
            held: None,
            again: None,
            error: None,
        }
    }
}

pub(super) fn load(
    connection: &Connection,
    kind: Kind,
    key: &str,
) -> Result<Option<(i64, Entry)>, Failure> {
    let mut select = connection.prepare_cached(
        "SELECT id, epoch, number, oldest, reason, again_epoch, again_number, again_oldest, \
         again_reason, again_at, at, attempt, worker, token, error \
         FROM job WHERE kind = ? AND key = ?",
    )?;
    let mut rows = select.query((kind as i64, key))?;
    rows.next()?
        .map(|row| Ok((row.get(0)?, entry(row, key)?)))
        .transpose()
}

pub(super) fn insert(
    connection: &Connection,
    kind: Kind,
    key: &str,
    entry: &Entry,
) -> Result<(), Failure> {
    let mut insert =
        connection.prepare_cached("INSERT INTO job (kind, key, attempt) VALUES (?, ?, 0)")?;
    let id = insert.insert((kind as i64, key))?;
    update(connection, id, entry)
}

pub(super) fn update(connection: &Connection, id: i64, entry: &Entry) -> Result<(), Failure> {
    let (again, again_at) = match &entry.again {
        Some((work, at)) => (work.as_ref(), Some(at)),
        None => (None, None),
    };
    let (work, again) = (entry.work.as_ref().map(columns), again.map(columns));
    let mut update = connection.prepare_cached(
        "UPDATE job SET epoch = ?, number = ?, oldest = ?, reason = ?, again_epoch = ?, \
         again_number = ?, again_oldest = ?, again_reason = ?, again_at = ?, at = ?, attempt = ?, \
         worker = ?, token = ?, error = ? WHERE id = ?",
    )?;
    update.execute(params![
        work.map(|work| work.epoch),
        work.map(|work| work.number),
        work.map(|work| work.oldest),
        work.map(|work| work.reason),
        again.map(|again| again.epoch),
        again.map(|again| again.number),
        again.map(|again| again.oldest),
        again.map(|again| again.reason),
        again_at,
        entry.at,
        entry.attempt,
        entry.held.as_ref().map(|held| &held.worker),
        entry.held.as_ref().map(|held| held.token),
        entry.error,
        id,
    ])?;
    Ok(())
}

pub(super) fn delete(connection: &Connection, id: i64) -> Result<(), Failure> {
    connection
        .prepare_cached("DELETE FROM job WHERE id = ?")?
        .execute([id])?;
    Ok(())
}

fn entry(row: &Row<'_>, key: &str) -> Result<Entry, Failure> {
    let again_at: Option<i64> = row.get(9)?;
    let held = match (row.get(12)?, row.get(13)?) {
        (Some(worker), Some(token)) => Some(Held { worker, token }),
        _ => None,
    };
    Ok(Entry {
        work: work(row, 1, key)?,
        at: row.get(10)?,
        attempt: row.get(11)?,
        held,
        again: again_at
            .map(|at| Ok::<_, Failure>((work(row, 5, key)?, at)))
            .transpose()?,
        error: row.get(14)?,
    })
}

/// The work in the four columns from `column` on.
fn work(row: &Row<'_>, column: usize, key: &str) -> Result<Option<PageWork>, Failure> {
    let Some(epoch) = row.get::<_, Option<i64>>(column)? else {
        return Ok(None);
    };
    let (number, oldest): (i64, i64) = (row.get(column + 1)?, row.get(column + 2)?);
    let reason = match row
        .get_ref(column + 3)?
        .as_str()
        .map_err(Failure::unreadable)?
    {
        "superseded" => PageReason::Superseded,
        "in_flight" => PageReason::InFlight,
        other => return Err(Failure::unreadable(format!("`{other}` is no reason"))),
    };
    let epoch = Epoch::new(epoch.cast_unsigned());
    let generation = |number: i64| Generation {
        epoch,
        number: number.cast_unsigned(),
    };
    let url = PageUrl::from_stored(key)?;
    let work = PageWork::new(url, generation(number), reason);
    Ok(Some(PageWork {
        oldest: generation(oldest),
        ..work
    }))
}

/// Work on a page as it is stored.
#[derive(Clone, Copy)]
struct Columns {
    epoch: i64,
    number: i64,
    oldest: i64,
    reason: &'static str,
}

fn columns(work: &PageWork) -> Columns {
    let (epoch, number) = stored(work.generation);
    let (_, oldest) = stored(work.oldest);
    let reason = match work.reason {
        PageReason::Superseded => "superseded",
        PageReason::InFlight => "in_flight",
    };
    Columns {
        epoch,
        number,
        oldest,
        reason,
    }
}

/// A generation in two columns. Numbers beyond what SQLite can compare were never given out.
pub(super) fn stored(generation: Generation) -> (i64, i64) {
    let number = i64::try_from(generation.number).unwrap_or(i64::MAX);
    (generation.epoch.number().cast_signed(), number)
}
