//! Which files are opened, and what is in them then.

use isr_core::{JobStore, StoreError, TagGraph};
use isr_graph::{Durability, SqliteOptions, SqliteStore};
use isr_testkit::store_suite::make::{HOUR, page, pages_of, receipt_for, revalidate, set};
use rusqlite::Connection;

use crate::support::{assert_whole, bind_posts, file, open};

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    for durability in [Durability::Process, Durability::Machine] {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteOptions {
            durability,
            ..SqliteOptions::default()
        };
        let store = open(&directory, options.clone()).await;
        bind_posts(&store, 0, 3).await.unwrap();
        let receipt = revalidate(&store, &["post:1"]).await;
        let position = store.position().await.unwrap();
        drop(store);
        assert_whole(&file(&directory));

        let store = open(&directory, options).await;
        assert_eq!(store.position().await.unwrap(), position);
        assert_eq!(
            pages_of(&store, "posts").await,
            set(&["/post/0", "/post/1", "/post/2"])
        );
        assert_eq!(store.receipt(&receipt.id).await.unwrap(), Some(receipt));
        assert_eq!(store.depth().await.unwrap().revalidations, 1);
    }
}

#[tokio::test]
async fn a_store_written_by_a_newer_release_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory, SqliteOptions::default()).await);
    let connection = Connection::open(file(&directory)).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    let refused = SqliteStore::open(file(&directory), SqliteOptions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::NewerLayout {
                found: 7,
                known: 1,
                ..
            }
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let connection = Connection::open(file(&directory)).unwrap();
    connection
        .execute_batch("CREATE TABLE recipes (name TEXT); PRAGMA user_version = 12;")
        .unwrap();
    drop(connection);
    let before = std::fs::read(file(&directory)).unwrap();
    let refused = SqliteStore::open(file(&directory), SqliteOptions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, StoreError::Corrupt { source, .. } if source.to_string().contains("recipes"))
    );
    assert!(std::fs::read(file(&directory)).unwrap() == before);
}

#[tokio::test]
async fn a_file_of_another_program_without_tables_is_refused_and_left_alone() {
    for pragma in ["application_id", "user_version"] {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(file(&directory)).unwrap();
        connection.pragma_update(None, pragma, 12).unwrap();
        drop(connection);
        let before = std::fs::read(file(&directory)).unwrap();
        let refused = SqliteStore::open(file(&directory), SqliteOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        assert!(
            std::fs::read(file(&directory)).unwrap() == before,
            "{pragma}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(file(&directory), vec![b'x'; 10_000]).unwrap();
    let refused = SqliteStore::open(file(&directory), SqliteOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
}

#[tokio::test]
async fn the_pages_of_another_site_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory, SqliteOptions::default()).await);
    let other = SqliteOptions {
        site: "shop".to_owned(),
        ..SqliteOptions::default()
    };
    let refused = SqliteStore::open(file(&directory), other)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, StoreError::Corrupt { source, .. } if source.to_string().contains("shop"))
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_unavailable() {
    let blocking = tempfile::NamedTempFile::new().unwrap();
    let path = blocking.path().join("data").join("graph.sqlite");
    let refused = SqliteStore::open(path, SqliteOptions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, StoreError::Unavailable { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn many_open_a_new_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let openings = (0..8).map(|_| SqliteStore::open(file(&directory), SqliteOptions::default()));
    let stores = futures_util::future::try_join_all(openings).await.unwrap();
    for (n, store) in stores.iter().enumerate() {
        bind_posts(store, n as u64, n as u64 + 1).await.unwrap();
    }
    let epoch = stores[0].position().await.unwrap().epoch;
    for store in &stores {
        assert_eq!(store.position().await.unwrap().epoch, epoch);
        assert_eq!(store.statistics(20).await.unwrap().pages, 8);
        assert!(store.tags_for(&page("/post/7")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_file_of_an_earlier_release_gets_what_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory, SqliteOptions::default()).await;
    let made = revalidate(&store, &["a"]).await;
    drop(store);
    let connection = Connection::open(file(&directory)).unwrap();
    let earlier = "DROP TABLE scheduled; ALTER TABLE state DROP COLUMN scheduled; \
                   DROP TABLE held; ALTER TABLE state DROP COLUMN held; \
                   DROP INDEX receipt_made; ALTER TABLE receipt DROP COLUMN made; \
                   DROP INDEX receipt_given_up; ALTER TABLE receipt DROP COLUMN given_up;";
    connection.execute_batch(earlier).unwrap();
    drop(connection);
    let store = open(&directory, SqliteOptions::default()).await;
    assert_eq!(store.receipt(&made.id).await.unwrap(), Some(made));
    let mut later = receipt_for(&["a"]);
    later.options.at = Some(store.time().await.unwrap().after(HOUR));
    let later = store.invalidate(later).await.unwrap();
    drop(store);
    assert_whole(&file(&directory));
    let store = open(&directory, SqliteOptions::default()).await;
    assert_eq!(store.depth().await.unwrap().scheduled, 1, "it is durable");
    assert_eq!(store.receipt(&later.id).await.unwrap(), Some(later));
}
