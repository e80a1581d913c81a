//! A revalidation that waits for its time happens at that time, and then as any other.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{Phase, Receipt, RevalidateOptions};
use isr_pipeline::{Awaited, WorkerOptions, await_receipt};
use tokio_util::sync::CancellationToken;

use crate::support::{Running, World, alone, by_url, edge, page};

const WAIT: Duration = Duration::from_mins(10);

async fn scheduled(world: &World, tags: &[&str]) -> Receipt {
    let at = world.store.time().await.unwrap().after(WAIT);
    let options = RevalidateOptions {
        at: Some(at),
        ..RevalidateOptions::default()
    };
    world.revalidate_with(tags, options).await
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_revalidation_is_carried_out_at_its_time() {
    let mut world = World::new();
    world.tier("cdn", by_url());
    world.bind("/1", &["post:1"]).await;
    let worker = world.start("one");
    let (sender, follower) = world.sender("app");
    follower.step().await.unwrap();
    let start = world.clock.now();
    let receipt = scheduled(&world, &["post:1"]).await;
    follower.step().await.unwrap();
    let before = sender.generation(&page("/1"));
    assert_eq!(
        (receipt.phase, before.map(|it| it.number)),
        (Phase::Scheduled, Some(0))
    );
    let waited = await_receipt(
        &*world.store,
        &*world.clock,
        &receipt.id,
        Awaited::Done,
        "edge",
        WAIT / 2,
    );
    let still = waited.await.unwrap().unwrap();
    assert_eq!(still.phase, Phase::Scheduled, "a wait goes on");
    assert_eq!(world.journal(), Vec::<String>::new());
    let stop = CancellationToken::new();
    let following = tokio::spawn({
        let (follower, stop) = (Arc::clone(&follower), stop.clone());
        async move { follower.run(stop).await }
    });
    let done = world.done(&receipt).await;
    let took = world.since(start);
    assert!(
        took >= WAIT && took < WAIT + Duration::from_mins(1),
        "{took:?}"
    );
    assert_eq!((done.phase, done.settled), (Phase::Done, true));
    assert!(world.journal().contains(&"cdn hard /1".to_owned()));
    let after = sender.generation(&page("/1"));
    assert_eq!(after.map(|it| it.number), Some(1));
    stop.cancel();
    following.await.unwrap();
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_a_place_begins_it_all_the_same() {
    let mut world = World::new();
    *world.tier("edge", edge()).pending.lock() = u32::MAX;
    let options = WorkerOptions {
        concurrency: 1,
        ..alone("one")
    };
    let worker = Running::start(world.worker_with(options));
    let busy = world.revalidate(&["post:1"]).await;
    world
        .wait_until(&busy, |receipt| receipt.phase == Phase::Purging)
        .await;
    let receipt = scheduled(&world, &["post:2"]).await;
    let begun = world
        .wait_until(&receipt, |receipt| receipt.phase != Phase::Scheduled)
        .await;
    assert_eq!(begun.phase, Phase::Queued);
    assert_eq!(begun.position, Some(world.store.position().await.unwrap()));
    worker.kill().await;
}
