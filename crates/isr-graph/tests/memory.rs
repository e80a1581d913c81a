//! The store in memory does what every store must.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{Leave, Phase, Store};
use isr_graph::{MemoryOptions, MemoryStore};
use isr_testkit::store_suite::make::{HOUR, revalidate, worker};
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

/// What others are compared with over months (`tests/model`) keeps it itself.
#[tokio::test]
async fn what_is_held_is_kept_for_as_long_as_it_waits() {
    let fixture = fresh(MemoryOptions::default());
    let store = fixture.store();
    let made = revalidate(&*store, &["a"]).await;
    let claimed = store.claim_revalidations(&worker("one"), 1, HOUR).await;
    let mut claimed = claimed.unwrap().remove(0);
    claimed.work.phase = Phase::Held;
    let left = store.leave(&claimed.claim, &claimed.work, &Leave::Held);
    left.await.unwrap();
    fixture.pass(24 * 365 * HOUR).await;
    store.collect_garbage(100).await.unwrap();
    let released = store.release(&made.id).await.unwrap().unwrap();
    assert_eq!(released.phase, Phase::Queued);
}
