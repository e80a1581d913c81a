//! A hard mode that nobody asked for is carried out soft where very many pages are concerned.

use isr_core::{Bind, BindOutcome, Mode, ModeChoice, Receipt, RevalidateOptions, VariantKey};
use isr_pipeline::{Thresholds, WorkerOptions};

use crate::support::{Running, World, alone, by_tag, by_url, edge, hard, page, tag_set};

fn softening(above: u64) -> WorkerOptions {
    WorkerOptions {
        thresholds: Thresholds {
            hold: None,
            soften: Some(above),
        },
        ..alone("one")
    }
}

/// What a site that usually revalidates hard does.
fn usually_hard() -> RevalidateOptions {
    RevalidateOptions {
        mode: ModeChoice::usual(Mode::Hard),
        warm: false,
        ..RevalidateOptions::default()
    }
}

/// Two pages on two CDNs, one of which knows no stale copies.
fn cdns() -> World {
    let mut world = World::new();
    world.tier("edge", edge());
    world.tier("soft", by_tag());
    world.tier("plain", by_url());
    world
}

async fn carried_out(world: &World, above: u64, options: RevalidateOptions) -> Receipt {
    for path in ["/1", "/2"] {
        world.bind(path, &["all"]).await;
    }
    let worker = Running::start(world.worker_with(softening(above)));
    let receipt = world.revalidate_with(&["all"], options).await;
    let done = world.done(&receipt).await;
    worker.stop().await;
    done
}

#[tokio::test(start_paused = true)]
async fn the_usual_hard_is_softened_on_tiers_that_can() {
    let world = cdns();
    let before = world.store.position().await.unwrap();
    let done = carried_out(&world, 1, usually_hard()).await;
    assert_eq!((done.settled, done.softened_above), (true, Some(1)));
    assert_eq!(
        world.journal(),
        [
            "edge hard all",
            "edge complete",
            "soft soft all",
            "plain hard /1 /2"
        ]
    );
    let bind = Bind {
        url: page("/1"),
        variant: VariantKey::default(),
        tags: tag_set(&["all"]),
        generation: before.generation_of(&page("/1")),
        lifetime: std::time::Duration::from_mins(1),
    };
    let mode = match world.store.bind(&[bind]).await.unwrap()[0] {
        BindOutcome::Superseded { mode, .. } => Some(mode),
        BindOutcome::Bound { .. } => None,
    };
    assert_eq!(mode, Some(Mode::Hard), "generations move as ever");
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_chose_is_never_softened() {
    let world = cdns();
    let options = RevalidateOptions {
        mode: Mode::Hard.into(),
        ..usually_hard()
    };
    let done = carried_out(&world, 0, options).await;
    assert_eq!((done.settled, done.softened_above), (true, None));
    assert!(world.journal().contains(&"soft hard all".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn as_many_pages_as_the_threshold_are_not_too_many() {
    let world = cdns();
    let done = carried_out(&world, 2, usually_hard()).await;
    assert_eq!(done.softened_above, None);
    assert!(world.journal().contains(&"soft hard all".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_be_softened_where_no_tier_can() {
    let mut world = World::new();
    world.tier("edge", edge());
    world.tier("plain", by_url());
    let done = carried_out(&world, 0, usually_hard()).await;
    assert_eq!(done.softened_above, None);
    assert!(world.journal().contains(&"plain hard /1 /2".to_owned()));
}

/// One that is both is held first, and its receipt says both; once it is released it is softened.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_softened_all_the_same() {
    let world = cdns();
    world.bind("/1", &["all"]).await;
    let both = WorkerOptions {
        thresholds: Thresholds {
            hold: Some(0),
            soften: Some(0),
        },
        ..alone("one")
    };
    let worker = Running::start(world.worker_with(both));
    let receipt = world.revalidate_with(&["all"], usually_hard()).await;
    let held = world
        .wait_until(&receipt, |receipt| receipt.held.is_some())
        .await;
    assert_eq!(held.softened_above, Some(0));
    world.store.release(&receipt.id).await.unwrap();
    assert!(world.done(&receipt).await.settled);
    assert!(world.journal().contains(&"soft soft all".to_owned()));
    // The same by a caller who says hard is not.
    let asked = world.revalidate_with(&["all"], hard()).await;
    let held = world
        .wait_until(&asked, |receipt| receipt.held.is_some())
        .await;
    assert_eq!(held.softened_above, None);
    worker.stop().await;
}
