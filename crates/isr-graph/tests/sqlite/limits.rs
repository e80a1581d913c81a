//! What is bounded, and what is not written.

use std::num::NonZeroU64;
use std::time::Duration;

use isr_core::{StoreError, TagGraph};
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::store_suite::make::{bind, bind_one, generation, receipt_for, revalidate};
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
    let pages = store.statistics().await.unwrap().pages;
    assert_eq!(pages % 10, 0);
    let reopened = SqliteStore::open(file(&directory), SqliteOptions::default())
        .await
        .unwrap();
    drop(store);
    drop(reopened);
    assert_whole(&file(&directory));
}
