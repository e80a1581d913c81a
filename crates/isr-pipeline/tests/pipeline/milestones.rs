//! What operators are told of how long revalidations take, and of what is left of rate limits.

use std::time::Duration;

use isr_core::{
    Ability, Capabilities, Milestone, Phase, RateLimit, RateUnit, RevalidateOptions, Target,
};

use crate::support::{World, by_tag, by_url, edge, page};

const AGAIN: Duration = Duration::from_secs(30);
const QUEUED: Duration = Duration::from_secs(5);

/// A world with a page that everything is done for.
async fn world() -> World {
    let mut world = World::new();
    world.tier("edge", edge());
    world.tier("cdn", by_tag());
    world.bind("/1", &["post:1"]).await;
    world
}

fn names(world: &World) -> Vec<Milestone> {
    let reached = world.milestones.reached.lock();
    reached.iter().map(|(milestone, _)| *milestone).collect()
}

#[tokio::test(start_paused = true)]
async fn each_milestone_is_reached_once_and_timed_from_the_change_on() {
    let world = world().await;
    let twice = RevalidateOptions {
        second_purge: Some(AGAIN),
        ..RevalidateOptions::default()
    };
    let receipt = world.revalidate_with(&["post:1"], twice).await;
    tokio::time::sleep(QUEUED).await;
    let worker = world.start("one");
    world.done(&receipt).await;
    assert_eq!(
        names(&world),
        [
            Milestone::Purged,
            Milestone::Confirmed,
            Milestone::Warmed,
            Milestone::Verified,
            Milestone::Settled
        ]
    );
    for (milestone, after) in world.milestones.reached.lock().iter() {
        let waited = match milestone {
            Milestone::Purged | Milestone::Confirmed => QUEUED,
            // Other claims than the first.
            _ => QUEUED + AGAIN,
        };
        let off = after.saturating_sub(waited);
        assert!(*after >= waited && off < QUEUED, "{milestone:?}: {after:?}");
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_failed_somewhere_is_neither_purged_nor_verified() {
    let mut world = World::new();
    world.tier("edge", edge());
    let cdn = world.tier("cdn", by_url());
    *cdn.rejected.lock() = Some(Target::Url(page("/broken")));
    world.bind("/broken", &["post:1"]).await;
    let receipt = world.revalidate(&["post:1"]).await;
    let worker = world.start("one");
    world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Failed)
        .await;
    assert_eq!(names(&world), [Milestone::Warmed]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_emptiest_bucket_of_each_tier_is_told() {
    let limit = |bucket: &str| RateLimit {
        bucket: bucket.to_owned(),
        unit: RateUnit::Calls,
        burst: 4.try_into().unwrap(),
        refill: 1.try_into().unwrap(),
        period: Duration::from_hours(1),
        per_account: false,
    };
    let mut world = World::new();
    world.tier("edge", edge());
    world.tier(
        "cdn",
        Capabilities {
            url: Some(Ability::UNLIMITED.at(limit("calls"))),
            tag: Some(Ability::UNLIMITED.at(limit("others"))),
            ..by_url()
        },
    );
    let taken = world.store.take(&limit("calls"), 3, Duration::ZERO).await;
    taken.unwrap();
    let _house = world.housekeeper();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*world.milestones.left.lock(), [("cdn".to_owned(), 0.25)]);
}
