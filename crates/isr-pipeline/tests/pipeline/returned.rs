//! A tier that is back is purged of everything that it has missed, however much that is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use isr_core::{LeavePage, PageReason, PageWork, Phase, WorkerId};

use crate::support::{World, by_tag, by_url, page, refused};

#[tokio::test(start_paused = true)]
async fn a_tier_that_was_away_is_purged_of_what_it_missed_once_it_is_back() {
    let mut world = World::new();
    let away = world.tier("away", by_tag());
    let refusing = world.tier("refusing", by_tag());
    let worker = world.start("one");
    let _housekeeper = world.housekeeper();
    away.away.store(true, Ordering::SeqCst);
    refusing.refuse(1, refused);
    let refused = world.revalidate(&["post:0"]).await;
    let missed = world.revalidate(&["post:1"]).await;
    for receipt in [&refused, &missed] {
        world
            .wait_until(receipt, |receipt| receipt.phase == Phase::Failed)
            .await;
    }
    tokio::time::sleep(Duration::from_mins(5)).await;
    let still = world.store.receipt(&missed.id).await.unwrap().unwrap();
    assert_eq!(still.phase, Phase::Failed, "it does not answer yet");
    away.away.store(false, Ordering::SeqCst);
    for receipt in [&refused, &missed] {
        let done = world
            .wait_until(receipt, |receipt| receipt.phase == Phase::Done)
            .await;
        assert!(done.settled);
        assert!(done.tiers.iter().all(|tier| !tier.away));
    }
    assert_eq!(
        world.store.dead_letters(None, 10).await.unwrap().letters,
        []
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn more_pages_than_one_look_at_the_dead_letters_sees_are_purged() {
    const MANY: usize = 1_500;
    const LEASE: Duration = Duration::from_mins(1);
    let mut world = World::new();
    let tier = world.tier("cdn", by_url());
    tier.away.store(true, Ordering::SeqCst);
    let position = world.store.position().await.unwrap();
    let missed = (0..MANY).map(|n| {
        let url = page(&format!("/{n}"));
        let generation = position.generation_of(&url);
        PageWork::new(url, generation, PageReason::InFlight)
    });
    let missed: Vec<PageWork> = missed.collect();
    let (store, worker) = (&world.store, WorkerId("dies".into()));
    store.queue_pages(&missed, Duration::ZERO).await.unwrap();
    // Twice, since what is given up on at the first attempt was refused for good.
    for how in [
        LeavePage::Later {
            delay: Duration::ZERO,
        },
        LeavePage::Dead {
            error: "away".to_owned(),
        },
    ] {
        let claimed = store.claim_pages(&worker, MANY, LEASE).await.unwrap();
        let left: Vec<_> = claimed
            .into_iter()
            .map(|claimed| (claimed.claim, how.clone()))
            .collect();
        store.leave_pages(&left).await.unwrap();
    }
    assert_eq!(store.depth().await.unwrap().dead, MANY as u64);
    tier.away.store(false, Ordering::SeqCst);
    let housekeeper = world.housekeeper();
    // One round, in which no time passes.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(store.depth().await.unwrap().dead, 0);
    drop(housekeeper);
}
