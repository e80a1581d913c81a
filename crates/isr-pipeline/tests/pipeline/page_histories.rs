//! What has happened to a page is told from what the store keeps.

use std::time::Duration;

use isr_core::{
    JobKey, PageJobState, PageReason, PageWork, Phase, Receipt, RevalidateOptions, Source, Target,
    Targets, TierState, Verdict,
};
use isr_pipeline::{PageHistory, page_history};

use crate::support::{World, by_tag, page};

async fn of(world: &World, path: &str) -> PageHistory {
    page_history(&*world.store, &page(path), 20).await.unwrap()
}

async fn minutes(count: u64) {
    tokio::time::sleep(Duration::from_mins(count)).await;
}

#[tokio::test(start_paused = true)]
async fn the_revalidations_that_concerned_a_page_are_told_with_what_it_has_seen_of_them() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let nothing = of(&world, "/blog/1").await;
    assert!(nothing.bound.is_none() && nothing.verdict.is_none() && nothing.is_whole);
    let first = world.revalidate(&["post:1"]).await;
    minutes(1).await;
    world.bind("/blog/1", &["post:1", "posts"]).await;
    minutes(1).await;
    let fresh = of(&world, "/blog/1").await;
    assert_eq!(fresh.verdict, Some(Verdict::Current));
    assert_eq!(fresh.rendered, (first.made, None));
    let other = world.revalidate(&["post:2"]).await;
    minutes(1).await;
    let targets = Targets::new([Target::Prefix(page("/blog")), Target::Url(page("/other"))]);
    let second = Receipt::new(targets.unwrap(), RevalidateOptions::default(), Source::Api);
    let second = world.store.invalidate(second).await.unwrap();
    let history = of(&world, "/blog/1").await;
    assert_eq!(history.verdict, Some(Verdict::Stale));
    assert_eq!(history.rendered, (first.made, other.made));
    let told = history.concerning.iter();
    let told: Vec<_> = told
        .map(|it| (it.id, it.is_missed, it.targets.len()))
        .collect();
    assert_eq!(told, [(second.id, true, 1), (first.id, false, 1)]);
    assert!(history.is_whole && history.job.is_none());
    let some = page_history(&*world.store, &page("/blog/1"), 1)
        .await
        .unwrap();
    assert_eq!((some.concerning.len(), some.is_whole), (1, true));
    // As a worker sees it through, and a visitor comes.
    let worker = world.start("one");
    world.done(&second).await;
    world.bind("/blog/1", &["post:1", "posts"]).await;
    let history = of(&world, "/blog/1").await;
    assert_eq!(history.verdict, Some(Verdict::Current));
    let newest = history.concerning[0].receipt.as_ref().unwrap();
    assert_eq!(
        (newest.phase, newest.tiers[0].state),
        (Phase::Done, TierState::Settled)
    );
    assert_eq!(newest.warm.warmed, 2, "this one and the other");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_planned_and_what_is_to_be_done_is_told() {
    let world = World::new();
    world.bind("/1", &["post:1"]).await;
    let now = world.store.time().await.unwrap();
    let mut planned = Vec::new();
    for (tag, hours) in [("post:1", 2), ("post:2", 1), ("post:1", 1)] {
        let options = RevalidateOptions {
            at: Some(now.after(Duration::from_hours(hours))),
            ..RevalidateOptions::default()
        };
        planned.push(world.revalidate_with(&[tag], options).await.id);
    }
    let generation = world
        .store
        .position()
        .await
        .unwrap()
        .generation_of(&page("/1"));
    let work = PageWork::new(page("/1"), generation, PageReason::InFlight);
    world
        .store
        .queue_pages(&[work], Duration::from_secs(30))
        .await
        .unwrap();
    let history = of(&world, "/1").await;
    let scheduled: Vec<_> = history.scheduled.iter().map(|it| it.id).collect();
    assert_eq!(scheduled, [planned[2], planned[0]], "soonest first");
    let state = history.job.unwrap().state;
    assert!(matches!(state, PageJobState::Waiting { due_in } if due_in > Duration::from_secs(20)));
    assert_eq!(
        world
            .store
            .replay(&[JobKey::Page(page("/1"))])
            .await
            .unwrap(),
        0
    );
}
