//! Sites whose pages are rendered from replicas that lag behind the data.

use std::time::Duration;

use isr_core::{JobKey, Partition, Phase, Receipt, ReceiptFilter, RevalidateOptions};

use crate::support::{World, by_tag, edge, refused, unwarmed};

const LAG: Duration = Duration::from_secs(9);

/// Shortly before it has passed.
const BEFORE: Duration = Duration::from_secs(8);

fn lagging() -> RevalidateOptions {
    RevalidateOptions {
        replica_lag: Some(LAG),
        ..unwarmed()
    }
}

async fn number(world: &World) -> u64 {
    world.store.position().await.unwrap().number(Partition(0))
}

async fn repeat_of(world: &World, receipt: &Receipt) -> Option<Receipt> {
    let id = receipt.id.after_replica_lag();
    world.store.receipt(&id).await.unwrap()
}

/// Whoever was rendered in the meantime is superseded, and every tier has been purged of it.
async fn assert_repeated_once(world: &World, receipt: &Receipt) {
    assert_eq!(number(world).await, 2);
    assert_eq!(receipts(world).await.len(), 2);
    let repeat = repeat_of(world, receipt).await.unwrap();
    assert!(repeat.settled);
    assert_eq!(repeat.targets, receipt.targets);
    let lag = repeat.options.replica_lag;
    assert_eq!(lag, None, "or it would be repeated for ever");
}

#[tokio::test(start_paused = true)]
async fn the_same_is_revalidated_once_more_when_the_lag_has_passed() {
    let mut world = World::new();
    world.tier("edge", edge());
    world.tier("cdn", by_tag());
    let worker = world.start("one");
    let start = world.clock.now();
    let receipt = world.revalidate_with(&["post:1"], lagging()).await;
    let once = ["edge hard post:1", "edge complete", "cdn hard post:1"];
    tokio::time::sleep(BEFORE).await;
    assert_eq!(world.journal(), once, "at once, as without a lag");
    assert_eq!(number(&world).await, 1);
    let waiting = world.store.receipt(&receipt.id).await.unwrap().unwrap();
    assert!(!waiting.settled);

    let done = world.done(&receipt).await;
    assert!(done.settled && world.since(start) >= LAG);
    assert_eq!(world.journal(), [once, once].concat());
    assert_repeated_once(&world, &receipt).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_before_or_after_the_lag_changes_nothing() {
    for lives in [1, 400, 8_900, 9_000, 9_001, 9_050, 9_150, 12_000] {
        let mut world = World::new();
        world.tier("cdn", by_tag());
        let start = world.clock.now();
        let receipt = world.revalidate_with(&["post:1"], lagging()).await;
        let worker = world.start("one");
        tokio::time::sleep(Duration::from_millis(lives)).await;
        worker.kill().await;
        let worker = world.start("two");
        let done = world.done(&receipt).await;
        assert!(done.settled && world.since(start) >= LAG, "{lives} ms");
        assert_repeated_once(&world, &receipt).await;
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_generations_move_again_even_if_a_tier_refuses() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    cdn.refuse(1, refused);
    let start = world.clock.now();
    let receipt = world.revalidate_with(&["post:1"], lagging()).await;
    let worker = world.start("one");
    let failed = world.done(&receipt).await;
    assert_eq!((failed.phase, failed.settled), (Phase::Failed, false));
    assert!(world.since(start) >= LAG);
    world
        .wait_until(&repeat_of(&world, &receipt).await.unwrap(), |it| it.settled)
        .await;
    assert_repeated_once(&world, &receipt).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_a_repeat_that_was_given_up_on_until_that_is_replayed() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    let receipt = world.revalidate_with(&["post:1"], lagging()).await;
    let worker = world.start("one");
    tokio::time::sleep(BEFORE).await;
    cdn.refuse(1, refused);
    let waiting = world.wait_until(&receipt, |it| it.error.is_some()).await;
    let error = waiting.error.unwrap();
    assert!(error.ends_with("given up on: replay it"), "{error}");
    tokio::time::sleep(Duration::from_mins(5)).await;
    let still = world.store.receipt(&receipt.id).await.unwrap().unwrap();
    assert_eq!((still.phase, still.settled), (Phase::Settling, false));

    let letters = world.store.dead_letters(None, 10).await.unwrap().letters;
    let repeat = JobKey::Revalidation(receipt.id.after_replica_lag());
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].job, repeat);
    world.store.replay(&[repeat]).await.unwrap();
    let done = world.done(&receipt).await;
    assert_eq!((done.settled, done.error), (true, None));
    assert_repeated_once(&world, &receipt).await;
    worker.stop().await;
}

async fn receipts(world: &World) -> Vec<Receipt> {
    let any = ReceiptFilter::default();
    world.store.receipts(&any, None, 10).await.unwrap().receipts
}
