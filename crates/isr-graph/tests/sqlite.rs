//! The embedded store does what every store must.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::Store;
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::StoreFixture;

#[derive(Debug)]
struct Embedded {
    store: Arc<SqliteStore>,
    _directory: tempfile::TempDir,
}

#[async_trait]
impl StoreFixture for Embedded {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn pass(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn expiry_unit(&self) -> Duration {
        UNIT
    }
}

const UNIT: Duration = Duration::from_millis(1);

async fn fresh() -> Embedded {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        ends_unit: UNIT,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(directory.path().join("graph.sqlite"), options)
        .await
        .unwrap();
    Embedded {
        store: Arc::new(store),
        _directory: directory,
    }
}

isr_testkit::store_behaviour!(fresh());
