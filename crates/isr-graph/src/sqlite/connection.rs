//! How the file is opened: by one connection that writes, and several that read.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::Failure;
use super::layout;
use super::options::{Durability, SqliteOptions};

/// Bytes of a page of a new file.
const PAGE_BYTES: u32 = 4096;

/// Statements kept ready on a connection. More than there are different ones.
const STATEMENTS_KEPT: usize = 64;

/// The pause between two attempts to take the lock on the file. Short, because whoever writes all the
/// time leaves it free for hardly longer.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// Attempts to take the lock before the store counts as unavailable: at least five seconds.
const LOCK_ATTEMPTS: i32 = 5_000;

/// Attempts to be alone with the log. Few, because nobody can write meanwhile.
const LOG_ATTEMPTS: i32 = 50;

/// The connection that writes. Creates the file when there is none, and leaves a file alone that is
/// another program's, or a newer release's.
pub(super) fn open_writer(path: &Path, options: &SqliteOptions) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    set_up(&mut connection, options.cache_bytes)?;
    layout::inspect(&connection)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    use_write_ahead_log(&connection)?;
    set_synchronous(&connection, options.durability)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // More than it has when it has been copied, so that it is not cut and lengthened every time.
    let kept = options.log_bytes.get().saturating_mul(2);
    connection.pragma_update(
        None,
        "journal_size_limit",
        i64::try_from(kept).unwrap_or(-1),
    )?;
    if let Some(bytes) = options.max_bytes {
        let pages = (bytes.get() / u64::from(PAGE_BYTES)).max(1);
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(connection)
}

/// A connection that only reads, of a file that a writer has opened.
pub(super) fn open_reader(path: &Path, options: &SqliteOptions) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    set_up(&mut connection, options.cache_bytes / 8)?;
    Ok(connection)
}

/// The connection that copies the log of a file that a writer has opened. It waits for the disk
/// wherever that takes part in keeping the file whole, whatever the durability is.
pub(super) fn open_for_log(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(|attempts| wait_for_lock(attempts, LOG_ATTEMPTS)))?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    set_synchronous(&connection, Durability::Process)?;
    // Only a connection that has read something knows that there is a log.
    layout::inspect(&connection)?;
    Ok(connection)
}

/// From how many pages on the log is copied.
pub(super) fn log_pages(options: &SqliteOptions) -> i64 {
    let pages = options.log_bytes.get() / u64::from(PAGE_BYTES);
    i64::try_from(pages).unwrap_or(i64::MAX).max(1)
}

/// How long a commit waits.
pub(super) fn set_synchronous(
    connection: &Connection,
    durability: Durability,
) -> Result<(), Failure> {
    let word = match durability {
        Durability::Process => "NORMAL",
        Durability::Machine => "FULL",
    };
    connection.pragma_update(None, "synchronous", word)?;
    Ok(())
}

fn set_up(connection: &mut Connection, cache_bytes: usize) -> Result<(), Failure> {
    connection.busy_handler(Some(|attempts| wait_for_lock(attempts, LOCK_ATTEMPTS)))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Otherwise a statement whose plan might depend on a parameter is planned anew at every use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // SQLite takes a number of more than 32 bits for none at all.
    let kibibytes = i32::try_from(cache_bytes / 1024)
        .unwrap_or(i32::MAX)
        .max(64);
    connection.pragma_update(None, "cache_size", -kibibytes)?;
    Ok(())
}

/// Switching a new file over needs it alone, and SQLite then does not wait by itself.
fn use_write_ahead_log(connection: &Connection) -> Result<(), Failure> {
    let mut attempts = 0;
    loop {
        let mode: rusqlite::Result<String> =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                return Err(Failure::unreadable(format!(
                    "the journal mode stays {mode}"
                )));
            }
            Err(error) if !is_locked(&error) || !wait_for_lock(attempts, LOCK_ATTEMPTS) => {
                return Err(error.into());
            }
            Err(_) => attempts += 1,
        }
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}

/// Called by SQLite after each attempt that failed; `false` gives up.
fn wait_for_lock(attempts: i32, most: i32) -> bool {
    std::thread::park_timeout(LOCK_PAUSE);
    attempts < most
}
