//! When a store's history begins, tiers may keep what it has never heard of.

use std::time::Duration;

use crate::support::{World, by_everything, by_tag};
use isr_core::{ReceiptFilter, RevalidationId, Source};
use isr_pipeline::OnHistoryLost;

async fn dealt_with(world: &World) {
    let waited = async {
        while world.store.beginning().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waited)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn everything_is_purged_once_whoever_finds_out() {
    let mut world = World::new();
    world.tier("cdn", by_everything());
    let worker = world.start("one");
    let epoch = world.store.position().await.unwrap().epoch;
    let id = RevalidationId::of_beginning(epoch);
    let first = world.housekeeper_that(OnHistoryLost::PurgeAll);
    let _second = world.housekeeper_that(OnHistoryLost::PurgeAll);
    dealt_with(&world).await;
    let receipt = world.store.receipt(&id).await.unwrap().unwrap();
    assert_eq!(receipt.source, Source::LostHistory);
    assert!(world.done(&receipt).await.settled);
    // Others who come later leave it at that.
    drop(first);
    let _third = world.housekeeper_that(OnHistoryLost::PurgeAll);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(world.journal(), ["cdn hard everything"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn copies_age_out_unless_the_sites_owner_wants_otherwise() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let worker = world.start("one");
    let _housekeeper = world.housekeeper();
    dealt_with(&world).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(world.journal().is_empty());
    let any = ReceiptFilter::default();
    let made = world.store.receipts(&any, None, 1).await.unwrap();
    assert!(made.receipts.is_empty());
    worker.stop().await;
}
