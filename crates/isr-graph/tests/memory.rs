//! The store in memory does what every store must.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::Store;
use isr_graph::{MemoryOptions, MemoryStore};
use isr_testkit::{HandClock, StoreFixture};

#[derive(Debug)]
struct Memory {
    clock: HandClock,
    store: Arc<MemoryStore>,
}

#[async_trait]
impl StoreFixture for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    fn expiry_unit(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn fresh(options: MemoryOptions) -> Memory {
    let clock = HandClock::new();
    Memory {
        store: Arc::new(MemoryStore::new(Arc::new(clock.clone()), options)),
        clock,
    }
}

isr_testkit::store_behaviour!(async { fresh(MemoryOptions::default()) });
