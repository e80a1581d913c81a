//! The write-ahead log: it is copied back while the store is written to, and stays short.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use isr_core::TagGraph;
use isr_graph::{Durability, SqliteOptions, SqliteStore};
use isr_testkit::store_suite::make::revalidate;
use rusqlite::Connection;

use crate::support::{assert_whole, bind_posts, file, open};

/// How long the log is to become.
const LOG_BYTES: NonZeroU64 = NonZeroU64::new(256 * 1024).unwrap();

/// Pages of one call.
const BATCH: u64 = 200;

/// The most calls until something is to have happened.
const CALLS: u64 = 500;

fn options(durability: Durability) -> SqliteOptions {
    SqliteOptions {
        durability,
        log_bytes: LOG_BYTES,
        ..SqliteOptions::default()
    }
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("sqlite-wal")
}

/// How often the log has been begun anew (SQLite's file format, 4.1: the checkpoint sequence number).
fn begun(path: &Path) -> u32 {
    let header = std::fs::read(log_of(path)).unwrap();
    let number = header.get(12..16).map(|bytes| bytes.try_into().unwrap());
    number.map_or(0, u32::from_be_bytes)
}

/// Binds new pages until the log has been begun anew `times`, and says how long it was at most.
async fn bind_until_begun_anew(store: &SqliteStore, path: &Path, times: u32) -> u64 {
    let (first, mut longest) = (begun(path), 0);
    for call in 0..CALLS {
        bind_posts(store, call * BATCH, (call + 1) * BATCH)
            .await
            .unwrap();
        longest = std::fs::metadata(log_of(path)).unwrap().len().max(longest);
        if begun(path) - first >= times {
            return longest;
        }
    }
    panic!("the log was begun anew {} times only", begun(path) - first);
}

/// Generous: a thread may be kept from its work on a busy machine.
fn assert_short(longest: u64) {
    assert!(longest < 64 * LOG_BYTES.get(), "{longest} bytes");
}

#[tokio::test]
async fn the_log_stays_short_while_the_store_is_written_to() {
    for durability in [Durability::Process, Durability::Machine] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory, options(durability)).await;
        assert_short(bind_until_begun_anew(&store, &file(&directory), 12).await);
        drop(store);
        assert!(
            !log_of(&file(&directory)).exists(),
            "the last to close the file copies what is left"
        );
        assert_whole(&file(&directory));
    }
}

#[tokio::test]
async fn the_log_stays_short_while_several_handles_write_and_read() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (
        open(&directory, options(Durability::Process)).await,
        open(&directory, options(Durability::Process)).await,
    );
    let writing = async {
        let longest = bind_until_begun_anew(&one, &file(&directory), 12).await;
        assert_short(longest);
    };
    let reading = async {
        loop {
            revalidate(&other, &["another"]).await;
            other.statistics(20).await.unwrap();
            bind_posts(&other, 0, 20).await.unwrap();
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
    drop(other);
    drop(one);
    assert_whole(&file(&directory));
}

#[tokio::test]
async fn whoever_reads_an_old_state_stops_nobody_and_the_log_is_begun_anew_after_him() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, options(Durability::Process)).await;
    bind_posts(&store, 0, BATCH).await.unwrap();
    let reader = Connection::open(file(&directory)).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let seen = || -> i64 {
        reader
            .query_row("SELECT count(*) FROM page", [], |row| row.get(0))
            .unwrap()
    };
    let known = seen();

    let (before, mut bound) = (begun(&file(&directory)), BATCH);
    let length = || std::fs::metadata(log_of(&file(&directory))).unwrap().len();
    while length() < 16 * LOG_BYTES.get() {
        bind_posts(&store, bound, bound + BATCH).await.unwrap();
        revalidate(&store, &["another"]).await;
        bound += BATCH;
    }
    assert_eq!(seen(), known);
    assert_eq!(begun(&file(&directory)), before, "its state is still there");

    drop(reader);
    bind_until_begun_anew(&store, &file(&directory), 1).await;
    // What it had grown to is given back.
    assert!(length() < 16 * LOG_BYTES.get());
    drop(store);
    assert_whole(&file(&directory));
}
