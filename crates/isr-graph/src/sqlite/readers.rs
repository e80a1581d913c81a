//! Connections that only read, used on threads that may block.

use std::path::PathBuf;
use std::sync::Arc;

use isr_core::StoreError;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::open_reader;
use super::failure::{Failure, unavailable};
use super::options::SqliteOptions;
use super::state::State;

/// What a request that only reads works with.
#[derive(Debug)]
pub(super) struct Read<'a> {
    pub(super) connection: &'a Connection,
    pub(super) state: State,
    /// In microseconds since 1970.
    pub(super) now: i64,
}

/// A few connections, opened when they are first needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    options: Arc<SqliteOptions>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, options: Arc<SqliteOptions>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(options.readers.get()));
        Arc::new(Self {
            path,
            options,
            permits,
            idle: Mutex::default(),
        })
    }

    /// Has `act` read one state of the store: nothing that is written meanwhile shows.
    pub(super) async fn read<R, F>(self: &Arc<Self>, act: F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: FnOnce(&Read<'_>) -> Result<R, Failure> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(unavailable)?;
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let outcome = readers.read_now(act);
            drop(permit);
            outcome
        });
        Ok(reading.await.map_err(unavailable)??)
    }

    fn read_now<R>(&self, act: impl FnOnce(&Read<'_>) -> Result<R, Failure>) -> Result<R, Failure> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.path, &self.options)?,
        };
        let outcome = in_one_snapshot(&connection, &self.options, act);
        // A connection that cannot end its transaction is closed.
        if connection.is_autocommit() {
            self.idle.lock().push(connection);
        }
        outcome
    }
}

fn in_one_snapshot<R>(
    connection: &Connection,
    options: &SqliteOptions,
    act: impl FnOnce(&Read<'_>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let outcome = State::load(connection).and_then(|state| {
        let now = state.at(options.machine_time());
        act(&Read {
            connection,
            state,
            now,
        })
    });
    connection.prepare_cached("COMMIT")?.execute([])?;
    outcome
}
