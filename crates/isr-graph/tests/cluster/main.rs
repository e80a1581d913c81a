//! The store in a Redis Cluster does what every store must, on real servers: also while slots are moved, and
//! when a master dies.
#![cfg(feature = "redis")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod failing_over;
mod moving_slots;
mod mute_connections;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Bind, BindOutcome, JobStore, Leave, Mode, PageUrl, Position, Receipt, RevalidateOptions,
    RevalidationId, Secret, Source, StoreError, TagGraph, TagSet, Target, Targets, VariantKey,
    WorkerId,
};
use isr_graph::{RedisOptions, RedisStore};
use isr_testkit::{Passing, RedisByHand, RedisCluster, TimedStore};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;

/// Enough that each of three masters has some.
const PARTITIONS: u16 = 8;

/// Nothing in the behaviour suite is about how long a server may take, and the machine may be busy.
const PATIENT: Duration = Duration::from_secs(10);

/// One cluster for all tests of the behaviour suite, since it takes seconds to form: each has a site of its own. It
/// ends when none of them is there any more.
static CLUSTER: Mutex<Weak<RedisByHand>> = Mutex::const_new(Weak::new());
static SITES: AtomicU32 = AtomicU32::new(0);

/// They go by one clock, and so take turns.
static TURNS: Mutex<()> = Mutex::const_new(());

#[derive(Debug)]
struct Turn {
    cluster: Arc<RedisByHand>,
    _turn: MutexGuard<'static, ()>,
}

#[async_trait]
impl Passing for Turn {
    async fn pass(&self, duration: Duration) {
        self.cluster.pass(duration).await;
    }
}

fn options(cluster: &RedisCluster) -> RedisOptions {
    options_at(cluster.url())
}

fn options_at(url: String) -> RedisOptions {
    RedisOptions {
        cluster: true,
        partitions: PARTITIONS,
        ..RedisOptions::new(Secret::new(url))
    }
}

fn open(options: RedisOptions) -> Arc<RedisStore> {
    Arc::new(RedisStore::new(options).unwrap())
}

async fn fresh() -> TimedStore<RedisStore, Turn> {
    let cluster = {
        let mut shared = CLUSTER.lock().await;
        if let Some(cluster) = shared.upgrade() {
            cluster
        } else {
            let cluster = Arc::new(RedisByHand::start_cluster(3).await);
            *shared = Arc::downgrade(&cluster);
            cluster
        }
    };
    let site = format!("site-{}", SITES.fetch_add(1, Ordering::Relaxed));
    let store = open(RedisOptions {
        site,
        connect_timeout: PATIENT,
        response_timeout: PATIENT,
        ..options_at(cluster.url())
    });
    let turn = Turn {
        cluster,
        _turn: TURNS.lock().await,
    };
    TimedStore::on_server(store, turn)
}

mod in_a_cluster {
    isr_testkit::store_behaviour!(super::fresh());
}

fn page(number: usize) -> PageUrl {
    PageUrl::parse(&format!("https://site.example/{number}")).unwrap()
}

fn bind_of(number: usize, tags: &[&str], at: &Position) -> Bind {
    let url = page(number);
    Bind {
        generation: at.generation_of(&url),
        url,
        variant: VariantKey::default(),
        tags: TagSet::try_from_iter(tags.iter().map(|text| text.parse().unwrap())).unwrap(),
        lifetime: Duration::from_hours(1),
    }
}

fn receipt(targets: impl IntoIterator<Item = Target>) -> Receipt {
    Receipt::new(
        Targets::new(targets).unwrap(),
        RevalidateOptions::default(),
        Source::Library,
    )
}

async fn pages_of(store: &RedisStore, text: &str) -> Result<Vec<String>, StoreError> {
    let target = Target::Tag(text.parse().unwrap());
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let chunk = store.urls_for(&target, cursor.as_ref(), 100).await?;
        found.extend(chunk.urls.iter().map(|url| url.path_and_query().to_owned()));
        cursor = chunk.next;
        if cursor.is_none() {
            found.sort();
            found.dedup();
            return Ok(found);
        }
    }
}

/// Tries until it succeeds: the store is away for a moment.
async fn in_the_end<T, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => {
                let is_away = matches!(error, StoreError::Unavailable { .. });
                let in_time = tokio::time::Instant::now() < deadline;
                assert!(
                    is_away && in_time,
                    "the store does not come back: {error:?}"
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Callers who bind pages to the tag `all` and revalidate each, until they are stopped.
struct Callers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<RevalidationId>>,
}

impl Callers {
    fn start(store: &Arc<RedisStore>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for caller in 0..4 {
            tasks.spawn(call(Arc::clone(store), Arc::clone(&stop), caller));
        }
        Self { stop, tasks }
    }

    /// What was acknowledged, each for a page of its own.
    async fn stop(self) -> Vec<RevalidationId> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

async fn call(store: Arc<RedisStore>, stop: Arc<AtomicBool>, caller: usize) -> Vec<RevalidationId> {
    let mut made = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = made.len() * 4 + caller;
        let at = in_the_end(|| store.position()).await;
        let bind = [bind_of(number, &["all"], &at)];
        in_the_end(|| store.bind(&bind)).await;
        let receipt = receipt([Target::Url(page(number))]);
        made.push(in_the_end(|| store.invalidate(receipt.clone())).await.id);
    }
    made
}

#[test]
fn several_addresses_are_for_a_cluster() {
    let url = Secret::new("redis://127.0.0.1:1,redis://127.0.0.1:2");
    let error = RedisStore::new(RedisOptions::new(url.clone())).unwrap_err();
    assert!(error.to_string().contains("store.cluster"), "{error}");
    let clustered = RedisOptions {
        cluster: true,
        ..RedisOptions::new(url)
    };
    assert!(RedisStore::new(clustered).is_ok());
}

#[tokio::test]
async fn a_node_of_a_cluster_says_so_to_whoever_takes_it_for_a_server() {
    let cluster = RedisCluster::start(1).await;
    let store = open(RedisOptions::new(Secret::new(cluster.url())));
    let error = store.open().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("store.cluster = true"), "{source}");
}
