//! The store in Redis does what every store must, on a real server.
#![cfg(feature = "redis")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod connection;
mod history;
mod layout;
mod revalidating;
mod waking;

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Bind, BindOutcome, Generation, JobStore, Leave, Mode, PageReason, PageUrl, PageWork, Receipt,
    RevalidateOptions, Secret, Source, StoreError, TagGraph, TagSet, Target, Targets, VariantKey,
    WorkerId, tag,
};
use isr_graph::{RedisOptions, RedisStore};
use isr_testkit::{RedisByHand, RedisServer, TimedStore};

/// A store, and the server that it is on.
type Redis = TimedStore<RedisStore, RedisServer>;

/// The machine may be busy; tests of timeouts set their own.
const PATIENT: Duration = Duration::from_secs(10);

fn options(server: &RedisServer) -> RedisOptions {
    options_at(server.url())
}

fn options_at(url: String) -> RedisOptions {
    RedisOptions {
        connect_timeout: PATIENT,
        response_timeout: PATIENT,
        ..RedisOptions::new(Secret::new(url))
    }
}

fn open(options: RedisOptions) -> Arc<RedisStore> {
    Arc::new(RedisStore::new(options).unwrap())
}

async fn fresh(partitions: u16) -> Redis {
    let server = RedisServer::start().await;
    let store = open(RedisOptions {
        partitions,
        ..options(&server)
    });
    TimedStore::on_server(store, server)
}

/// On a server whose time is moved by hand: what must not be over yet is not, however busy the machine is.
async fn by_hand(partitions: u16) -> TimedStore<RedisStore, RedisByHand> {
    let server = RedisByHand::start().await;
    let store = open(RedisOptions {
        partitions,
        ..options_at(server.url())
    });
    TimedStore::on_server(store, server)
}

mod in_one_partition {
    isr_testkit::store_behaviour!(super::by_hand(1));
}

mod in_four_partitions {
    isr_testkit::store_behaviour!(super::by_hand(4));
}

fn page(path: &str) -> PageUrl {
    PageUrl::parse(&format!("https://site.example{path}")).unwrap()
}

async fn bind_under(
    store: &RedisStore,
    path: &str,
    tags: &[&str],
    generation: Generation,
) -> BindOutcome {
    let tags = TagSet::try_from_iter(tags.iter().map(|text| text.parse().unwrap())).unwrap();
    let bind = Bind {
        url: page(path),
        variant: VariantKey::default(),
        tags,
        generation,
        lifetime: Duration::from_hours(1),
    };
    store.bind(&[bind]).await.unwrap()[0]
}

async fn generation(store: &RedisStore, path: &str) -> Generation {
    store.position().await.unwrap().generation_of(&page(path))
}

async fn bind(store: &RedisStore, path: &str, tags: &[&str]) -> BindOutcome {
    bind_under(store, path, tags, generation(store, path).await).await
}

fn receipt(targets: impl IntoIterator<Item = Target>) -> Receipt {
    Receipt::new(
        Targets::new(targets).unwrap(),
        RevalidateOptions::default(),
        Source::Library,
    )
}

async fn walk(store: &RedisStore, target: &Target, limit: usize) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let chunk = store
            .urls_for(target, cursor.as_ref(), limit)
            .await
            .unwrap();
        found.extend(chunk.urls.iter().map(|url| url.path_and_query().to_owned()));
        cursor = chunk.next;
        if cursor.is_none() {
            found.sort();
            found.dedup();
            return found;
        }
    }
}

async fn pages_of(store: &RedisStore, text: &str) -> Vec<String> {
    walk(store, &Target::Tag(text.parse().unwrap()), 100).await
}
