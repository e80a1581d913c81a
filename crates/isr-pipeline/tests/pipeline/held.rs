//! A revalidation that concerns very many pages waits for a word, and calls nobody meanwhile.

use std::time::Duration;

use isr_core::{
    Bind, BindOutcome, Held, JobKey, Partition, Phase, Receipt, ReceiptFilter, RevalidateOptions,
    Source, Target, Targets, TierState, VariantKey,
};
use isr_pipeline::{Awaited, OnHistoryLost, Thresholds, WorkerOptions, await_receipt};

use crate::support::{
    Running, World, alone, by_everything, by_tag, by_url, edge, page, refused, tag_set, unwarmed,
};

/// Longer than anything that goes on by itself takes.
const LONG: Duration = Duration::from_mins(30);

fn holding(above: u64) -> WorkerOptions {
    WorkerOptions {
        thresholds: Thresholds {
            hold: Some(above),
            soften: None,
        },
        ..alone("one")
    }
}

/// An edge and a CDN, three pages of one tag, and a worker that holds what concerns more than `above`.
async fn site(above: u64) -> (World, Running) {
    let mut world = World::new();
    world.tier("edge", edge());
    world.tier("cdn", by_tag());
    for path in ["/a/1", "/a/2", "/b"] {
        world
            .bind(path, &["all", path.trim_start_matches('/')])
            .await;
    }
    let worker = Running::start(world.worker_with(holding(above)));
    (world, worker)
}

async fn is_held(world: &World, receipt: &Receipt) -> Receipt {
    world
        .wait_until(receipt, |receipt| {
            receipt.phase == Phase::Held || receipt.phase.is_final()
        })
        .await
}

async fn release(world: &World, receipt: &Receipt) -> Receipt {
    world.store.release(&receipt.id).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_before_it_is_released() {
    let (world, worker) = site(2).await;
    let before = world.store.position().await.unwrap();
    let receipt = world.revalidate(&["all"]).await;
    let held = is_held(&world, &receipt).await;
    let why = Held {
        above: 2,
        released: false,
    };
    assert_eq!((held.phase, held.held), (Phase::Held, Some(why)));
    let states = held.tiers.iter().map(|tier| tier.state);
    assert_eq!(
        states.collect::<Vec<_>>(),
        [TierState::Confirmed, TierState::Queued],
        "the edge goes by generations, and those have moved"
    );
    tokio::time::sleep(LONG).await;
    assert_eq!(world.journal(), ["edge soft all", "edge complete"]);
    let bind = Bind {
        url: page("/b"),
        variant: VariantKey::default(),
        tags: tag_set(&["all"]),
        generation: before.generation_of(&page("/b")),
        lifetime: LONG,
    };
    let bound = world.store.bind(&[bind]).await.unwrap();
    assert!(matches!(bound[0], BindOutcome::Superseded { .. }));

    let released = release(&world, &receipt).await;
    assert_eq!(released.held.map(|held| held.released), Some(true));
    let done = world.done(&receipt).await;
    assert_eq!((done.phase, done.settled), (Phase::Done, true));
    assert_eq!(done.held, released.held, "it stays told");
    let journal = world.journal();
    assert!(journal.contains(&"cdn soft all".to_owned()), "{journal:?}");
    for path in ["/a/1", "/a/2", "/b"] {
        assert!(journal.contains(&format!("warm {path} public")));
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_it_is_held_unless_it_has_come_so_far() {
    let (world, worker) = site(2).await;
    let receipt = world.revalidate(&["all"]).await;
    for awaited in [
        Awaited::Edges,
        Awaited::Purged,
        Awaited::Settled,
        Awaited::Done,
    ] {
        let start = world.clock.now();
        let (store, clock) = (&*world.store, &*world.clock);
        let waited = await_receipt(store, clock, &receipt.id, awaited, "edge", LONG);
        let seen = waited.await.unwrap().unwrap();
        assert!(world.since(start) < Duration::from_secs(5), "{awaited:?}");
        let reached = awaited.reached(&seen, "edge");
        assert_eq!(reached, awaited == Awaited::Edges, "{awaited:?}");
        assert!(reached || seen.phase == Phase::Held, "{awaited:?}");
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pages_are_counted_whatever_it_is_aimed_at_and_each_once() {
    let host = || Target::Host("site.example".into());
    let beneath = |path| Target::Prefix(page(path));
    let tag = |text: &str| Target::Tag(text.parse().unwrap());
    let unknown: Vec<Target> = (0..3)
        .map(|number| Target::Url(page(&format!("/unknown/{number}"))))
        .collect();
    let cases = [
        (Targets::everything(), 3),
        (Targets::new([host()]).unwrap(), 3),
        (Targets::new([beneath("/a")]).unwrap(), 2),
        (Targets::new([tag("all")]).unwrap(), 3),
        (Targets::new([tag("all"), tag("b"), host()]).unwrap(), 3),
        (Targets::new([tag("nothing")]).unwrap(), 0),
        (Targets::new(unknown).unwrap(), 3),
    ];
    for (targets, pages) in cases {
        for above in 0..5 {
            let (world, worker) = site(above).await;
            let receipt = Receipt::new(targets.clone(), unwarmed(), Source::Api);
            let receipt = world.store.invalidate(receipt).await.unwrap();
            let seen = is_held(&world, &receipt).await;
            let expected = if pages > above {
                Phase::Held
            } else {
                Phase::Done
            };
            assert_eq!(seen.phase, expected, "{targets:?} above {above}");
            worker.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_pages_are_counted_no_further_than_needed_and_two_at_a_time_end() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    for number in 0..5_500 {
        world.bind(&format!("/{number}"), &["all"]).await;
    }
    let worker = Running::start(world.worker_with(holding(5_400)));
    let first = world.revalidate(&["all"]).await;
    let second = world.revalidate(&["all"]).await;
    for receipt in [first, second] {
        assert_eq!(is_held(&world, &receipt).await.phase, Phase::Held);
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn its_caller_can_exempt_it() {
    let (world, worker) = site(0).await;
    let options = RevalidateOptions {
        hold: false,
        ..RevalidateOptions::default()
    };
    let receipt = world.revalidate_with(&["all"], options).await;
    let done = world.done(&receipt).await;
    assert_eq!((done.phase, done.held), (Phase::Done, None));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_would_call_nobody_is_not_held() {
    let mut world = World::new();
    world.tier("edge", edge());
    world.bind("/1", &["all"]).await;
    let worker = Running::start(world.worker_with(holding(0)));
    let receipt = world.revalidate_with(&["all"], unwarmed()).await;
    assert_eq!(world.done(&receipt).await.phase, Phase::Done);
    let warmed = world.revalidate(&["all"]).await;
    assert_eq!(is_held(&world, &warmed).await.phase, Phase::Held);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_called_off_calls_nobody_ever() {
    let (world, worker) = site(2).await;
    let receipt = world.revalidate(&["all"]).await;
    is_held(&world, &receipt).await;
    let moved = world.store.position().await.unwrap();
    let cancelled = world.store.cancel(&receipt.id).await.unwrap().unwrap();
    assert_eq!(
        (cancelled.phase, cancelled.settled),
        (Phase::Cancelled, false)
    );
    assert_eq!(release(&world, &receipt).await, cancelled);
    tokio::time::sleep(LONG).await;
    assert_eq!(world.journal(), ["edge soft all", "edge complete"]);
    assert_eq!(world.store.position().await.unwrap(), moved);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_released_is_held_no_second_time() {
    let (world, worker) = site(2).await;
    let receipt = world.revalidate(&["all"]).await;
    is_held(&world, &receipt).await;
    world.tiers[1].refuse(1, refused);
    release(&world, &receipt).await;
    // Whoever takes it over, and whoever replays it.
    worker.kill().await;
    let worker = Running::start(world.worker_with(holding(2)));
    let failed = is_held(&world, &receipt).await;
    assert_eq!(failed.phase, Phase::Failed);
    let job = JobKey::Revalidation(receipt.id);
    assert_eq!(world.store.replay(&[job]).await.unwrap(), 1);
    let done = world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Done)
        .await;
    assert_eq!(done.held, failed.held);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_has_called_somebody_is_not_stopped_half_way() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    world.bind("/1", &["all"]).await;
    let worker = world.start("before");
    let options = RevalidateOptions {
        second_purge: Some(Duration::from_mins(1)),
        ..unwarmed()
    };
    let receipt = world.revalidate_with(&["all"], options).await;
    world
        .wait_until(&receipt, |receipt| receipt.progress.repeated)
        .await;
    worker.stop().await;
    let worker = Running::start(world.worker_with(holding(0)));
    let done = world.done(&receipt).await;
    assert_eq!((done.phase, done.held), (Phase::Done, None));
    assert_eq!(world.journal(), ["cdn hard all", "cdn hard all"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_history_is_never_held() {
    let mut world = World::new();
    world.tier("cdn", by_everything());
    world.bind("/1", &["all"]).await;
    let worker = Running::start(world.worker_with(holding(0)));
    let _housekeeper = world.housekeeper_that(OnHistoryLost::PurgeAll);
    let any = ReceiptFilter::default();
    let receipt = loop {
        let made = world.store.receipts(&any, None, 1).await.unwrap().receipts;
        if let Some(receipt) = made.into_iter().next() {
            break receipt;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(world.done(&receipt).await.settled);
    assert_eq!(world.journal(), ["cdn hard everything"]);
    worker.stop().await;
}

/// A revalidation that is held once its generations have moved again after the replica lag.
async fn held_with_a_lag() -> (World, Running, Receipt) {
    let mut world = World::new();
    world.tier("cdn", by_url());
    world.bind("/1", &["all"]).await;
    let worker = Running::start(world.worker_with(holding(0)));
    let options = RevalidateOptions {
        replica_lag: Some(Duration::from_secs(9)),
        ..unwarmed()
    };
    let receipt = world.revalidate_with(&["all"], options).await;
    is_held(&world, &receipt).await;
    (world, worker, receipt)
}

/// What was rendered from a replica within its lag is old, held or not.
#[tokio::test(start_paused = true)]
async fn the_generations_move_again_after_a_replicas_lag_while_it_is_held() {
    let (world, worker, receipt) = held_with_a_lag().await;
    let moved = world.store.position().await.unwrap().number(Partition(0));
    assert_eq!(moved, 2);
    let repeat = receipt.id.after_replica_lag();
    let repeat = world.store.receipt(&repeat).await.unwrap().unwrap();
    assert_eq!(is_held(&world, &repeat).await.phase, Phase::Held);
    assert!(world.journal().is_empty());
    release(&world, &receipt).await;
    assert!(world.done(&receipt).await.settled, "with its repeat");
    assert!(world.done(&repeat).await.settled);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_repeat_was_called_off_says_so() {
    let (world, worker, receipt) = held_with_a_lag().await;
    let repeat = receipt.id.after_replica_lag();
    let known = world.store.receipt(&repeat).await.unwrap().unwrap();
    is_held(&world, &known).await;
    world.store.cancel(&repeat).await.unwrap();
    release(&world, &receipt).await;
    let waiting = world.wait_until(&receipt, |it| it.error.is_some()).await;
    let error = waiting.error.unwrap();
    assert!(error.contains("called off"), "{error}");
    assert!(!waiting.settled);
    worker.stop().await;
}
