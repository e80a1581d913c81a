//! The store in memory with several partitions, beside the same with one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::Store;
use isr_graph::{MemoryOptions, MemoryStore};
use isr_testkit::store_model::{Comparison, compare};
use isr_testkit::{HandClock, StoreFixture};

use crate::runtime;

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
        Duration::from_millis(1)
    }
}

#[test]
fn three_partitions_in_memory_answer_as_one() {
    let comparison = Comparison {
        cases: 300,
        queue: 5,
        in_order: true,
    };
    compare(&comparison, &runtime(), async || {
        let clock = HandClock::new();
        let options = MemoryOptions {
            partitions: 3,
            queue: comparison.queue,
            ..MemoryOptions::default()
        };
        let store = MemoryStore::new(Arc::new(clock.clone()), options);
        let fixture: Box<dyn StoreFixture> = Box::new(Memory {
            clock,
            store: Arc::new(store),
        });
        fixture
    });
}
