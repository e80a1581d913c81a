//! A disk without room.

use std::io::Write as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use isr_core::{JobStore, Position, SenderId, SenderReport, SenderRole, StoreError, TagGraph};
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::store_suite::make::{page, pages_of, revalidate};

use crate::support::{assert_whole, bind_posts, file, open};

/// Pages of one call: few enough for one transaction, so that a call is done whole or not at all.
const BATCH: u64 = 50;

/// Binds batches until there is no room for another; says how many pages were bound.
async fn fill(store: &SqliteStore) -> u64 {
    for from in (0..100_000).map(|batch| batch * BATCH) {
        match bind_posts(store, from, from + BATCH).await {
            Ok(_) => {}
            Err(StoreError::Full { .. }) => return from,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("there is no end of room");
}

fn report(position: Position) -> SenderReport {
    SenderReport {
        id: SenderId("edge".to_owned()),
        role: SenderRole::Edge,
        address: None,
        known: position.clone(),
        clean: position,
        lease: Duration::from_secs(5),
    }
}

#[tokio::test]
async fn at_its_limit_the_store_keeps_what_it_has_and_goes_on_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let max_bytes = NonZeroU64::new(2 << 20);
    let store = open(
        &directory,
        SqliteOptions {
            max_bytes,
            ..SqliteOptions::default()
        },
    )
    .await;
    let receipt = revalidate(&store, &["early"]).await;
    let bound = fill(&store).await;
    assert!(bound > 0);
    assert_eq!(
        store.statistics(20).await.unwrap().pages,
        bound,
        "the last call left nothing behind"
    );
    assert!(store.tags_for(&page("/post/0")).await.unwrap().is_some());
    assert_eq!(
        store.receipt(&receipt.id).await.unwrap().unwrap().id,
        receipt.id
    );

    let gone: Vec<_> = (0..bound / 2)
        .map(|n| page(&format!("/post/{n}")))
        .collect();
    assert_eq!(store.unbind(&gone).await.unwrap(), bound / 2);
    bind_posts(&store, bound, bound + BATCH).await.unwrap();
    revalidate(&store, &["late"]).await;
    let left = bound - bound / 2 + BATCH;
    assert_eq!(pages_of(&store, "posts").await.len() as u64, left);
    drop(store);
    assert_whole(&file(&directory));
}

#[tokio::test]
async fn a_request_that_finds_no_room_takes_nobody_along() {
    let directory = tempfile::tempdir().unwrap();
    let max_bytes = NonZeroU64::new(1 << 20);
    let store = open(
        &directory,
        SqliteOptions {
            max_bytes,
            ..SqliteOptions::default()
        },
    )
    .await;
    let report = report(store.position().await.unwrap());
    store.report(&report).await.unwrap();
    let bound = fill(&store).await;
    for _ in 0..20 {
        let (too_much, small) = tokio::join!(
            bind_posts(&store, bound, bound + BATCH),
            store.report(&report)
        );
        assert!(
            matches!(too_much, Err(StoreError::Full { .. })),
            "{too_much:?}"
        );
        small.unwrap();
    }
    drop(store);
    assert_whole(&file(&directory));
}

#[tokio::test]
async fn a_disk_without_room_harms_nothing_and_is_used_again_once_there_is_some() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path()) else {
        // Not through `print!`, which the harness swallows: a skipped test is to be named.
        let skipped = "test full::a_disk_without_room_harms_nothing_and_is_used_again_once_there_is_some \
                       ... ignored, no file system may be mounted here\n";
        std::io::stdout().write_all(skipped.as_bytes()).unwrap();
        return;
    };
    let ballast = disk.0.join("ballast");
    let path = disk.0.join("graph.sqlite");
    // A log that is longer than there is room for, and one that cannot be copied for want of room.
    for log_bytes in [64 << 20, 64 << 10] {
        std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();
        let options = SqliteOptions {
            log_bytes: NonZeroU64::new(log_bytes).unwrap(),
            ..SqliteOptions::default()
        };
        let store = SqliteStore::open(&path, options).await.unwrap();
        let bound = fill(&store).await;
        assert!(store.tags_for(&page("/post/0")).await.unwrap().is_some());
        assert_eq!(store.statistics(20).await.unwrap().pages, bound);

        std::fs::remove_file(&ballast).unwrap();
        bind_posts(&store, bound, bound + BATCH).await.unwrap();
        revalidate(&store, &["late"]).await;
        assert_eq!(store.statistics(20).await.unwrap().pages, bound + BATCH);
        drop(store);
        assert_whole(&path);
        std::fs::remove_file(&path).unwrap();
    }
}

/// A file system of eight mebibytes, until it is dropped.
#[derive(Debug)]
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount any.
    fn mount(under: &Path) -> Option<Self> {
        let place = under.join("disk");
        std::fs::create_dir(&place).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(&place);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(place))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{} stays mounted",
            self.0.display()
        );
    }
}
