//! The store in Redis, on real servers whose time is moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use isr_core::Secret;
use isr_graph::{RedisOptions, RedisStore};
use isr_testkit::store_model::{Comparison, Loss, Room, Subject, compare};
use isr_testkit::{RedisByHand, RedisSnapshot, StoreFixture, TimedStore};

use crate::runtime;

/// The machine may be busy, and nothing here is about that.
const PATIENT: Duration = Duration::from_mins(1);

/// Has the data say that another server had them, from whose snapshot or log this one has read them.
const CHANGE_SERVERS: &str = "
for _, key in ipairs(redis.call('KEYS', 'isr:{*}:m')) do
  redis.call('HSET', key, 'run', 'another', 'lineage', string.rep('f', 40))
end
for _, key in ipairs(redis.call('KEYS', 'isr:{*}:c')) do
  redis.call('SETRANGE', key, 16, 'ffffffff')
end
return 0";

#[derive(Debug)]
struct Redis {
    fixture: TimedStore<RedisStore, Arc<RedisByHand>>,
    saved: Option<RedisSnapshot>,
}

#[async_trait]
impl Subject for Redis {
    fn fixture(&self) -> &dyn StoreFixture {
        &self.fixture
    }

    async fn save(&mut self) {
        self.saved = Some(self.fixture.time.save().await);
    }

    async fn lose(&mut self, loss: Loss) {
        let server = &self.fixture.time;
        if let (Loss::SinceSaved, Some(saved)) = (loss, &self.saved) {
            server.put_back(saved).await;
        }
        server.execute(&["EVAL", CHANGE_SERVERS, "0"]).await;
    }
}

/// Where stores are, and how they are made there.
struct Place {
    server: Arc<RedisByHand>,
    is_cluster: bool,
    partitions: u16,
    sites: AtomicU64,
}

impl Place {
    fn new(server: RedisByHand, is_cluster: bool, partitions: u16) -> Self {
        Self {
            server: Arc::new(server),
            is_cluster,
            partitions,
            sites: AtomicU64::new(0),
        }
    }

    /// A store with nothing in it on a server that had other stores before.
    async fn fresh(&self, room: Room) -> Box<dyn Subject> {
        self.server.clear().await;
        let site = self.sites.fetch_add(1, Ordering::Relaxed);
        let options = RedisOptions {
            site: format!("site-{site}"),
            cluster: self.is_cluster,
            partitions: self.partitions,
            connect_timeout: PATIENT,
            response_timeout: PATIENT,
            connections: 2,
            history: room.history,
            queue: room.queue,
            ..RedisOptions::new(Secret::new(self.server.url()))
        };
        let store = Arc::new(RedisStore::new(options).unwrap());
        Box::new(Redis {
            fixture: TimedStore::on_server(store, Arc::clone(&self.server)),
            saved: None,
        })
    }
}

#[test]
fn redis_in_one_partition_answers_as_the_store_in_memory() {
    let runtime = runtime();
    let place = Place::new(runtime.block_on(RedisByHand::start()), false, 1);
    let comparison = Comparison {
        cases: 300,
        queue: 5,
        in_order: true,
    };
    compare(&comparison, &runtime, async |room| place.fresh(room).await);
}

#[test]
fn redis_in_four_partitions_answers_as_the_store_in_memory() {
    let runtime = runtime();
    let place = Place::new(runtime.block_on(RedisByHand::start()), false, 4);
    let comparison = Comparison {
        cases: 150,
        ..IN_PARTITIONS
    };
    compare(&comparison, &runtime, async |room| place.fresh(room).await);
}

/// The partitions are spread over three masters.
#[test]
fn a_cluster_answers_as_the_store_in_memory() {
    let runtime = runtime();
    let place = Place::new(runtime.block_on(RedisByHand::start_cluster(3)), true, 4);
    let comparison = Comparison {
        cases: 60,
        ..IN_PARTITIONS
    };
    compare(&comparison, &runtime, async |room| place.fresh(room).await);
}

const IN_PARTITIONS: Comparison = Comparison {
    cases: 0,
    // How many pages may wait is counted in each partition.
    queue: 1_000,
    in_order: false,
};
