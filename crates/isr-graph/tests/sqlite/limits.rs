//! What is bounded, and what is not written.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{Bind, Claimed, JobStore, Leave, StoreError, TagGraph};
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::HandClock;
use isr_testkit::store_suite::make::{
    HOUR, bind, bind_one, generation, page, pages_of, receipt_for, revalidate, set, tags_of, worker,
};
use rusqlite::Connection;

use crate::support::{assert_whole, bind_posts, file, open};

#[tokio::test]
async fn revalidations_beyond_the_history_are_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let history = NonZeroU64::new(4).unwrap();
    let store = open(
        &directory,
        SqliteOptions {
            history,
            ..SqliteOptions::default()
        },
    )
    .await;
    let start = store.position().await.unwrap();
    let first = revalidate(&store, &["a"]).await.position.unwrap();
    for _ in 0..4 {
        revalidate(&store, &["a"]).await;
    }
    let since_first = store.news_since(&first, 10).await.unwrap();
    assert_eq!((since_first.gap, since_first.heard.len()), (false, 4));
    let since_start = store.news_since(&start, 10).await.unwrap();
    assert_eq!((since_start.gap, since_start.heard.len()), (true, 0));
    assert_eq!(since_start.position, store.position().await.unwrap());
}

#[tokio::test]
async fn what_is_older_than_the_targets_told_apart_counts_as_superseded() {
    let directory = tempfile::tempdir().unwrap();
    let targets = NonZeroU64::new(3).unwrap();
    let store = open(
        &directory,
        SqliteOptions {
            targets,
            ..SqliteOptions::default()
        },
    )
    .await;
    let mut taken = vec![generation(&store, "/").await];
    for n in 1..=5 {
        revalidate(&store, &[&format!("t:{n}")]).await;
        taken.push(generation(&store, "/").await);
    }
    // Three are told apart, so the floor is the second.
    for (number, is_bound) in [(0, false), (1, false), (2, true), (5, true)] {
        let outcome = bind_one(&store, bind("/", &["other"], taken[number])).await;
        assert_eq!(outcome.is_bound(), is_bound, "of generation {number}");
    }
    for n in 3..=5_usize {
        let tag = format!("t:{n}");
        assert!(
            !bind_one(&store, bind("/", &[&tag], taken[n - 1]))
                .await
                .is_bound(),
            "{tag}"
        );
        assert!(
            bind_one(&store, bind("/", &[&tag], taken[n]))
                .await
                .is_bound(),
            "{tag}"
        );
    }
    drop(store);
    assert_whole(&file(&directory));
}

#[tokio::test]
async fn a_full_queue_refuses_a_revalidation_and_leaves_what_shares_its_transaction_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(
        &directory,
        SqliteOptions {
            queue: 1,
            ..SqliteOptions::default()
        },
    )
    .await;
    let first = revalidate(&store, &["a"]).await;
    for round in 0..20 {
        let (refused, bound) = tokio::join!(
            store.invalidate(receipt_for(&["b"])),
            bind_posts(&store, round, round + 1)
        );
        assert!(
            matches!(refused, Err(StoreError::QueueFull { limit: 1 })),
            "{refused:?}"
        );
        assert!(bound.unwrap()[0].is_bound());
    }
    assert_eq!(store.position().await.unwrap(), first.position.unwrap());
    drop(store);
    assert_whole(&file(&directory));
}

#[tokio::test]
async fn binding_unchanged_pages_again_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ends_unit = Duration::from_hours(24);
    let store = open(
        &directory,
        SqliteOptions {
            ends_unit,
            ..SqliteOptions::default()
        },
    )
    .await;
    bind_posts(&store, 0, 50).await.unwrap();
    let watcher = Connection::open(file(&directory)).unwrap();
    let changes = || -> i64 {
        watcher
            .query_row("PRAGMA data_version", [], |row| row.get(0))
            .unwrap()
    };
    // The clock is written down once a second, and a day may end in between.
    let mut quiet = false;
    for _ in 0..50 {
        let before = changes();
        bind_posts(&store, 0, 50).await.unwrap();
        quiet |= changes() == before;
    }
    assert!(quiet, "every bind of unchanged pages wrote something");
    let before = changes();
    bind_posts(&store, 50, 51).await.unwrap();
    assert_ne!(changes(), before, "the watcher would have noticed");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_done_or_not_and_never_half() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, SqliteOptions::default()).await;
    for round in 0..50 {
        let call = bind_posts(&store, 10 * round, 10 * round + 10);
        let _ = tokio::time::timeout(Duration::from_micros(50 * round), call).await;
    }
    let pages = store.statistics(20).await.unwrap().pages;
    assert_eq!(pages % 10, 0);
    let reopened = SqliteStore::open(file(&directory), SqliteOptions::default())
        .await
        .unwrap();
    drop(store);
    drop(reopened);
    assert_whole(&file(&directory));
}

#[tokio::test]
async fn news_of_very_many_targets_come_in_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, SqliteOptions::default()).await;
    let start = store.position().await.unwrap();
    for round in 0..7 {
        let tags: Vec<String> = (0..10_000).map(|n| format!("t:{round}:{n}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        revalidate(&store, &tags).await;
    }
    let (mut known, mut heard, mut pieces) = (start, Vec::new(), 0);
    loop {
        let news = store.news_since(&known, 1_000).await.unwrap();
        assert!(!news.gap);
        pieces += 1;
        heard.extend(news.heard.iter().map(|heard| heard.number));
        known = news.position;
        if !news.more {
            break;
        }
    }
    assert_eq!(heard, [1, 2, 3, 4, 5, 6, 7]);
    assert!(pieces > 1);
}

#[tokio::test]
async fn a_damaged_record_does_not_keep_the_rest_from_being_collected() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, SqliteOptions::default()).await;
    let now = generation(&store, "/").await;
    for n in 0..4 {
        let over = Bind {
            lifetime: Duration::ZERO,
            ..bind(&format!("/{n}"), &["a"], now)
        };
        bind_one(&store, over).await;
    }
    // The page that was looked at first.
    let other = Connection::open(file(&directory)).unwrap();
    let damaged = other
        .execute("UPDATE page SET record = x'00' WHERE url LIKE '%/0'", [])
        .unwrap();
    assert_eq!(damaged, 1);
    // Ends are rounded up to a unit, a minute, so that has to go by.
    other
        .execute("UPDATE state SET clock_last = clock_last + 120000000", [])
        .unwrap();
    let collected = store.collect_garbage(100).await.unwrap();
    assert_eq!((collected.pages, collected.more), (3, false));
    assert!(store.tags_for(&page("/0")).await.is_err());
}

#[tokio::test]
async fn a_call_that_fails_in_the_middle_leaves_each_page_bound_or_not() {
    const PAGES: u64 = 300;
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, SqliteOptions::default()).await;
    bind_posts(&store, 150, 151).await.unwrap();
    let other = Connection::open(file(&directory)).unwrap();
    let record: Vec<u8> = other
        .query_row("SELECT record FROM page", [], |row| row.get(0))
        .unwrap();
    other.execute("UPDATE page SET record = x'00'", []).unwrap();
    let failed = bind_posts(&store, 0, PAGES).await;
    assert!(
        matches!(failed, Err(StoreError::Corrupt { .. })),
        "{failed:?}"
    );

    other
        .execute(
            "UPDATE page SET record = ? WHERE url LIKE '%/150'",
            [record],
        )
        .unwrap();
    let by_tag = pages_of(&store, "posts").await;
    for n in 0..PAGES {
        let path = format!("/post/{n}");
        let whole = set(&[&format!("post:{n}"), "posts"]);
        let tags = tags_of(&store, &path).await;
        assert_eq!(tags, by_tag.contains(&path).then_some(whole), "{path}");
    }
    assert!(by_tag.contains("/post/0") && !by_tag.contains("/post/299"));
    let outcomes = bind_posts(&store, 0, PAGES).await.unwrap();
    assert!(outcomes.iter().all(isr_core::BindOutcome::is_bound));
    assert_eq!(pages_of(&store, "posts").await.len() as u64, PAGES);
    drop(store);
    assert_whole(&file(&directory));
}

#[tokio::test]
async fn one_collection_removes_every_receipt_that_is_kept_no_longer() {
    const MANY: u64 = 2_100;
    let directory = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let options = SqliteOptions {
        keep_receipts: Duration::from_hours(2),
        clock: Some(Arc::new(clock.clone())),
        ..SqliteOptions::default()
    };
    let store = open(&directory, options).await;
    for how in [Leave::Done, Leave::Dead] {
        for _ in 0..MANY {
            revalidate(&store, &["a"]).await;
        }
        let all = usize::try_from(MANY).unwrap();
        let claimed = store.claim_revalidations(&worker("one"), all, HOUR).await;
        for Claimed { claim, work, .. } in claimed.unwrap() {
            store.leave(&claim, &work, &how).await.unwrap();
        }
    }
    let removed = async |passed: Duration| {
        clock.advance(passed);
        let (mut receipts, mut given_up) = (0, 0);
        loop {
            let collected = store.collect_garbage(10_000).await.unwrap();
            receipts += collected.receipts;
            given_up += collected.given_up;
            if !collected.more {
                return (receipts, given_up);
            }
        }
    };
    assert_eq!(removed(HOUR).await, (0, 0));
    assert_eq!(removed(2 * HOUR).await, (MANY, 0));
    assert_eq!(store.depth().await.unwrap().dead, MANY);
    assert_eq!(removed(30 * 24 * HOUR).await, (MANY, MANY));
    assert_eq!(store.depth().await.unwrap().dead, 0);
    drop(store);
    assert_whole(&file(&directory));
}
