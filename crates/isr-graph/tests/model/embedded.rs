//! The embedded store, on the same clock.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{SenderId, TagGraph};
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::store_model::{Comparison, Loss, Room, Subject, compare};
use isr_testkit::{HandClock, StoreFixture, TimedStore};

use crate::runtime;

/// As fine as it can be kept.
const UNIT: Duration = Duration::from_millis(1);

/// What is written of a store: the file, and the log beside it.
const PARTS: [&str; 2] = ["", "-wal"];

#[derive(Debug)]
struct Embedded {
    fixture: TimedStore<SqliteStore, HandClock>,
    options: SqliteOptions,
    /// Counts the boots of the machine, each of which finds the file that was lost last.
    boot: u128,
    file: PathBuf,
}

impl Embedded {
    async fn fresh(room: Room) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = HandClock::new();
        let options = SqliteOptions {
            ends_unit: UNIT,
            history: count(room.history),
            targets: count(room.targets),
            queue: room.queue as u64,
            boot: Some(1),
            clock: Some(Arc::new(clock.clone())),
            ..SqliteOptions::default()
        };
        let file = directory.path().join("graph.sqlite");
        let store = SqliteStore::open(&file, options.clone()).await.unwrap();
        Self {
            fixture: TimedStore::in_directory(Arc::new(store), clock, directory, UNIT),
            options,
            boot: 1,
            file,
        }
    }

    /// Notes in the file under which boot it is written, which the next one takes for a crash.
    async fn write(&self) {
        let nobody = SenderId("nobody".to_owned());
        self.fixture.store.dismiss(&nobody).await.unwrap();
    }

    fn saved(&self) -> PathBuf {
        self.fixture.directory().join("saved.sqlite")
    }
}

#[async_trait]
impl Subject for Embedded {
    fn fixture(&self) -> &dyn StoreFixture {
        &self.fixture
    }

    async fn save(&mut self) {
        self.write().await;
        copy(&self.file, &self.saved());
    }

    async fn lose(&mut self, loss: Loss) {
        self.write().await;
        self.boot += 1;
        if loss == Loss::SinceSaved {
            self.file = self
                .fixture
                .directory()
                .join(format!("{}.sqlite", self.boot));
            copy(&self.saved(), &self.file);
        }
        self.options.boot = Some(self.boot);
        // The one before is still open: that is how it was closed in no good order.
        let store = SqliteStore::open(&self.file, self.options.clone()).await;
        self.fixture.store = Arc::new(store.unwrap());
    }
}

/// Copies a store that nobody writes to.
fn copy(from: &Path, to: &Path) {
    for part in PARTS {
        let [from, to] = [from, to].map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(part);
            name
        });
        fs::copy(from, to).unwrap();
    }
}

fn count(number: usize) -> NonZeroU64 {
    NonZeroU64::new(number as u64).unwrap()
}

#[test]
fn the_embedded_store_answers_as_that_in_memory() {
    let comparison = Comparison {
        cases: 200,
        queue: 5,
        in_order: true,
    };
    compare(&comparison, &runtime(), async |room| {
        Box::new(Embedded::fresh(room).await) as Box<dyn Subject>
    });
}
