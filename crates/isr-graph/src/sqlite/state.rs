//! The one row that every transaction begins with: counters, floors and the clock.

use std::time::Duration;

use isr_core::{Beginning, Epoch, Generation, Mode, Position};
use rusqlite::{Connection, Row};

use super::failure::Failure;

/// How far the clock may move on before it is written down, in microseconds.
const CLOCK_STEP: i64 = 1_000_000;

/// The epoch's beginning has been dealt with.
pub(super) const DEALT_WITH: i64 = 0;
/// The epoch began with the store. The default of the column.
const MADE: i64 = 1;
/// The epoch began since something of the one before it may be lost.
pub(super) const LOST: i64 = 2;

/// The row `state`, but for what never changes. Numbers are as SQLite stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) epoch: i64,
    /// Of the newest revalidation.
    pub(super) number: i64,
    pub(super) stale_floor: i64,
    pub(super) expired_floor: i64,
    /// The boot of the machine whose crash would lose changes that have been acknowledged.
    pub(super) at_risk: Option<uuid::Uuid>,
    /// How the epoch came to begin, until that has been dealt with.
    pub(super) beginning: i64,
    /// What has to be added to the machine's clock so that it never runs backwards, in microseconds.
    clock_ahead: i64,
    /// A time that has been reached, in microseconds since 1970.
    clock_last: i64,
    /// Rows in `generation`.
    pub(super) targets: i64,
    pub(super) pages: i64,
    pub(super) tags: i64,
    pub(super) edges: i64,
    /// Revalidations that wait or are being worked on.
    pub(super) revalidations: i64,
    /// Revalidations whose time has not come.
    pub(super) scheduled: i64,
    /// Revalidations that wait until somebody releases them.
    pub(super) held: i64,
    /// Pages that wait or are being worked on.
    pub(super) page_jobs: i64,
    /// Jobs given up on.
    pub(super) dead: i64,
    /// Claims made so far.
    pub(super) tokens: i64,
    /// The last number given to a tag.
    pub(super) tag_ids: i64,
    /// The page that garbage collection has come to.
    pub(super) collected: i64,
}

impl State {
    pub(super) fn load(connection: &Connection) -> Result<Self, Failure> {
        let mut select = connection.prepare_cached(
            "SELECT epoch, number, stale_floor, expired_floor, at_risk, clock_ahead, clock_last, targets, \
             pages, tags, edges, revalidations, page_jobs, dead, tokens, tag_ids, collected, beginning, \
             scheduled, held FROM state",
        )?;
        let (state, at_risk) = select.query_row([], Self::from_row)?;
        let at_risk = at_risk.as_deref().map(uuid::Uuid::try_parse).transpose();
        Ok(Self {
            at_risk: at_risk.map_err(Failure::unreadable)?,
            ..state
        })
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<(Self, Option<String>)> {
        let state = Self {
            epoch: row.get(0)?,
            number: row.get(1)?,
            stale_floor: row.get(2)?,
            expired_floor: row.get(3)?,
            at_risk: None,
            clock_ahead: row.get(5)?,
            clock_last: row.get(6)?,
            targets: row.get(7)?,
            pages: row.get(8)?,
            tags: row.get(9)?,
            edges: row.get(10)?,
            revalidations: row.get(11)?,
            page_jobs: row.get(12)?,
            dead: row.get(13)?,
            tokens: row.get(14)?,
            tag_ids: row.get(15)?,
            collected: row.get(16)?,
            beginning: row.get(17)?,
            scheduled: row.get(18)?,
            held: row.get(19)?,
        };
        Ok((state, row.get(4)?))
    }

    pub(super) fn save(&self, connection: &Connection) -> Result<(), Failure> {
        let mut update = connection.prepare_cached(
            "UPDATE state SET epoch = ?, number = ?, stale_floor = ?, expired_floor = ?, at_risk = ?, \
             clock_ahead = ?, clock_last = ?, targets = ?, pages = ?, tags = ?, edges = ?, \
             revalidations = ?, page_jobs = ?, dead = ?, tokens = ?, tag_ids = ?, collected = ?, \
             beginning = ?, scheduled = ?, held = ?",
        )?;
        update.execute(rusqlite::params![
            self.epoch,
            self.number,
            self.stale_floor,
            self.expired_floor,
            self.at_risk.map(|boot| boot.to_string()),
            self.clock_ahead,
            self.clock_last,
            self.targets,
            self.pages,
            self.tags,
            self.edges,
            self.revalidations,
            self.page_jobs,
            self.dead,
            self.tokens,
            self.tag_ids,
            self.collected,
            self.beginning,
            self.scheduled,
            self.held,
        ])?;
        Ok(())
    }

    /// The time in microseconds since 1970, when the machine's clock shows `machine`. It stands still
    /// where that ran backwards.
    pub(super) fn at(&self, machine: i64) -> i64 {
        (machine + self.clock_ahead).max(self.clock_last)
    }

    /// Moves the clock on, and says what it shows.
    pub(super) fn tick(&mut self, machine: i64) -> i64 {
        let now = self.at(machine);
        // Set back: go on from here at the machine's pace, not stand still until it has caught up.
        self.clock_ahead = now - machine;
        if now - self.clock_last >= CLOCK_STEP {
            self.clock_last = now;
        }
        now
    }

    /// Notes exactly how far the clock has come: something else is to be written as well.
    pub(super) fn note_time(&mut self, now: i64) {
        self.clock_last = now.max(self.clock_last);
    }

    /// How the epoch came to begin, unless that has been dealt with.
    pub(super) fn beginning(&self) -> Option<Beginning> {
        matches!(self.beginning, MADE | LOST).then(|| Beginning {
            epoch: self.epoch(),
            lost: self.beginning == LOST,
        })
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch::new(self.epoch.cast_unsigned())
    }

    pub(super) fn current(&self) -> Generation {
        Generation {
            epoch: self.epoch(),
            number: self.number.cast_unsigned(),
        }
    }

    pub(super) fn position(&self) -> Position {
        Position::new(self.epoch(), [self.number.cast_unsigned()])
    }

    pub(super) fn raise_floor(&mut self, stale: i64, expired: i64) {
        self.stale_floor = stale.max(self.stale_floor);
        self.expired_floor = expired.max(self.expired_floor);
    }
}

/// A duration in microseconds, as far as they go.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros())
        .unwrap_or(i64::MAX / 4)
        .min(i64::MAX / 4)
}

/// A limit as SQLite takes it.
pub(super) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The severest mode by which `stale` and `expired` supersede a response of `number`.
pub(super) fn severest(stale: i64, expired: i64, number: i64) -> Option<Mode> {
    if number < expired {
        Some(Mode::Hard)
    } else {
        (number < stale).then_some(Mode::Soft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            epoch: -1,
            number: 0,
            stale_floor: 0,
            expired_floor: 0,
            at_risk: None,
            beginning: DEALT_WITH,
            clock_ahead: 0,
            clock_last: 0,
            targets: 0,
            pages: 0,
            tags: 0,
            edges: 0,
            revalidations: 0,
            scheduled: 0,
            held: 0,
            page_jobs: 0,
            dead: 0,
            tokens: 0,
            tag_ids: 0,
            collected: 0,
        }
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let mut state = state();
        assert_eq!(state.tick(50_000_000), 50_000_000);
        assert_eq!(state.tick(10_000_000), 50_000_000);
        assert_eq!(state.tick(13_000_000), 53_000_000);
        assert_eq!(state.at(14_000_000), 54_000_000);
    }

    #[test]
    fn the_clock_is_written_down_in_coarse_steps() {
        let mut state = state();
        state.tick(50_000_000);
        let before = state;
        state.tick(50_000_001);
        assert_eq!(state, before);
        state.tick(51_000_000);
        assert_ne!(state, before);
    }

    #[test]
    fn an_epoch_keeps_all_its_bits() {
        assert_eq!(state().epoch(), Epoch::new(u64::MAX));
    }

    #[test]
    fn the_harder_of_two_marks_decides() {
        assert_eq!(severest(5, 3, 2), Some(Mode::Hard));
        assert_eq!(severest(5, 3, 3), Some(Mode::Soft));
        assert_eq!(severest(5, 3, 5), None);
    }
}
