//! A revalidation goes through its phases, in their order, whatever its tiers can do.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Running, World, by_tag, by_url, edge, hard, refused, unreachable, unwarmed};
use isr_core::{
    Ability, Capabilities, ConnectorError, JobKey, Phase, Receipt, RevalidateOptions, Source,
    Targets, TierState,
};

#[tokio::test(start_paused = true)]
async fn tiers_are_purged_nearest_the_origin_first_and_confirmed_before_the_next() {
    let mut world = World::new();
    world.tier(
        "far",
        Capabilities {
            distance: 20,
            ..by_url()
        },
    );
    *world.tier("edge", edge()).pending.lock() = 3;
    world.bind("/1", &["post:1"]).await;
    world.bind("/2", &["post:2"]).await;
    let worker = world.start("one");
    let receipt = world.revalidate(&["post:1"]).await;
    let done = world.done(&receipt).await;
    assert_eq!(
        world.journal(),
        [
            "edge soft post:1",
            "edge complete",
            "far hard /1",
            "warm /1 public"
        ]
    );
    assert_eq!(
        (done.phase, done.settled, done.warm.warmed),
        (Phase::Done, true, 1)
    );
    assert!(
        done.tiers
            .iter()
            .all(|tier| tier.state == TierState::Settled)
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn calls_hold_no_more_than_the_tier_takes() {
    let mut world = World::new();
    let two = NonZeroUsize::new(2).unwrap();
    world.tier(
        "cdn",
        Capabilities {
            url: Some(Ability::UNLIMITED.in_batches_of(two)),
            ..by_url()
        },
    );
    for n in 0..5 {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    let worker = world.start("one");
    let options = RevalidateOptions {
        warm: false,
        ..hard()
    };
    let receipt = world.revalidate_with(&["list"], options).await;
    let done = world.done(&receipt).await;
    assert_eq!(
        world.journal(),
        ["cdn hard /0 /1", "cdn hard /2 /3", "cdn hard /4"]
    );
    assert_eq!((done.tiers[0].calls, done.tiers[0].accepted), (3, 5));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_says_when_it_is_done_is_asked_before_it_is_given_more() {
    let mut world = World::new();
    let two = NonZeroUsize::new(2).unwrap();
    let cdn = world.tier(
        "cdn",
        Capabilities {
            url: Some(Ability::UNLIMITED.in_batches_of(two)),
            observes_completion: true,
            ..by_url()
        },
    );
    *cdn.pending.lock() = 3;
    for n in 0..5 {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let done = world.done(&receipt).await;
    assert_eq!((done.tiers[0].calls, done.tiers[0].accepted), (3, 5));
    let what: Vec<String> = world
        .journal()
        .iter()
        .map(|line| line[..8].to_owned())
        .collect();
    assert_eq!(what, ["cdn hard", "cdn comp"].repeat(3));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_purge_of_many_calls_gets_past_a_tier_that_takes_its_time() {
    let mut world = World::new();
    let two = NonZeroUsize::new(2).unwrap();
    let cdn = world.tier(
        "cdn",
        Capabilities {
            url: Some(Ability::UNLIMITED.in_batches_of(two)),
            observes_completion: true,
            ..by_url()
        },
    );
    // Longer than a job is kept waiting where what has been done is saved.
    *cdn.asked_after.lock() = Duration::from_secs(20);
    *cdn.pending_each.lock() = 2;
    for n in 0..5 {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    let options = RevalidateOptions {
        second_purge: Some(Duration::from_secs(1)),
        ..unwarmed()
    };
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["list"], options).await;
    let done = world.done(&receipt).await;
    assert_eq!((done.phase, done.tiers[0].calls), (Phase::Done, 2 * 3));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_without_pages_makes_no_call_where_pages_are_purged() {
    let mut world = World::new();
    world.tier("cdn", by_url());
    let worker = world.start("one");
    let receipt = world.revalidate(&["nobody"]).await;
    assert_eq!(world.done(&receipt).await.tiers[0].calls, 0);
    assert_eq!(
        world.journal(),
        [""; 0],
        "an empty call would mean everything"
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_fails_is_tried_again_until_it_works() {
    let mut world = World::new();
    world.tier("cdn", by_tag()).refuse(3, unreachable);
    let worker = world.start("one");
    let receipt = world.revalidate(&["post:1"]).await;
    let failing = world
        .wait_until(&receipt, |receipt| receipt.failures == 2)
        .await;
    let error = failing.error.unwrap();
    assert_eq!(error, "cdn cannot be reached: connection refused");
    let done = world.done(&receipt).await;
    assert_eq!(
        (done.phase, done.failures, done.error),
        (Phase::Done, 0, None)
    );
    assert_eq!(done.tiers[0].error, None);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_given_up_on_keeps_no_other_from_being_purged_and_can_be_replayed() {
    let mut world = World::new();
    world.tier("near", by_tag()).refuse(12, unreachable);
    world.tier(
        "far",
        Capabilities {
            distance: 20,
            ..by_tag()
        },
    );
    let worker = world.start("one");
    let receipt = world.revalidate(&["post:1"]).await;
    let failed = world.done(&receipt).await;
    assert_eq!((failed.phase, failed.settled), (Phase::Failed, false));
    assert_eq!(failed.tiers[0].state, TierState::Failed);
    assert_eq!(
        failed.error.as_deref(),
        Some("near cannot be reached: connection refused")
    );
    assert_eq!(world.journal(), ["far soft post:1"]);
    let letters = world.store.dead_letters(None, 10).await.unwrap().letters;
    assert_eq!(letters[0].job, JobKey::Revalidation(receipt.id));
    world.store.replay(&[letters[0].job.clone()]).await.unwrap();
    let done = world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Done)
        .await;
    assert!(done.settled);
    assert_eq!(
        world.journal(),
        ["far soft post:1", "near soft post:1"],
        "what was done stays done"
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_back_and_refuses_is_asked_once_more_and_then_waits_for_a_replay() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    cdn.away.store(true, Ordering::SeqCst);
    let worker = world.start("one");
    let _housekeeper = world.housekeeper();
    let receipt = world.revalidate(&["post:1"]).await;
    world.done(&receipt).await;
    cdn.half_set_up.store(true, Ordering::SeqCst);
    cdn.away.store(false, Ordering::SeqCst);
    world
        .wait_until(&receipt, |receipt| {
            receipt.phase == Phase::Failed && !receipt.tiers[0].away
        })
        .await;
    let calls = world.store.receipt(&receipt.id).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_mins(5)).await;
    let later = world.store.receipt(&receipt.id).await.unwrap().unwrap();
    assert_eq!(calls.tiers[0].calls, later.tiers[0].calls);
    cdn.half_set_up.store(false, Ordering::SeqCst);
    let letter = world
        .store
        .dead_letters(None, 1)
        .await
        .unwrap()
        .letters
        .remove(0);
    world.store.replay(&[letter.job]).await.unwrap();
    world.wait_until(&receipt, |receipt| receipt.settled).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_refused_is_not_asked_again_by_itself() {
    let mut world = World::new();
    world.tier("refusing", by_tag()).refuse(1, refused);
    let worker = world.start("one");
    let _housekeeper = world.housekeeper();
    let receipt = world.revalidate(&["post:1"]).await;
    world.done(&receipt).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    let still = world.store.receipt(&receipt.id).await.unwrap().unwrap();
    assert_eq!((still.phase, still.tiers[0].calls), (Phase::Failed, 1));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_asks_for_time_is_given_it() {
    let mut world = World::new();
    let minute = Duration::from_mins(1);
    world
        .tier("cdn", by_tag())
        .refuse(1, |connector| ConnectorError::RateLimited {
            connector,
            reason: "too many calls".into(),
            retry_after: Some(minute),
        });
    let worker = world.start("one");
    let start = world.clock.now();
    let receipt = world.revalidate(&["post:1"]).await;
    world.done(&receipt).await;
    assert!(world.since(start) >= minute);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pages_that_were_not_warmed_are_named() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    for path in ["/1", "/broken", "/gone"] {
        world.bind(path, &["post:1"]).await;
    }
    let worker = world.start("one");
    let receipt = world.revalidate(&["post:1"]).await;
    let warm = world.done(&receipt).await.warm;
    assert_eq!((warm.warmed, warm.failed, warm.skipped), (1, 1, 1));
    let mut named: Vec<_> = (warm.not_warmed.iter())
        .map(|page| (page.url.path(), page.detail.as_str()))
        .collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [("/broken", "status 500"), ("/gone", "gone: status 404")]
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_tier_refuses_for_good_is_not_tried_again_until_it_is_replayed() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    cdn.refuse(2, refused);
    let worker = world.start("one");
    let receipt = world.revalidate(&["post:1"]).await;
    let failed = world.done(&receipt).await;
    assert_eq!((failed.phase, failed.tiers[0].calls), (Phase::Failed, 1));
    assert_eq!(
        failed.error.as_deref(),
        Some("cdn refused the purge: the token may not purge")
    );
    cdn.answers.lock().clear();
    let job = JobKey::Revalidation(receipt.id);
    assert_eq!(world.store.replay(&[job]).await.unwrap(), 1);
    world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Done)
        .await;
    assert_eq!(world.journal(), ["cdn soft post:1"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_cannot_be_purged_so_fails_at_once_and_says_why() {
    let mut world = World::new();
    world.tier("cdn", Capabilities::default());
    let worker = world.start("one");
    let receipt = world.revalidate(&["post:1"]).await;
    let failed = world.done(&receipt).await;
    assert_eq!(failed.phase, Phase::Failed);
    assert_eq!(
        failed.error.as_deref(),
        Some("cdn can purge neither by tag nor by URL")
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn everything_is_purged_natively_where_that_is_possible_and_page_by_page_elsewhere() {
    let mut world = World::new();
    world.tier(
        "edge",
        Capabilities {
            everything: Some(Ability::UNLIMITED.soft()),
            ..edge()
        },
    );
    world.tier("cdn", by_url());
    world.bind("/1", &["a"]).await;
    world.bind("/2", &["b"]).await;
    let worker = world.start("one");
    let options = RevalidateOptions {
        warm: false,
        ..RevalidateOptions::default()
    };
    let receipt = Receipt::new(Targets::everything(), options, Source::Library);
    let receipt = world.store.invalidate(receipt).await.unwrap();
    world.done(&receipt).await;
    assert_eq!(
        world.journal(),
        ["edge soft everything", "edge complete", "cdn hard /1 /2"]
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_purge_comes_after_its_delay_and_once() {
    let mut world = World::new();
    world.tier("edge", edge());
    world.tier("cdn", by_tag());
    let worker = world.start("one");
    let delay = Duration::from_secs(7);
    let options = RevalidateOptions {
        warm: false,
        second_purge: Some(delay),
        ..RevalidateOptions::default()
    };
    let start = world.clock.now();
    let receipt = world.revalidate_with(&["post:1"], options).await;
    let done = world.done(&receipt).await;
    assert!(world.since(start) >= delay);
    assert_eq!(
        world.journal(),
        [
            "edge soft post:1",
            "edge complete",
            "cdn soft post:1",
            "cdn soft post:1"
        ]
    );
    assert!(done.settled);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pages_shared_by_revalidations_are_purged_once_for_both() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_url());
    world.bind("/shared", &["a", "b"]).await;
    world.bind("/a", &["a"]).await;
    world.bind("/b", &["b"]).await;
    let options = hard();
    let first = world.revalidate_with(&["a"], options.clone()).await;
    let second = world.revalidate_with(&["b"], options).await;
    // The second is worked on while the first waits, so that the later one is done first.
    cdn.refuse(1, unreachable);
    let worker = world.start("one");
    world.done(&first).await;
    world.done(&second).await;
    let purges: Vec<_> = world
        .journal()
        .into_iter()
        .filter(|line| line.starts_with("cdn"))
        .collect();
    let shared = purges
        .iter()
        .filter(|line| line.contains("/shared"))
        .count();
    assert!(
        shared <= 2 && purges.iter().any(|line| line.contains("/a")),
        "{purges:?}"
    );
    let third = world.revalidate_with(&["a"], hard()).await;
    world.done(&third).await;
    let again = world
        .journal()
        .iter()
        .filter(|line| line.starts_with("cdn") && line.contains("/shared"))
        .count();
    assert_eq!(again, shared + 1, "a later change is never taken for done");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_midway_is_replaced() {
    let mut world = World::new();
    let cdn = world.tier(
        "cdn",
        Capabilities {
            observes_completion: true,
            ..by_tag()
        },
    );
    *cdn.pending.lock() = 5;
    let receipt = world.revalidate(&["post:1"]).await;
    let first = world.start("dies");
    world
        .wait_until(&receipt, |receipt| {
            receipt.tiers.first().is_some_and(|tier| tier.calls == 1)
        })
        .await;
    first.kill().await;
    let second = world.start("takes over");
    let done = world.done(&receipt).await;
    assert_eq!((done.phase, done.settled), (Phase::Done, true));
    assert_eq!(
        world.journal().last().map(String::as_str),
        Some("cdn complete")
    );
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stops_hands_back_what_it_had() {
    let mut world = World::new();
    let cdn = world.tier(
        "cdn",
        Capabilities {
            observes_completion: true,
            ..by_tag()
        },
    );
    *cdn.pending.lock() = u32::MAX;
    let receipt = world.revalidate(&["post:1"]).await;
    let first = world.start("stops");
    world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Purging)
        .await;
    first.stop().await;
    *cdn.pending.lock() = 0;
    let start = world.clock.now();
    let second = world.start("goes on");
    world.done(&receipt).await;
    assert!(
        world.since(start) < Duration::from_secs(30),
        "no lease had to end first"
    );
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_workers_do_a_job_once() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let workers: Vec<Running> = ["one", "two", "three"]
        .iter()
        .map(|name| world.start(name))
        .collect();
    let mut receipts = Vec::new();
    for n in 0..20 {
        receipts.push(world.revalidate(&[&format!("post:{n}")]).await);
    }
    for receipt in &receipts {
        world.done(receipt).await;
    }
    let journal = world.journal().join(" ");
    assert_eq!(journal.matches("post:").count(), 20);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_another_revalidation_made_is_waited_for_too() {
    let mut world = World::new();
    let observed = Capabilities {
        observes_completion: true,
        ..by_url()
    };
    let cdn = world.tier("cdn", observed);
    world.bind("/shared", &["a", "b"]).await;
    *cdn.pending.lock() = 1_000;
    // The later one is done first, since the call of the earlier one fails.
    let first = world.revalidate_with(&["a"], hard()).await;
    let second = world.revalidate_with(&["b"], hard()).await;
    cdn.refuse(1, unreachable);
    let worker = world.start("one");
    let spared = |receipt: &Receipt| receipt.phase != Phase::Queued && receipt.failures == 0;
    world.wait_until(&second, spared).await;
    let done = world.done(&first).await;
    assert_eq!(done.tiers[0].accepted, 0, "the other's call did for both");
    assert_eq!(
        *cdn.pending.lock(),
        0,
        "it is confirmed before it is carried out"
    );
    world.done(&second).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_other_tiers_purges_those_that_are_new_to_the_revalidation() {
    let mut world = World::new();
    let cdn = world.tier("cdn", by_tag());
    let slow = Capabilities {
        observes_completion: true,
        distance: 20,
        ..by_tag()
    };
    let slow = world.tier("slow", slow);
    *slow.pending.lock() = u32::MAX;
    let receipt = world.revalidate(&["post:1"]).await;
    let before = world.start("before");
    world
        .wait_until(&receipt, |receipt| {
            receipt.tiers.len() == 2 && receipt.tiers[1].calls == 1
        })
        .await;
    before.kill().await;
    *slow.pending.lock() = 0;
    world.tiers = vec![slow, cdn];
    let new = Capabilities {
        distance: 15,
        ..by_tag()
    };
    world.tier("new", new);
    let after = world.start("after");
    let done = world.done(&receipt).await;
    assert_eq!((done.phase, done.settled), (Phase::Done, true));
    let names: Vec<&str> = done.tiers.iter().map(|tier| &*tier.connector).collect();
    assert_eq!(names, ["cdn", "new", "slow"]);
    let purges = |name: &str| {
        let line = format!("{name} soft post:1");
        world.journal().iter().filter(|seen| **seen == line).count()
    };
    assert_eq!([purges("cdn"), purges("new"), purges("slow")], [1, 1, 2]);
    after.stop().await;
}
