//! Whether changes that have been acknowledged may be gone.
//!
//! With [`Durability::Process`] a commit does not wait for the disk, so a crash of the machine takes the
//! newest ones along, and generations that have been given out would be given out again. The row
//! `state` therefore says durably, before the first such commit, under which boot of the machine they are
//! made; whoever opens the file under another boot and finds that note begins a new epoch. A store that
//! is closed in good order makes all commits durable and takes the note away.

use rusqlite::Connection;
use uuid::Uuid;

use super::connection::set_synchronous;
use super::failure::Failure;
use super::layout::new_epoch;
use super::options::{Durability, SqliteOptions};
use super::state::{LOST, State};

/// Names the boot of the machine (Linux, `random(4)`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What a process that writes has to know to keep the note.
#[derive(Clone, Copy, Debug)]
pub(super) struct Risk {
    durability: Durability,
    /// Nil where the system does not say: a crash of the machine then goes unnoticed.
    boot: Uuid,
    /// Whether this process has written.
    wrote: bool,
}

impl Risk {
    pub(super) fn new(options: &SqliteOptions) -> Self {
        let named = options.boot.map(Uuid::from_u128);
        Self {
            durability: options.durability,
            boot: named.or_else(boot_of_the_system).unwrap_or_default(),
            wrote: false,
        }
    }

    /// Begins a new epoch if the machine has crashed since the file was written to. Call it on opening.
    pub(super) fn look(&self, connection: &Connection) -> Result<(), Failure> {
        if self.lost_with(&State::load(connection)?) {
            self.settle(connection)?;
        }
        Ok(())
    }

    /// Begins a transaction that writes.
    pub(super) fn begin(&mut self, connection: &Connection) -> Result<State, Failure> {
        loop {
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let state = State::load(connection)?;
            let settled = match self.durability {
                Durability::Process => state.at_risk == Some(self.boot),
                Durability::Machine => !self.lost_with(&state),
            };
            if settled {
                self.wrote = true;
                return Ok(state);
            }
            connection.execute_batch("ROLLBACK")?;
            self.settle(connection)?;
        }
    }

    /// Makes every commit durable and takes the note away, when this process has written.
    pub(super) fn end(&self, connection: &Connection) -> Result<(), Failure> {
        if !self.wrote || self.durability == Durability::Machine {
            return Ok(());
        }
        self.durably(connection, |state| {
            if state.at_risk == Some(self.boot) {
                state.at_risk = None;
            }
            Ok(())
        })
    }

    fn lost_with(&self, state: &State) -> bool {
        state.at_risk.is_some_and(|boot| boot != self.boot)
    }

    fn settle(&self, connection: &Connection) -> Result<(), Failure> {
        self.durably(connection, |state| {
            if self.lost_with(state) {
                begin_epoch(connection, state)?;
            }
            state.at_risk = match self.durability {
                Durability::Process => Some(self.boot),
                Durability::Machine => state.at_risk.filter(|boot| *boot == self.boot),
            };
            Ok(())
        })
    }

    /// Changes the state in a transaction that waits for the disk, and so makes all before it durable.
    fn durably(
        &self,
        connection: &Connection,
        change: impl FnOnce(&mut State) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        set_synchronous(connection, Durability::Machine)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let changed = State::load(connection).and_then(|mut state| {
            change(&mut state)?;
            state.save(connection)?;
            Ok(connection.execute_batch("COMMIT")?)
        });
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK")?;
        }
        set_synchronous(connection, self.durability)?;
        changed
    }
}

fn boot_of_the_system() -> Option<Uuid> {
    let text = std::fs::read_to_string(BOOT_ID).ok()?;
    Uuid::try_parse(text.trim()).ok()
}

/// Nobody can say what was revalidated last, so all that was is forgotten, and everything older
/// than the new epoch counts as superseded.
fn begin_epoch(connection: &Connection, state: &mut State) -> Result<(), Failure> {
    tracing::warn!(
        "the machine went down while the embedded store was written to: revalidations may be lost, so \
         everything rendered before now counts as superseded"
    );
    connection.execute_batch("DELETE FROM generation; DELETE FROM history;")?;
    (
        state.epoch,
        state.targets,
        state.stale_floor,
        state.expired_floor,
    ) = (new_epoch(), 0, 0, 0);
    // As in every store: no page has been bound under it.
    state.number += 1;
    state.beginning = LOST;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::layout;

    fn risk(durability: Durability, boot: u128) -> Risk {
        Risk {
            durability,
            boot: Uuid::from_u128(boot),
            wrote: false,
        }
    }

    fn file() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        layout::prepare(&connection, "site").unwrap();
        connection
    }

    fn write(connection: &Connection, risk: &mut Risk) -> State {
        let state = risk.begin(connection).unwrap();
        connection.execute_batch("COMMIT").unwrap();
        state
    }

    #[test]
    fn a_crash_of_the_machine_while_changes_were_at_risk_begins_an_epoch() {
        let file = file();
        let before = write(&file, &mut risk(Durability::Process, 1));
        for durability in [Durability::Process, Durability::Machine] {
            risk(durability, 1).look(&file).unwrap();
            assert_eq!(
                State::load(&file).unwrap().epoch,
                before.epoch,
                "no reboot, no loss"
            );
        }
        risk(Durability::Machine, 2).look(&file).unwrap();
        let after = State::load(&file).unwrap();
        assert_ne!(after.epoch, before.epoch);
        assert_eq!(after.number, before.number + 1);
        assert_eq!(after.at_risk, None);
    }

    #[test]
    fn a_reboot_after_a_close_in_good_order_loses_nothing() {
        let file = file();
        let mut first = risk(Durability::Process, 1);
        let before = write(&file, &mut first);
        first.end(&file).unwrap();
        let after = write(&file, &mut risk(Durability::Process, 2));
        assert_eq!(
            (after.epoch, after.at_risk),
            (before.epoch, Some(Uuid::from_u128(2)))
        );
    }

    #[test]
    fn another_process_that_goes_on_writing_leaves_the_note_again() {
        let file = file();
        let (mut first, mut second) = (risk(Durability::Process, 1), risk(Durability::Process, 1));
        write(&file, &mut first);
        let before = write(&file, &mut second);
        first.end(&file).unwrap();
        write(&file, &mut second);
        risk(Durability::Process, 2).look(&file).unwrap();
        assert_ne!(State::load(&file).unwrap().epoch, before.epoch);
    }

    #[test]
    fn waiting_for_the_disk_puts_nothing_at_risk() {
        let file = file();
        let before = write(&file, &mut risk(Durability::Machine, 1));
        let after = write(&file, &mut risk(Durability::Machine, 2));
        assert_eq!((after.epoch, after.at_risk), (before.epoch, None));
    }
}
