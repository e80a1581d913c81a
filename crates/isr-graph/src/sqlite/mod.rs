//! The embedded store: one SQLite file that several processes of a machine share. The default.
//!
//! One thread writes. It puts requests that wait together into one transaction, so that they share the
//! wait for the disk, each behind a savepoint, so that one that fails leaves the others alone. Readers
//! have connections of their own and see one state each, also while something is written
//! (SQLite's write-ahead log). Another thread copies that log back to where its pages belong, so that
//! nobody who writes waits for it. Everything that decides anything is read inside the transaction that
//! decides, under the file's lock, so it holds across processes.
//!
//! `docs/sqlite-layout.md` describes the file.

mod at_risk;
mod budget;
mod checkpoint;
mod claims;
mod collect;
mod connection;
mod dead_letters;
mod failure;
mod gate;
mod generations;
mod graph;
mod group;
mod held;
mod job_row;
mod jobs;
mod layout;
mod log;
mod options;
mod pages;
mod queue;
mod readers;
mod receipts;
mod record;
mod schedule;
mod secret;
mod serve_lock;
mod state;
mod walk;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use isr_core::StoreError;
use rusqlite::Connection;

use self::at_risk::Risk;
use self::checkpoint::Checkpointer;
use self::failure::{Failure, unavailable};
use self::group::WritingThread;
use self::log::{Log, SqliteLog};
use self::readers::Readers;
use self::writer::Writer;

pub use self::options::{Durability, SqliteOptions};
pub use self::serve_lock::{ServeLock, ServeLockError};

/// A store in a file.
///
/// Any number of processes of one machine may open the same file; network file systems are not
/// supported. Methods must be called within a Tokio runtime. Dropping the store blocks for a moment:
/// what was accepted is finished and made durable first.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped first, because only the last connection to be closed tidies up, if it may write.
    readers: Arc<Readers>,
    writer: Writer,
    /// The file that holds its secret.
    secret: PathBuf,
}

impl SqliteStore {
    /// Opens the store in the file at `path`, which is created, with its directory, when there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::NewerLayout`] for a file that a newer release has written,
    /// [`StoreError::Corrupt`] for one that is damaged, or belongs to another site or another program,
    /// and [`StoreError::Unavailable`] or [`StoreError::Full`] when it cannot be opened or created.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let opening = tokio::task::spawn_blocking(move || Self::open_now(&path, options));
        opening.await.map_err(unavailable)?
    }

    fn open_now(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        if let Some(directory) = path
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty())
        {
            std::fs::create_dir_all(directory).map_err(unavailable)?;
        }
        let connection = connection::open_writer(path, &options)?;
        layout::prepare(&connection, &options.site)?;
        let risk = Risk::new(&options);
        risk.look(&connection)?;
        let log = SqliteLog(connection::open_for_log(path)?);
        Self::start(path, connection, options, risk, log)
    }

    fn start(
        path: &Path,
        connection: Connection,
        options: SqliteOptions,
        risk: Risk,
        log: impl Log + 'static,
    ) -> Result<Self, StoreError> {
        let options = Arc::new(options);
        let readers = Readers::new(path.to_owned(), Arc::clone(&options));
        let thread = WritingThread {
            connection,
            checkpointer: Checkpointer::start(log, connection::log_pages(&options))?,
            options,
            risk,
        };
        Ok(Self {
            writer: Writer::start(thread)?,
            readers,
            secret: secret::beside(path),
        })
    }

    async fn read<R, F>(&self, act: F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: FnOnce(&readers::Read<'_>) -> Result<R, Failure> + Send + 'static,
    {
        self.readers.read(act).await
    }

    async fn write<R, F>(&self, act: F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: FnMut(&mut writer::Write<'_>) -> Result<R, Failure> + Send + 'static,
    {
        self.writer.write(act).await
    }
}
