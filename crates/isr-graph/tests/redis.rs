//! The store in Redis does what every store must, on a real server.
#![cfg(feature = "redis")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Bind, BindOutcome, Generation, JobStore, Mode, PageUrl, Receipt, RevalidateOptions, Secret,
    Source, Store, StoreError, TagGraph, TagSet, Target, Targets, VariantKey, WorkerId, tag,
};
use isr_graph::{RedisOptions, RedisStore};
use isr_testkit::{RedisServer, StoreFixture};

#[derive(Debug)]
struct Redis {
    server: RedisServer,
    store: Arc<RedisStore>,
}

#[async_trait]
impl StoreFixture for Redis {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn pass(&self, duration: Duration) {
        // The store goes by the server's clock, which nobody can set.
        tokio::time::sleep(duration).await;
    }

    fn expiry_unit(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn options(server: &RedisServer) -> RedisOptions {
    RedisOptions::new(Secret::new(server.url()))
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
    Redis { server, store }
}

mod in_one_partition {
    isr_testkit::store_behaviour!(super::fresh(1));
}

mod in_four_partitions {
    isr_testkit::store_behaviour!(super::fresh(4));
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

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_given_them_again() {
    let Redis { server, store } = fresh(2).await;
    bind(&store, "/1", &["a"]).await;
    assert_eq!(server.execute(&["SCRIPT", "FLUSH"]).await, "+OK");
    bind(&store, "/2", &["a"]).await;
    server.execute(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(pages_of(&store, "a").await, ["/1", "/2"]);
    server.execute(&["SCRIPT", "FLUSH"]).await;
    store
        .invalidate(receipt([Target::Tag(tag("a", 1))]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_broken_connection_is_replaced() {
    let Redis { server, store } = fresh(1).await;
    bind(&store, "/1", &["a"]).await;
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
    for _ in 0..3 {
        server.execute(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        bind(&store, "/2", &["a"]).await;
        server.execute(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        assert_eq!(pages_of(&store, "a").await, ["/1", "/2"]);
    }
}

#[tokio::test]
async fn a_server_that_came_back_empty_begins_a_new_epoch() {
    let Redis { mut server, store } = fresh(2).await;
    let before = store.position().await.unwrap();
    bind(&store, "/1", &["a"]).await;
    server.restart().await;
    let outcome = bind_under(&store, "/1", &["a"], before.generation_of(&page("/1"))).await;
    let BindOutcome::Superseded {
        current,
        mode: Mode::Hard,
    } = outcome
    else {
        panic!("a generation of the lost history must not count: {outcome:?}")
    };
    assert_ne!(current.epoch, before.epoch);
    assert!(store.news_since(&before, 10).await.unwrap().gap);
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
}

#[tokio::test]
async fn one_emptied_partition_begins_a_new_epoch_for_all() {
    let Redis { server, store } = fresh(2).await;
    let before = store.position().await.unwrap();
    bind(&store, "/1", &["a"]).await;
    server
        .execute(&["DEL", "isr:{default:1}:c", "isr:{default:1}:m"])
        .await;
    let after = store.position().await.unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert!(store.news_since(&before, 10).await.unwrap().gap);
    assert!(bind(&store, "/2", &["a"]).await.is_bound());
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_used_again_once_it_is_back() {
    let Redis { mut server, store } = fresh(1).await;
    bind(&store, "/1", &["a"]).await;
    server.kill();
    let error = store.position().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    server.restart().await;
    assert!(bind(&store, "/1", &["a"]).await.is_bound());
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_on_after_the_timeout() {
    let server = RedisServer::start().await;
    let short = Duration::from_millis(200);
    let store = open(RedisOptions {
        response_timeout: short,
        connect_timeout: short,
        ..options(&server)
    });
    bind(&store, "/1", &["a"]).await;
    server.pause();
    for _ in 0..2 {
        let error = store.position().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    server.resume();
    while store.position().await.is_err() {}
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
}

#[tokio::test]
async fn nothing_that_is_shown_holds_the_password() {
    let url = "redis://someone:hunter2@127.0.0.1:1/".to_owned();
    let store = RedisStore::new(RedisOptions::new(Secret::new(url))).unwrap();
    let error = store.open().await.unwrap_err();
    let shown = format!("{store:?} {error:?} {error}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let malformed = RedisOptions::new(Secret::new("hunter2://x y"));
    let error = RedisStore::new(malformed).unwrap_err();
    assert!(
        !format!("{error:?} {error}").contains("hunter2"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_newer_layout_is_refused() {
    let Redis { server, store } = fresh(1).await;
    store.open().await.unwrap();
    server
        .execute(&["HSET", "isr:{default:0}:m", "layout", "99"])
        .await;
    let error = open(options(&server)).open().await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::NewerLayout {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let Redis { server, store } = fresh(4).await;
    store.open().await.unwrap();
    let error = open(options(&server)).open().await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::OtherPartitions {
                found: 4,
                configured: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(bind(&store, "/1", &["a"]).await.is_bound());
}

#[tokio::test]
async fn two_sites_on_one_server_see_nothing_of_one_another() {
    let server = RedisServer::start().await;
    let site = |name: &str| {
        open(RedisOptions {
            site: name.to_owned(),
            ..options(&server)
        })
    };
    let (one, two) = (site("one"), site("two"));
    bind(&one, "/1", &["a"]).await;
    let started = generation(&two, "/1").await;
    one.invalidate(receipt([Target::Tag("a".parse().unwrap())]))
        .await
        .unwrap();
    assert_eq!(pages_of(&two, "a").await, [""; 0]);
    assert_eq!(two.tags_for(&page("/1")).await.unwrap(), None);
    assert!(bind_under(&two, "/1", &["a"], started).await.is_bound());
    assert_eq!(two.depth().await.unwrap().revalidations, 0);
}

#[tokio::test]
async fn a_full_server_says_so_and_keeps_what_it_has() {
    let Redis { server, store } = fresh(1).await;
    bind(&store, "/1", &["a"]).await;
    server.execute(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let bind_other = Bind {
        url: page("/2"),
        variant: VariantKey::default(),
        tags: TagSet::try_from_iter([tag("a", 1)]).unwrap(),
        generation: generation(&store, "/2").await,
        lifetime: Duration::from_hours(1),
    };
    let error = store.bind(&[bind_other]).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    let error = store
        .invalidate(receipt([Target::Url(page("/1"))]))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
    server.execute(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(bind(&store, "/2", &["a"]).await.is_bound());
}

/// The caller of a revalidation may die, or not reach some partition, after the home partition has it.
#[tokio::test]
async fn a_revalidation_that_reached_the_home_partition_only_is_completed() {
    for by_worker in [true, false] {
        let Redis { server, store } = fresh(4).await;
        let before = store.position().await.unwrap();
        let asked = receipt([Target::Host("site.example".into())]);
        // The other partitions cannot be written while their numbers are of another type.
        for partition in 1..4 {
            server
                .execute(&["SET", &format!("isr:{{default:{partition}}}:h"), "x"])
                .await;
        }
        let error = store.invalidate(asked.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        for partition in 1..4 {
            server
                .execute(&["DEL", &format!("isr:{{default:{partition}}}:h")])
                .await;
        }
        let done = if by_worker {
            let worker = WorkerId("w".into());
            let hour = Duration::from_hours(1);
            let claimed = store.claim_revalidations(&worker, 1, hour).await.unwrap();
            claimed[0].work.clone()
        } else {
            store.invalidate(asked).await.unwrap()
        };
        let now = store.position().await.unwrap();
        assert_eq!(done.position, Some(now.clone()), "by a worker: {by_worker}");
        let moved = now.numbers().iter().zip(before.numbers());
        assert!(
            moved.into_iter().all(|(now, before)| *now == before + 1),
            "{now:?}"
        );
    }
}

#[tokio::test]
async fn the_history_forgets_the_oldest_revalidations_first() {
    let server = RedisServer::start().await;
    let store = open(RedisOptions {
        history: 4,
        ..options(&server)
    });
    let start = store.position().await.unwrap();
    let mut positions = Vec::new();
    for n in 0..10 {
        positions.push(
            store
                .invalidate(receipt([Target::Tag(tag("t", n))]))
                .await
                .unwrap()
                .position
                .unwrap(),
        );
    }
    assert!(store.news_since(&start, 100).await.unwrap().gap);
    let news = store.news_since(&positions[5], 100).await.unwrap();
    assert_eq!((news.heard.len(), news.gap), (4, false));
    let old = start.generation_of(&page("/"));
    assert!(
        !bind_under(&store, "/", &["other"], old).await.is_bound(),
        "nobody can say any more"
    );
    let newer = positions[5].generation_of(&page("/"));
    assert!(bind_under(&store, "/", &["other"], newer).await.is_bound());
    for n in 6..10 {
        let text = format!("t:{n}");
        assert!(
            !bind_under(&store, "/", &[&text], newer).await.is_bound(),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_full_queue_takes_nothing_more() {
    let server = RedisServer::start().await;
    let store = open(RedisOptions {
        queue: 2,
        ..options(&server)
    });
    for n in 0..2 {
        store
            .invalidate(receipt([Target::Tag(tag("t", n))]))
            .await
            .unwrap();
    }
    let position = store.position().await.unwrap();
    let error = store
        .invalidate(receipt([Target::Tag(tag("t", 3))]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::QueueFull { limit: 2 }),
        "{error:?}"
    );
    assert_eq!(
        store.position().await.unwrap(),
        position,
        "no generation has moved"
    );
}

/// The scripts work the ancestors of a path out by themselves; they must find those that `PageUrl` does.
#[tokio::test]
async fn every_prefix_that_concerns_a_page_supersedes_it() {
    let Redis {
        server: _server,
        store,
    } = fresh(1).await;
    let prefixes = [
        "/", "/a", "/a/", "/a/b", "/a//", "/a//b", "/a/b/", "/ab", "/a?q",
    ];
    let pages = [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a//b",
        "/a/b/",
        "/a/b/c?x=/y",
        "/ab",
        "/a?q",
        "/?/a",
    ];
    for prefix in prefixes.map(page).iter().map(PageUrl::without_query) {
        for path in pages {
            let started = generation(&store, path).await;
            let target = Target::Prefix(prefix.clone());
            let concerned = target.concerns(&page(path), std::iter::empty());
            store.invalidate(receipt([target])).await.unwrap();
            let outcome = bind_under(&store, path, &["x"], started).await;
            assert_eq!(outcome.is_bound(), !concerned, "{prefix} and {path}");
        }
    }
}

#[tokio::test]
async fn pages_of_many_sizes_and_tags_of_many_pages_are_all_found() {
    let Redis {
        server: _server,
        store,
    } = fresh(1).await;
    let now = store.position().await.unwrap();
    let path = |n: usize| format!("/{}/{n}", "long".repeat(n % 97));
    let binds: Vec<Bind> = (0..3_000)
        .map(|n| {
            let tags = (0..n % 7)
                .map(|k| tag("few", n * k / 50))
                .chain([tag("all", 1)]);
            Bind {
                url: page(&path(n)),
                variant: VariantKey::default(),
                tags: TagSet::try_from_iter(tags).unwrap(),
                generation: now.generation_of(&page("/")),
                lifetime: Duration::from_hours(1),
            }
        })
        .collect();
    for outcome in store.bind(&binds).await.unwrap() {
        assert!(outcome.is_bound());
    }
    let mut expected: Vec<String> = (0..3_000).map(path).collect();
    expected.sort();
    for limit in [7, 1_000] {
        assert_eq!(
            walk(&store, &Target::Tag(tag("all", 1)), limit).await,
            expected,
            "by {limit}"
        );
        assert_eq!(
            walk(&store, &Target::Everything, limit).await,
            expected,
            "by {limit}"
        );
    }
    for bind in binds.iter().step_by(331) {
        let known = store.tags_for(&bind.url).await.unwrap().unwrap();
        let mut tags: Vec<_> = known.tags.into_iter().map(|bound| bound.tag).collect();
        tags.sort();
        assert_eq!(tags, bind.tags.as_slice(), "{}", bind.url);
    }
    let urls: Vec<PageUrl> = binds.iter().map(|bind| bind.url.clone()).collect();
    assert_eq!(store.unbind(&urls[..2_000]).await.unwrap(), 2_000);
    assert_eq!(store.unbind(&urls[..2_000]).await.unwrap(), 0);
    let mut left: Vec<String> = (2_000..3_000).map(path).collect();
    left.sort();
    assert_eq!(walk(&store, &Target::Tag(tag("all", 1)), 1_000).await, left);
    while store.collect_garbage(100_000).await.unwrap().more {}
    let statistics = store.statistics().await.unwrap();
    assert_eq!(statistics.pages, 1_000);
    assert_eq!(
        statistics.largest_tags[0],
        (tag("all", 1), 1_000),
        "what was forgotten is gone"
    );
    assert_eq!(walk(&store, &Target::Tag(tag("all", 1)), 1_000).await, left);
    assert!(bind(&store, &path(1), &["all:1"]).await.is_bound());
    assert_eq!(
        walk(&store, &Target::Tag(tag("all", 1)), 1_000).await.len(),
        1_001
    );
}
