//! Jobs that were given up on.

use isr_core::{Cursor, DeadLetter, DeadLetterChunk, JobKey, PageUrl};
use rusqlite::Connection;

use super::failure::Failure;
use super::job_row::Kind;
use super::state::at_most;

/// The most jobs in one chunk.
const AT_ONCE: usize = 1_000;

/// Number, key, attempts and error of a job.
type Dead = (i64, String, u32, String);

/// Some dead letters, in the order of their numbers; a cursor is the kind and the number of the last one.
pub(super) fn list(
    connection: &Connection,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<DeadLetterChunk, Failure> {
    let limit = limit.clamp(1, AT_ONCE);
    let after = after.and_then(|cursor| cursor.0.split_once(' '));
    let number = after.and_then(|(_, number)| number.parse().ok());
    let begun = match after {
        Some(("p", _)) => Kind::Page,
        _ => Kind::Revalidation,
    };
    let (mut letters, mut last) = (Vec::new(), None);
    for kind in [Kind::Revalidation, Kind::Page] {
        let (name, beyond) = match kind {
            Kind::Revalidation => ("r", number.filter(|_| begun == kind)),
            Kind::Page => ("p", number.filter(|_| begun == kind)),
        };
        if kind == Kind::Revalidation && begun == Kind::Page {
            continue;
        }
        // One more, to know whether there are any.
        for (number, key, attempts, error) in
            dead(connection, kind, beyond, limit + 1 - letters.len())?
        {
            if letters.len() == limit {
                let next = last.map(Cursor);
                return Ok(DeadLetterChunk { letters, next });
            }
            let job = match kind {
                Kind::Revalidation => JobKey::Revalidation(key.parse()?),
                Kind::Page => JobKey::Page(PageUrl::from_stored(&key)?),
            };
            letters.push(DeadLetter {
                job,
                attempts,
                error,
            });
            last = Some(format!("{name} {number}"));
        }
    }
    Ok(DeadLetterChunk {
        letters,
        next: None,
    })
}

fn dead(
    connection: &Connection,
    kind: Kind,
    beyond: Option<i64>,
    limit: usize,
) -> Result<Vec<Dead>, Failure> {
    let mut select = connection.prepare_cached(
        "SELECT id, key, attempt, error FROM job \
         WHERE kind = ? AND error IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
    )?;
    let beyond = beyond.unwrap_or(i64::MIN);
    let rows = select.query_map((kind as i64, beyond, at_most(limit)), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
