//! Tiers that re-cache among themselves: every purge of theirs is made a second time.

use std::time::Duration;

use isr_core::{Phase, RevalidateOptions};
use isr_pipeline::WorkerOptions;

use crate::support::{Running, World, alone, by_tag, footprint, page, unwarmed};

const AGAIN: Duration = Duration::from_secs(3);

fn twice() -> RevalidateOptions {
    RevalidateOptions {
        second_purge: Some(AGAIN),
        ..unwarmed()
    }
}

fn start(world: &World) -> Running {
    let options = WorkerOptions {
        second_purge: Some(AGAIN),
        ..alone("one")
    };
    Running::start(world.worker_with(options))
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_is_purged_a_second_time_too() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    follower.step().await.unwrap();
    let generation = sender.generation(&page("/1")).unwrap();
    let flight = sender.depart(&footprint("/1", &["post:1"]), generation);
    let worker = start(&world);
    let receipt = world.revalidate_with(&["post:1"], twice()).await;
    while world.journal().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(flight);
    let ended = world.clock.now();
    let following = async {
        loop {
            follower.step().await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = tokio::select! {
        done = world.done(&receipt) => done,
        () = following => unreachable!("it never ends"),
    };
    assert!(done.settled);
    assert!(world.since(ended) >= sender.options().settling_time + AGAIN);
    let journal = world.journal();
    let tag = "cdn hard post:1";
    assert_eq!(
        journal,
        [tag, tag, "cdn hard /1", "cdn hard /1", "warm /1 public"]
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_dies_before_it_is_clean_has_everything_purged_twice_again() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    follower.step().await.unwrap();
    let generation = sender.generation(&page("/1")).unwrap();
    let _flight = sender.depart(&footprint("/1", &["post:1"]), generation);
    let worker = start(&world);
    let receipt = world.revalidate_with(&["post:1"], twice()).await;
    let done = world.done(&receipt).await;
    assert_eq!((done.phase, done.settled), (Phase::Done, true));
    assert_eq!(world.journal(), ["cdn hard post:1"; 4]);
    worker.stop().await;
}
