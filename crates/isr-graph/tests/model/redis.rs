//! The store in Redis, on a real server whose time is moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{Secret, Store};
use isr_graph::{RedisOptions, RedisStore};
use isr_testkit::store_model::{Comparison, compare};
use isr_testkit::{RedisByHand, StoreFixture};

use crate::runtime;

#[derive(Debug)]
struct Redis {
    server: Arc<RedisByHand>,
    store: Arc<RedisStore>,
}

#[async_trait]
impl StoreFixture for Redis {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn pass(&self, duration: Duration) {
        self.server.pass(duration).await;
    }

    fn expiry_unit(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The machine may be busy, and nothing here is about that.
const PATIENT: Duration = Duration::from_mins(1);

/// A store with nothing in it on a server that had other stores before.
async fn fresh(
    server: &Arc<RedisByHand>,
    site: u64,
    comparison: &Comparison,
    partitions: u16,
) -> Box<dyn StoreFixture> {
    server.clear().await;
    let options = RedisOptions {
        site: format!("site-{site}"),
        partitions,
        connect_timeout: PATIENT,
        response_timeout: PATIENT,
        connections: 2,
        queue: comparison.queue,
        ..RedisOptions::new(Secret::new(server.url()))
    };
    Box::new(Redis {
        server: Arc::clone(server),
        store: Arc::new(RedisStore::new(options).unwrap()),
    })
}

fn compare_redis(comparison: &Comparison, partitions: u16) {
    let runtime = runtime();
    let server = Arc::new(runtime.block_on(RedisByHand::start()));
    let sites = AtomicU64::new(0);
    compare(comparison, &runtime, async || {
        let site = sites.fetch_add(1, Ordering::Relaxed);
        fresh(&server, site, comparison, partitions).await
    });
}

#[test]
fn redis_in_one_partition_answers_as_the_store_in_memory() {
    let comparison = Comparison {
        cases: 300,
        queue: 5,
        in_order: true,
    };
    compare_redis(&comparison, 1);
}

#[test]
fn redis_in_four_partitions_answers_as_the_store_in_memory() {
    let comparison = Comparison {
        cases: 150,
        // How many pages may wait is counted in each partition.
        queue: 1_000,
        in_order: false,
    };
    compare_redis(&comparison, 4);
}
