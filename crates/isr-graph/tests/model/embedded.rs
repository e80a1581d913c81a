//! The embedded store, on the same clock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::Store;
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::store_model::{Comparison, compare};
use isr_testkit::{HandClock, StoreFixture};

use crate::runtime;

/// As fine as it can be kept.
const UNIT: Duration = Duration::from_millis(1);

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

async fn fresh(queue: usize) -> Box<dyn StoreFixture> {
    let directory = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let options = SqliteOptions {
        ends_unit: UNIT,
        queue: queue as u64,
        clock: Some(Arc::new(clock.clone())),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(directory.path().join("graph.sqlite"), options).await;
    Box::new(Embedded {
        clock,
        store: Arc::new(store.unwrap()),
        _directory: directory,
    })
}

#[test]
fn the_embedded_store_answers_as_that_in_memory() {
    let comparison = Comparison {
        cases: 200,
        queue: 5,
        in_order: true,
    };
    compare(&comparison, &runtime(), async || {
        fresh(comparison.queue).await
    });
}
