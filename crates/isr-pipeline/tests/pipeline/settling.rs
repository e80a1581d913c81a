//! A revalidation is settled only when nothing made from older data can appear any more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{World, by_tag, footprint, page, refused, targets, unreachable};
use isr_core::{
    CdnConnector, ConnectorError, JobKey, Phase, Receipt, RevalidateOptions, Revalidator, Sender,
    Source, TierState,
};
use isr_pipeline::Follower;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

async fn follow(follower: &Arc<Follower>) -> (CancellationToken, JoinHandle<()>) {
    follower.step().await.unwrap();
    let stop = CancellationToken::new();
    let (follower, token) = (Arc::clone(follower), stop.clone());
    (stop, tokio::spawn(async move { follower.run(token).await }))
}

fn quiet() -> RevalidateOptions {
    RevalidateOptions {
        warm: false,
        ..RevalidateOptions::default()
    }
}

fn depart(sender: &Arc<Sender>) -> isr_core::Flight {
    let generation = sender.generation(&page("/1")).unwrap();
    sender.depart(&footprint("/1", &["post:1"]), generation)
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_is_purged_again_after_the_settling_time() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    let (stop, task) = follow(&follower).await;
    let flight = depart(&sender);
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    let waiting = world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Settling)
        .await;
    assert!(!waiting.settled);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let still = world.store.receipt(&receipt.id).await.unwrap().unwrap();
    assert!(!still.settled, "the response has not ended");
    let ended = world.clock.now();
    drop(flight);
    assert!(world.done(&receipt).await.settled);
    assert!(world.since(ended) >= sender.options().settling_time);
    assert_eq!(
        world.journal(),
        ["cdn soft post:1", "cdn hard /1", "warm /1 public"]
    );
    stop.cancel();
    task.await.unwrap();
    worker.stop().await;
}

/// A revalidation that was purged while a response was in flight, and whose response has ended.
async fn in_flight(world: &World) -> Receipt {
    let (sender, follower) = world.sender("app");
    let (_stop, _task) = follow(&follower).await;
    let flight = depart(&sender);
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Settling)
        .await;
    drop(flight);
    receipt
}

#[tokio::test(start_paused = true)]
async fn a_page_is_purged_no_sooner_than_the_tier_asks_for() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    let worker = world.start("one");
    let receipt = in_flight(&world).await;
    let (ended, minute) = (world.clock.now(), Duration::from_mins(1));
    cdn.refuse(1, |connector| ConnectorError::RateLimited {
        connector,
        reason: "too many calls".into(),
        retry_after: Some(minute),
    });
    assert!(world.done(&receipt).await.settled);
    assert!(world.since(ended) >= minute);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_that_could_not_be_purged_while_a_tier_was_away_is_purged_once_it_is_back() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    let worker = world.start("one");
    let _housekeeper = world.housekeeper();
    let receipt = in_flight(&world).await;
    cdn.away.store(true, Ordering::SeqCst);
    while world
        .store
        .dead_letters(None, 1)
        .await
        .unwrap()
        .letters
        .is_empty()
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(
        world
            .store
            .dead_letters(None, 2)
            .await
            .unwrap()
            .letters
            .len(),
        1
    );
    cdn.away.store(false, Ordering::SeqCst);
    assert!(world.done(&receipt).await.settled);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_that_a_tier_refuses_for_good_is_given_up_on_at_once() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    let worker = world.start("one");
    let receipt = in_flight(&world).await;
    cdn.refuse(1, refused);
    let letters = loop {
        let letters = world.store.dead_letters(None, 10).await.unwrap().letters;
        if !letters.is_empty() {
            break letters;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((letters.len(), letters[0].attempts), (1, 1));
    assert_eq!(letters[0].job, JobKey::Page(page("/1")));
    world.store.replay(&[letters[0].job.clone()]).await.unwrap();
    assert!(world.done(&receipt).await.settled);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_is_purged_from_a_tier_that_is_back_though_another_refuses_it() {
    let mut world = World::new();
    let away = world.tier("away", by_tag());
    let refusing = world.tier("refusing", by_tag());
    away.away.store(true, Ordering::SeqCst);
    refusing.refuse(1, refused);
    let generation = world.store.position().await.unwrap();
    let generation = generation.generation_of(&page("/1"));
    let work = isr_core::PageWork::new(page("/1"), generation, isr_core::PageReason::InFlight);
    let store = &world.store;
    store.queue_pages(&[work], Duration::ZERO).await.unwrap();
    let worker = world.start("one");
    while !refusing.answers.lock().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    away.away.store(false, Ordering::SeqCst);
    while store.depth().await.unwrap().pages > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.dead_letters(None, 1).await.unwrap().letters, []);
    let journal = world.journal();
    for purged in ["away hard /1", "refusing hard /1"] {
        assert!(journal.iter().any(|line| line == purged), "{journal:?}");
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn with_nothing_in_flight_there_is_no_second_purge() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    let (stop, task) = follow(&follower).await;
    let flight = sender.depart(
        &footprint("/2", &["post:2"]),
        sender.generation(&page("/2")).unwrap(),
    );
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    assert!(world.done(&receipt).await.settled);
    assert_eq!(world.journal(), ["cdn soft post:1"]);
    drop(flight);
    stop.cancel();
    task.await.unwrap();
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_dies_before_it_is_clean_has_everything_purged_again() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    let (_stop, task) = follow(&follower).await;
    let flight = depart(&sender);
    let worker = world.start("one");
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    assert!(world.done(&receipt).await.settled);
    assert_eq!(world.journal(), ["cdn soft post:1", "cdn soft post:1"]);
    drop(flight);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_died_long_before_is_not_mourned() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    let (_stop, task) = follow(&follower).await;
    let flight = depart(&sender);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // Its lease, the settling time, and what the clocks of servers may be apart.
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert!(!world.store.senders().await.unwrap()[0].alive);
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    assert!(world.done(&receipt).await.settled);
    assert_eq!(world.journal(), ["cdn soft post:1"]);
    drop(flight);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_left_in_good_order_is_not_mourned() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (_, follower) = world.sender("app");
    let (stop, task) = follow(&follower).await;
    stop.cancel();
    task.await.unwrap();
    assert_eq!(world.store.senders().await.unwrap(), []);
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    assert!(world.done(&receipt).await.settled);
    assert_eq!(world.journal(), ["cdn soft post:1"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_process_that_accepted_a_revalidation_knows_it_before_its_caller_does() {
    let world = World::new();
    let (sender, follower) = world.sender("app");
    follower.step().await.unwrap();
    let intake = world.intake(Some(Arc::clone(&follower)));
    let receipt = Receipt::new(targets(&["post:1"]), quiet(), Source::Library);
    let receipt = intake.revalidate(receipt).await.unwrap();
    assert!(sender.known().unwrap().covers(&receipt.position.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_superseded_page_is_warmed_and_not_purged() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    follower.step().await.unwrap();
    let started = sender.generation(&page("/1")).unwrap();
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    let bind = isr_core::Bind {
        url: page("/1"),
        variant: isr_core::VariantKey::default(),
        tags: crate::support::tag_set(&["post:1"]),
        generation: started,
        lifetime: Duration::from_hours(1),
    };
    assert!(!world.store.bind(&[bind]).await.unwrap()[0].is_bound());
    let (_stop, _task) = follow(&follower).await;
    let worker = world.start("one");
    world.done(&receipt).await;
    while world.store.depth().await.unwrap().pages > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut journal = world.journal();
    journal.sort_unstable();
    assert_eq!(journal, ["cdn soft post:1", "warm /1 public"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_sender_sent_last_is_given_time_to_be_stored_before_it_is_purged_again() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    follower.step().await.unwrap();
    let flight = depart(&sender);
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    let mourned = |receipt: &Receipt| !receipt.progress.mourned.is_empty();
    world.wait_until(&receipt, mourned).await;
    let seen_dead = world.clock.now();
    assert_eq!(world.journal(), ["cdn soft post:1"]);
    assert!(world.done(&receipt).await.settled);
    assert!(world.since(seen_dead) + Duration::from_millis(10) >= cdn.capabilities().settling_time);
    assert_eq!(world.journal(), ["cdn soft post:1", "cdn soft post:1"]);
    drop(flight);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_leaves_is_not_forgotten_while_its_last_response_may_be_stored() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let (sender, follower) = world.sender("app");
    let (stop, task) = follow(&follower).await;
    drop(depart(&sender));
    stop.cancel();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    assert!(world.done(&receipt).await.settled);
    let journal = world.journal();
    assert!(journal.contains(&"cdn hard /1".to_owned()), "{journal:?}");
    task.await.unwrap();
    assert_eq!(world.store.senders().await.unwrap(), []);
    assert!(!sender.may_share(), "nobody would know of what it sends");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_revalidation_is_given_up_on_only_once_nothing_it_concerned_is_on_its_way() {
    let mut world = World::new();
    world.tier("near", by_tag()).refuse(12, unreachable);
    world.tier("far", by_tag());
    let (sender, follower) = world.sender("app");
    let (stop, task) = follow(&follower).await;
    let flight = depart(&sender);
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["post:1"], quiet()).await;
    world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Settling)
        .await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let waiting = world.store.receipt(&receipt.id).await.unwrap().unwrap();
    assert_eq!(waiting.phase, Phase::Settling);
    drop(flight);
    let failed = world.done(&receipt).await;
    let states: Vec<TierState> = failed.tiers.iter().map(|tier| tier.state).collect();
    assert_eq!(states, [TierState::Failed, TierState::Accepted]);
    assert_eq!((failed.phase, failed.settled), (Phase::Failed, false));
    stop.cancel();
    task.await.unwrap();
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_tier_never_answers_for_it_is_put_off_and_tried_again() {
    let mut world = World::new();
    let observed = isr_core::Capabilities {
        observes_completion: true,
        ..by_tag()
    };
    let cdn = world.tier("cdn", observed);
    *cdn.pending.lock() = u32::MAX;
    let generation = world
        .store
        .position()
        .await
        .unwrap()
        .generation_of(&page("/1"));
    let work = isr_core::PageWork::new(page("/1"), generation, isr_core::PageReason::InFlight);
    world
        .store
        .queue_pages(&[work], Duration::ZERO)
        .await
        .unwrap();
    let worker = world.start("one");
    let calls = || {
        world
            .journal()
            .iter()
            .filter(|line| *line == "cdn hard /1")
            .count()
    };
    while calls() < 3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    *cdn.pending.lock() = 0;
    while world.store.depth().await.unwrap().pages > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(world.store.depth().await.unwrap().dead, 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_is_purged_once_however_long_its_tier_takes_to_carry_that_out() {
    let mut world = World::new();
    let observed = isr_core::Capabilities {
        observes_completion: true,
        ..by_tag()
    };
    let cdn = world.tier("cdn", observed);
    let worker = world.start("one");
    let receipt = in_flight(&world).await;
    // Asked every 10 ms, it says so for a minute: two leases.
    *cdn.pending.lock() = 6_000;
    assert!(world.done(&receipt).await.settled);
    let purged = world.journal();
    let purged = purged.iter().filter(|line| *line == "cdn hard /1").count();
    assert_eq!(purged, 1, "{:?}", world.journal());
    worker.stop().await;
}
