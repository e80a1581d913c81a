//! The write-ahead log: how long it is, and copying its pages to where they belong.

use rusqlite::Connection;

use super::failure::Failure;

/// How long the log is, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) pages: i64,
    /// Those of them, from the beginning, that have been copied.
    pub(super) copied: i64,
}

impl Extent {
    pub(super) fn left(self) -> i64 {
        self.pages - self.copied
    }
}

/// What the thread that copies the log does to it.
pub(super) trait Log: Send {
    fn extent(&mut self) -> Result<Extent, Failure>;

    /// Copies what was in the log when it began, as far as nobody reads an older state; keeps neither
    /// those who write nor those who read waiting. If nothing has been added meanwhile, the copy is
    /// made durable.
    fn copy(&mut self) -> Result<(), Failure>;

    /// Copies all that is left, while nobody may write; the next transaction then begins the log
    /// anew. `false` when somebody still reads it, or does the same.
    fn finish(&mut self) -> Result<bool, Failure>;
}

/// The log of the file that a connection has open.
#[derive(Debug)]
pub(super) struct SqliteLog(pub(super) Connection);

impl Log for SqliteLog {
    fn extent(&mut self) -> Result<Extent, Failure> {
        extent(&self.0)
    }

    fn copy(&mut self) -> Result<(), Failure> {
        checkpoint(&self.0, "PRAGMA wal_checkpoint = PASSIVE").map(drop)
    }

    fn finish(&mut self) -> Result<bool, Failure> {
        let (is_busy, extent) = checkpoint(&self.0, "PRAGMA wal_checkpoint = RESTART")?;
        Ok(!is_busy && extent.left() == 0)
    }
}

/// How long the log is, as `connection` sees it. Takes no lock, and is no more than a look at memory.
pub(super) fn extent(connection: &Connection) -> Result<Extent, Failure> {
    let (_, extent) = checkpoint(connection, "PRAGMA wal_checkpoint = NOOP")?;
    Ok(extent)
}

/// Whether somebody was in the way, and how long the log was when it began.
fn checkpoint(connection: &Connection, sql: &str) -> Result<(bool, Extent), Failure> {
    let mut pragma = connection.prepare_cached(sql)?;
    let outcome = pragma.query_row([], |row| {
        let (pages, copied) = (row.get(1)?, row.get(2)?);
        Ok((row.get(0)?, Extent { pages, copied }))
    })?;
    Ok(outcome)
}
