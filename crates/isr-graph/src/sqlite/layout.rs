//! The tables. `docs/sqlite-layout.md` describes them; they count as public API.

use isr_core::StoreError;
use rusqlite::{Connection, OptionalExtension};

use super::failure::{Failure, STORE};

/// The layout that this release reads and writes, kept in the file's `user_version`.
pub(super) const LAYOUT: u32 = 1;

/// Marks a file as ours, in its `application_id`: the letters `eisr`.
const APPLICATION: i32 = 0x6569_7372;

const TABLES: &str = "
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    site TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL DEFAULT 0,
    stale_floor INTEGER NOT NULL DEFAULT 0,
    expired_floor INTEGER NOT NULL DEFAULT 0,
    at_risk TEXT,
    beginning INTEGER NOT NULL DEFAULT 1,
    clock_ahead INTEGER NOT NULL DEFAULT 0,
    clock_last INTEGER NOT NULL DEFAULT 0,
    targets INTEGER NOT NULL DEFAULT 0,
    pages INTEGER NOT NULL DEFAULT 0,
    tags INTEGER NOT NULL DEFAULT 0,
    edges INTEGER NOT NULL DEFAULT 0,
    revalidations INTEGER NOT NULL DEFAULT 0,
    page_jobs INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    tag_ids INTEGER NOT NULL DEFAULT 0,
    collected INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE page (id INTEGER PRIMARY KEY, url TEXT NOT NULL, record BLOB NOT NULL) STRICT;
CREATE TABLE page_key (hash INTEGER NOT NULL, page INTEGER NOT NULL, PRIMARY KEY (hash, page))
    STRICT, WITHOUT ROWID;
CREATE TABLE tag (hash INTEGER PRIMARY KEY, id INTEGER NOT NULL) STRICT;
CREATE TABLE edge (tag INTEGER NOT NULL, page INTEGER NOT NULL, PRIMARY KEY (tag, page))
    STRICT, WITHOUT ROWID;

CREATE TABLE generation (
    key TEXT PRIMARY KEY NOT NULL,
    stale INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    newest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX generation_newest ON generation (newest);
CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    receipt TEXT NOT NULL,
    mode TEXT NOT NULL,
    targets TEXT NOT NULL
) STRICT;
CREATE TABLE sender (id TEXT PRIMARY KEY NOT NULL, report TEXT NOT NULL, ends INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;

CREATE TABLE receipt (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    finished INTEGER
) STRICT;
CREATE INDEX receipt_finished ON receipt (finished) WHERE finished IS NOT NULL;
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    key TEXT NOT NULL,
    epoch INTEGER,
    number INTEGER,
    oldest INTEGER,
    reason TEXT,
    at INTEGER,
    attempt INTEGER NOT NULL,
    worker TEXT,
    token INTEGER,
    again_epoch INTEGER,
    again_number INTEGER,
    again_oldest INTEGER,
    again_reason TEXT,
    again_at INTEGER,
    error TEXT,
    UNIQUE (kind, key)
) STRICT;
CREATE INDEX job_at ON job (kind, at) WHERE at IS NOT NULL;
CREATE INDEX job_worker ON job (worker) WHERE worker IS NOT NULL;
CREATE INDEX job_in_flight ON job (epoch, oldest) WHERE reason = 'in_flight';
CREATE INDEX job_again_in_flight ON job (again_epoch, again_oldest) WHERE again_reason = 'in_flight';
CREATE INDEX job_dead ON job (kind) WHERE error IS NOT NULL;
";

/// Added to the layout without a new number: releases that do not know the tables leave them alone.
const ADDED: &str = "
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY NOT NULL, full_at INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scheduled (at INTEGER NOT NULL, receipt TEXT NOT NULL, PRIMARY KEY (at, receipt))
    STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (receipt TEXT PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID;
";

/// And columns, which releases that do not know them leave as they are.
const ADDED_COLUMNS: [(&str, &str, &str); 5] = [
    ("state", "scheduled", "INTEGER NOT NULL DEFAULT 0"),
    ("state", "held", "INTEGER NOT NULL DEFAULT 0"),
    // Of a file that was used before, nobody has to be told that it was made.
    ("state", "beginning", "INTEGER NOT NULL DEFAULT 0"),
    ("receipt", "made", "INTEGER"),
    ("receipt", "given_up", "INTEGER"),
];

/// And what finds rows by those columns.
const ADDED_INDEXES: &str = "
CREATE INDEX IF NOT EXISTS receipt_made ON receipt (made) WHERE made IS NOT NULL;
CREATE INDEX IF NOT EXISTS receipt_given_up ON receipt (given_up) WHERE given_up IS NOT NULL;
";

/// Refuses a file that another program or a newer release has written. Changes nothing.
pub(super) fn inspect(connection: &Connection) -> Result<(), Failure> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let table: Option<String> = connection
        .query_row("SELECT name FROM sqlite_schema", [], |row| row.get(0))
        .optional()?;
    let found = version(connection)?;
    match table {
        _ if application == APPLICATION => {}
        Some(table) => {
            return Err(Failure::unreadable(format!(
                "the file belongs to another program: it holds the table `{table}`"
            )));
        }
        None if application != 0 || found != 0 => {
            return Err(Failure::unreadable("the file belongs to another program"));
        }
        None => {}
    }
    if found > LAYOUT {
        return Err(StoreError::NewerLayout {
            store: STORE.to_owned(),
            found,
            known: LAYOUT,
        }
        .into());
    }
    Ok(())
}

/// Makes sure that the file has this release's layout and belongs to `site`; fills an empty one.
pub(super) fn prepare(connection: &Connection, site: &str) -> Result<(), Failure> {
    if version(connection)? == 0 {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let created = create_if_still_empty(connection, site);
        connection.execute_batch(if created.is_ok() {
            "COMMIT"
        } else {
            "ROLLBACK"
        })?;
        created?;
    }
    inspect(connection)?;
    if is_anything_missing(connection)? {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let added = add_what_is_missing(connection);
        connection.execute_batch(if added.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        added?;
    }
    require_site(connection, site)
}

/// Columns come last, so the tables are there when those are.
fn is_anything_missing(connection: &Connection) -> Result<bool, Failure> {
    for (table, column, _) in ADDED_COLUMNS {
        if !has_column(connection, table, column)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn add_what_is_missing(connection: &Connection) -> Result<(), Failure> {
    connection.execute_batch(ADDED)?;
    for (table, column, kind) in ADDED_COLUMNS {
        if !has_column(connection, table, column)? {
            connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {kind}"))?;
        }
    }
    connection.execute_batch(ADDED_INDEXES)?;
    Ok(())
}

fn has_column(connection: &Connection, table: &str, column: &str) -> Result<bool, Failure> {
    Ok(connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?) WHERE name = ?)",
        (table, column),
        |row| row.get(0),
    )?)
}

fn version(connection: &Connection) -> Result<u32, Failure> {
    let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // A negative version is not one that this program could have written either.
    Ok(version.cast_unsigned())
}

fn create_if_still_empty(connection: &Connection, site: &str) -> Result<(), Failure> {
    if version(connection)? != 0 {
        return Ok(()); // another process was faster
    }
    inspect(connection)?;
    connection.execute_batch(TABLES)?;
    connection.execute(
        "INSERT INTO state (id, site, epoch) VALUES (1, ?, ?)",
        (site, new_epoch()),
    )?;
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "user_version", LAYOUT)?;
    Ok(())
}

fn require_site(connection: &Connection, site: &str) -> Result<(), Failure> {
    let found: String = connection.query_row("SELECT site FROM state", [], |row| row.get(0))?;
    if found == site {
        Ok(())
    } else {
        Err(Failure::unreadable(format!(
            "the file holds the site `{found}`, not `{site}`: name another file"
        )))
    }
}

/// An epoch that no store has had before, as it is stored.
pub(super) fn new_epoch() -> i64 {
    uuid::Uuid::now_v7().as_u64_pair().1.cast_signed()
}
