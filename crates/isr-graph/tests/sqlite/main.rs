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

use async_trait::async_trait;
use isr_core::Store;
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::{HandClock, StoreFixture};

/// The unit of lifetimes in the suite.
const UNIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Embedded {
    clock: HandClock,
    store: Arc<SqliteStore>,
    _directory: tempfile::TempDir,
}

#[async_trait]
impl StoreFixture for Embedded {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    fn expiry_unit(&self) -> Duration {
        UNIT
    }
}

async fn fresh() -> Embedded {
    let directory = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let options = SqliteOptions {
        ends_unit: UNIT,
        clock: Some(Arc::new(clock.clone())),
        ..SqliteOptions::default()
    };
    Embedded {
        clock,
        store: Arc::new(support::open(&directory, options).await),
        _directory: directory,
    }
}

isr_testkit::store_behaviour!(fresh());
