//! Generations of targets, and the history by which others follow them.

use isr_core::{
    Bind, Generation, Heard, Marks, Mode, News, Partition, Position, Receipt, RevalidationId,
    Standing, Target, guard_keys,
};
use rusqlite::{Connection, OptionalExtension};

use super::failure::Failure;
use super::readers::Read;
use super::state::{at_most, severest};
use super::writer::Write;

/// Targets that are told of at a time: a revalidation may have ten thousand, and is told of whole.
const TARGETS_AT_A_TIME: usize = 20_000;

/// The mode by which a response has been superseded since its generation; `None` when it was not.
pub(super) fn superseded_by(write: &Write<'_>, bind: &Bind) -> Result<Option<Mode>, Failure> {
    let current = write.state.current();
    // A number that was never given out says nothing about what the response has seen.
    if !current.covers(bind.generation) {
        return Ok(Some(Mode::Hard));
    }
    if bind.generation == current {
        return Ok(None);
    }
    let (mut stale, mut expired) = (write.state.stale_floor, write.state.expired_floor);
    let mut select = write
        .connection
        .prepare_cached("SELECT stale, expired FROM generation WHERE key = ?")?;
    for key in guard_keys(&bind.url, bind.tags.iter()) {
        let found: Option<(i64, i64)> = select
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (target_stale, target_expired) = found.unwrap_or_default();
        (stale, expired) = (stale.max(target_stale), expired.max(target_expired));
    }
    Ok(severest(
        stale,
        expired,
        bind.generation.number.cast_signed(),
    ))
}

/// Moves the generation of every target on, and tells those who follow.
pub(super) fn advance(write: &mut Write<'_>, receipt: &Receipt) -> Result<Position, Failure> {
    write.state.number += 1;
    for target in &receipt.targets {
        mark(write, target, receipt.options.mode.mode())?;
    }
    trim(write)?;
    let number = write.state.number;
    write
        .connection
        .prepare_cached("INSERT INTO history (number, receipt, mode, targets) VALUES (?, ?, ?, ?)")?
        .execute((
            number,
            receipt.id.to_string(),
            receipt.options.mode.mode().as_str(),
            serde_json::to_string(receipt.targets.as_slice())?,
        ))?;
    let remembered = write.options.history.get();
    write
        .connection
        .prepare_cached("DELETE FROM history WHERE number <= ?")?
        .execute([number.saturating_sub_unsigned(remembered)])?;
    Ok(write.state.position())
}

fn mark(write: &mut Write<'_>, target: &Target, mode: Mode) -> Result<(), Failure> {
    let number = write.state.number;
    let update = match mode {
        Mode::Soft => "UPDATE generation SET stale = ?1, newest = ?1 WHERE key = ?2",
        Mode::Hard => "UPDATE generation SET expired = ?1, newest = ?1 WHERE key = ?2",
    };
    let key = target.key();
    if write
        .connection
        .prepare_cached(update)?
        .execute((number, &key))?
        == 0
    {
        let (stale, expired) = match mode {
            Mode::Soft => (number, 0),
            Mode::Hard => (0, number),
        };
        let mut insert = write.connection.prepare_cached(
            "INSERT INTO generation (key, stale, expired, newest) VALUES (?, ?, ?, ?)",
        )?;
        insert.execute((key, stale, expired, number))?;
        write.state.targets += 1;
    }
    Ok(())
}

/// Forgets the oldest targets beyond the limit: the floor rises to the newest one forgotten.
fn trim(write: &mut Write<'_>) -> Result<(), Failure> {
    let limit = i64::try_from(write.options.targets.get()).unwrap_or(i64::MAX);
    if write.state.targets <= limit {
        return Ok(());
    }
    let mut delete = write.connection.prepare_cached(
        "DELETE FROM generation WHERE key IN (SELECT key FROM generation ORDER BY newest LIMIT ?) \
         RETURNING stale, expired",
    )?;
    let excess = write.state.targets - limit;
    let forgotten: Vec<(i64, i64)> = delete
        .query_map([excess], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (stale, expired) in forgotten {
        write.state.raise_floor(stale, expired);
        write.state.targets -= 1;
    }
    Ok(())
}

/// The newest revalidations of targets.
pub(super) fn standing(read: &Read<'_>, targets: Vec<Target>) -> Result<Standing, Failure> {
    let mut select = read
        .connection
        .prepare_cached("SELECT stale, expired FROM generation WHERE key = ?")?;
    let mut marked = Vec::new();
    for target in targets {
        let found: Option<(i64, i64)> = select
            .query_row([target.key()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((stale, expired)) = found {
            marked.push((target, marks(stale, expired)));
        }
    }
    Ok(Standing {
        current: read.state.current(),
        targets: marked,
        floor: marks(read.state.stale_floor, read.state.expired_floor),
    })
}

const fn marks(stale: i64, expired: i64) -> Marks {
    Marks {
        stale: stale.cast_unsigned(),
        expired: expired.cast_unsigned(),
    }
}

/// What has been revalidated since a position.
pub(super) fn news_since(read: &Read<'_>, after: &Position, limit: usize) -> Result<News, Failure> {
    let state = &read.state;
    let from = Generation {
        epoch: after.epoch,
        number: after.number(Partition(0)),
    };
    let gap = News {
        heard: Vec::new(),
        position: state.position(),
        more: false,
        gap: true,
    };
    if after.partitions() != 1 || !state.current().covers(from) {
        return Ok(gap);
    }
    if from == state.current() {
        return Ok(News { gap: false, ..gap });
    }
    let heard = heard_after(read.connection, from.number.cast_signed(), limit)?;
    // The first must follow upon what is known: what came between may have been forgotten.
    if heard
        .first()
        .is_none_or(|first| first.number != from.number + 1)
    {
        return Ok(gap);
    }
    let reached = heard.last().map_or(from.number, |last| last.number);
    let position = Position::new(after.epoch, [reached]);
    Ok(News {
        heard,
        more: reached < state.current().number,
        position,
        gap: false,
    })
}

/// Some of the history, at least one revalidation where there is any.
fn heard_after(connection: &Connection, number: i64, limit: usize) -> Result<Vec<Heard>, Failure> {
    heard(
        connection,
        "SELECT number, receipt, mode, targets FROM history WHERE number > ? ORDER BY number LIMIT ?",
        number,
        limit,
    )
}

/// Some of the history before a number, the newest first.
pub(super) fn heard_before(
    connection: &Connection,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Heard>, Failure> {
    let before = before.and_then(|before| i64::try_from(before).ok());
    heard(
        connection,
        "SELECT number, receipt, mode, targets FROM history WHERE number < ? \
         ORDER BY number DESC LIMIT ?",
        before.unwrap_or(i64::MAX),
        limit,
    )
}

fn heard(
    connection: &Connection,
    query: &'static str,
    number: i64,
    limit: usize,
) -> Result<Vec<Heard>, Failure> {
    let mut select = connection.prepare_cached(query)?;
    let mut rows = select.query((number, at_most(limit)))?;
    let (mut heard, mut told) = (Vec::new(), 0);
    while told < TARGETS_AT_A_TIME
        && let Some(row) = rows.next()?
    {
        let number: i64 = row.get(0)?;
        let id: RevalidationId = row
            .get_ref(1)?
            .as_str()
            .map_err(Failure::unreadable)?
            .parse()?;
        let mode = match row.get_ref(2)?.as_str().map_err(Failure::unreadable)? {
            "soft" => Mode::Soft,
            "hard" => Mode::Hard,
            other => return Err(Failure::unreadable(format!("`{other}` is no mode"))),
        };
        let targets = row.get_ref(3)?.as_str().map_err(Failure::unreadable)?;
        let targets: Vec<Target> = serde_json::from_str(targets)?;
        told += targets.len();
        heard.push(Heard {
            id,
            partition: Partition(0),
            number: number.cast_unsigned(),
            targets,
            mode,
        });
    }
    Ok(heard)
}
