//! The embedded store does what every store must, and what only a file that processes share can get wrong.

#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod full;
mod limits;
mod log;
mod opening;
#[cfg(target_os = "linux")]
mod power;
mod processes;
mod support;

use std::sync::Arc;
use std::time::Duration;

use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::{HandClock, TimedStore};

/// The unit of lifetimes in the suite.
const UNIT: Duration = Duration::from_secs(1);

async fn fresh() -> TimedStore<SqliteStore, HandClock> {
    let directory = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let options = SqliteOptions {
        ends_unit: UNIT,
        clock: Some(Arc::new(clock.clone())),
        ..SqliteOptions::default()
    };
    let store = Arc::new(support::open(&directory, options).await);
    TimedStore::in_directory(store, clock, directory, UNIT)
}

isr_testkit::store_behaviour!(fresh());
