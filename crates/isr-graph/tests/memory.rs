//! The store in memory does what every store must.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    JobStore as _, Leave, Partition, Phase, Receipt, RevalidateOptions, RevalidationId, Source,
    Store, StoreError, TagGraph as _, Target, Targets, WorkerId,
};
use isr_graph::{BetweenPartitions, MemoryOptions, MemoryStore};
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

/// Fails as often as it has been told to.
#[derive(Debug, Default)]
struct Failing(AtomicU32);

#[async_trait]
impl BetweenPartitions for Failing {
    async fn before(&self, _: &RevalidationId, _: Partition) -> Result<(), StoreError> {
        let left = |left: u32| left.checked_sub(1);
        let failed = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        match failed {
            Ok(_) => Err(StoreError::Unavailable {
                store: "failing".to_owned(),
                source: "as it was told to".into(),
            }),
            Err(_) => Ok(()),
        }
    }
}

/// The caller of a revalidation may die, or not reach some partition, after the first partition has it.
#[tokio::test]
async fn a_revalidation_that_some_partitions_lack_is_completed() {
    for by_worker in [true, false] {
        let failing = Arc::new(Failing::default());
        let options = MemoryOptions {
            partitions: 3,
            ..MemoryOptions::default()
        };
        let store = MemoryStore::new(Arc::new(HandClock::new()), options)
            .with_between(Arc::clone(&failing) as _);
        let targets = Targets::new([Target::Host("site.example".into())]).unwrap();
        let asked = Receipt::new(targets, RevalidateOptions::default(), Source::Library);
        failing.0.store(1, Ordering::Relaxed);
        store.invalidate(asked.clone()).await.unwrap_err();
        assert_eq!(store.position().await.unwrap().numbers(), [1, 0, 0]);
        let done = if by_worker {
            let (worker, hour) = (WorkerId("w".into()), Duration::from_hours(1));
            let claimed = store.claim_revalidations(&worker, 1, hour).await.unwrap();
            claimed[0].work.clone()
        } else {
            store.invalidate(asked).await.unwrap()
        };
        let now = store.position().await.unwrap();
        assert_eq!(now.numbers(), [1, 1, 1], "by a worker: {by_worker}");
        assert_eq!(done.position, Some(now));
    }
}

mod in_three_partitions {
    use super::*;

    isr_testkit::store_behaviour!(async {
        fresh(MemoryOptions {
            partitions: 3,
            ..MemoryOptions::default()
        })
    });
}

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
