//! Claiming, losing, putting off and giving up.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::time::Duration;

use isr_core::{
    Claimed, JobKey, Leave, LeavePage, PageReason, PageWork, Phase, Receipt, Store, StoreError,
};

use super::StoreFixture;
use super::make::{LONG_LEASE, generation, page, revalidate, work, worker};

const SHORT: Duration = Duration::from_millis(50);
const LONGER: Duration = Duration::from_millis(60);

async fn claim(store: &dyn Store, name: &str, lease: Duration) -> Option<Claimed<Receipt>> {
    store
        .claim_revalidations(&worker(name), 1, lease)
        .await
        .unwrap()
        .pop()
}

async fn claim_page(store: &dyn Store, name: &str, lease: Duration) -> Option<Claimed<PageWork>> {
    store
        .claim_pages(&worker(name), 1, lease)
        .await
        .unwrap()
        .pop()
}

async fn queue(store: &dyn Store, path: &str, delay: Duration) {
    let now = generation(store, path).await;
    store.queue_pages(&[work(path, now)], delay).await.unwrap();
}

pub async fn a_revalidation_is_claimed_once(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let first = revalidate(&*store, &["a"]).await;
    fixture.pass(Duration::from_millis(2)).await;
    let second = revalidate(&*store, &["b"]).await;
    let claimed = claim(&*store, "one", LONG_LEASE).await.unwrap();
    assert_eq!(
        (claimed.work.id, claimed.attempt),
        (first.id, 1),
        "the longest due comes first"
    );
    let rest = store
        .claim_revalidations(&worker("two"), 10, LONG_LEASE)
        .await
        .unwrap();
    assert_eq!(
        rest.iter()
            .map(|claimed| claimed.work.id)
            .collect::<Vec<_>>(),
        [second.id]
    );
}

pub async fn a_saved_revalidation_goes_on_where_it_stood(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let Claimed {
        mut work,
        claim: held,
        ..
    } = claim(&*store, "one", SHORT).await.unwrap();
    work.phase = Phase::Purging;
    work.progress.target = 7;
    store.save(&held, &work, SHORT).await.unwrap();
    assert_eq!(store.receipt(&work.id).await.unwrap(), Some(work.clone()));
    fixture.pass(LONGER).await;
    assert_eq!(claim(&*store, "two", SHORT).await.unwrap().work, work);
}

pub async fn a_dead_workers_revalidation_is_taken_over(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let first = claim(&*store, "dies", SHORT).await.unwrap();
    assert_eq!(claim(&*store, "early", SHORT).await, None);
    fixture.pass(LONGER).await;
    let second = claim(&*store, "takes over", LONG_LEASE).await.unwrap();
    assert_eq!((second.work.id, second.attempt), (first.work.id, 2));
}

pub async fn a_lost_claim_saves_nothing(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let lost = claim(&*store, "slow", SHORT).await.unwrap();
    fixture.pass(LONGER).await;
    let held = claim(&*store, "quick", LONG_LEASE).await.unwrap();
    let mut late = lost.work.clone();
    late.phase = Phase::Done;
    let is_lost = |result| matches!(result, Err(StoreError::ClaimLost { .. }));
    assert!(is_lost(store.save(&lost.claim, &late, LONG_LEASE).await));
    assert!(is_lost(store.leave(&lost.claim, &late, &Leave::Done).await));
    assert_eq!(
        store.receipt(&late.id).await.unwrap(),
        Some(held.work.clone())
    );
    store
        .leave(&held.claim, &held.work, &Leave::Done)
        .await
        .unwrap();
    assert!(
        is_lost(store.leave(&held.claim, &held.work, &Leave::Done).await),
        "a claim is good once"
    );
}

pub async fn a_revalidation_put_off_waits_its_time(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let held = claim(&*store, "one", LONG_LEASE).await.unwrap();
    let later = Leave::Later {
        delay: SHORT,
        failed: false,
    };
    store.leave(&held.claim, &held.work, &later).await.unwrap();
    assert_eq!(claim(&*store, "one", LONG_LEASE).await, None);
    fixture.pass(LONGER).await;
    assert!(claim(&*store, "one", LONG_LEASE).await.is_some());
}

pub async fn failed_attempts_are_counted_and_others_are_not(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let mut attempts = Vec::new();
    for failed in [true, true, false, true] {
        let held = claim(&*store, "one", LONG_LEASE).await.unwrap();
        attempts.push(held.attempt);
        let later = Leave::Later {
            delay: Duration::ZERO,
            failed,
        };
        store.leave(&held.claim, &held.work, &later).await.unwrap();
    }
    assert_eq!(attempts, [1, 2, 3, 1]);
}

pub async fn a_finished_revalidation_keeps_its_receipt(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let Claimed {
        mut work,
        claim: held,
        ..
    } = claim(&*store, "one", SHORT).await.unwrap();
    work.phase = Phase::Done;
    store.leave(&held, &work, &Leave::Done).await.unwrap();
    fixture.pass(LONGER).await;
    assert_eq!(claim(&*store, "two", SHORT).await, None);
    assert_eq!(store.receipt(&work.id).await.unwrap(), Some(work.clone()));
    assert_eq!(
        store.invalidate(work.clone()).await.unwrap(),
        work,
        "asking again does not start it again"
    );
    assert_eq!(store.depth().await.unwrap().revalidations, 0);
}

pub async fn a_dead_revalidation_can_be_replayed(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let Claimed {
        mut work,
        claim: held,
        ..
    } = claim(&*store, "one", SHORT).await.unwrap();
    (work.phase, work.error) = (Phase::Failed, Some("no CDN".to_owned()));
    store.leave(&held, &work, &Leave::Dead).await.unwrap();
    fixture.pass(LONGER).await;
    assert_eq!(claim(&*store, "two", SHORT).await, None);
    let letters = store.dead_letters(None, 10).await.unwrap().letters;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&letters[0].job, letters[0].error.as_str()),
        (&JobKey::Revalidation(work.id), "no CDN")
    );
    assert_eq!(store.depth().await.unwrap().dead, 1);
    assert_eq!(
        store
            .replay(&[JobKey::Revalidation(work.id)])
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        store
            .replay(&[JobKey::Revalidation(work.id)])
            .await
            .unwrap(),
        0
    );
    let replayed = claim(&*store, "two", SHORT).await.unwrap();
    assert_eq!((replayed.work, replayed.attempt), (work, 1));
}

pub async fn a_page_queued_twice_is_claimed_once(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let first = generation(&*store, "/1").await;
    queue(&*store, "/1", Duration::ZERO).await;
    revalidate(&*store, &["a"]).await;
    queue(&*store, "/1", Duration::ZERO).await;
    let claimed = store
        .claim_pages(&worker("one"), 10, LONG_LEASE)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    let merged = PageWork {
        oldest: first,
        ..work("/1", generation(&*store, "/1").await)
    };
    assert_eq!(claimed[0].work, merged);
}

pub async fn a_page_is_not_worked_on_before_all_that_queued_it_is_due(fixture: &impl StoreFixture) {
    let store = fixture.store();
    queue(&*store, "/1", SHORT).await;
    let early = generation(&*store, "/1").await;
    revalidate(&*store, &["a"]).await;
    let late = generation(&*store, "/1").await;
    queue(&*store, "/1", SHORT * 20).await;
    fixture.pass(LONGER).await;
    let first = claim_page(&*store, "one", LONG_LEASE).await.unwrap();
    assert_eq!(first.work, work("/1", early));
    store
        .leave_pages(&[(first.claim, LeavePage::Done)])
        .await
        .unwrap();
    assert_eq!(
        claim_page(&*store, "one", LONG_LEASE).await,
        None,
        "the second is not due yet"
    );
    fixture.pass(SHORT * 20).await;
    assert_eq!(
        claim_page(&*store, "one", LONG_LEASE).await.unwrap().work,
        work("/1", late)
    );
}

pub async fn a_page_in_flight_stays_so_when_it_is_superseded_too(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let first = generation(&*store, "/1").await;
    queue(&*store, "/1", Duration::ZERO).await;
    let position = revalidate(&*store, &["a"]).await.position.unwrap();
    let outcome = super::make::bind_one(&*store, super::make::bind("/1", &["a"], first)).await;
    assert!(!outcome.is_bound());
    assert_eq!(store.pages_outstanding(&position).await.unwrap(), 1);
    let claimed = claim_page(&*store, "one", LONG_LEASE).await.unwrap();
    assert_eq!(
        (claimed.work.reason, claimed.work.oldest),
        (PageReason::InFlight, first)
    );
    assert_eq!(claimed.work.generation, outcome.current());
}

pub async fn superseded_pages_are_not_outstanding(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let first = generation(&*store, "/1").await;
    let position = revalidate(&*store, &["a"]).await.position.unwrap();
    super::make::bind_one(&*store, super::make::bind("/1", &["a"], first)).await;
    assert_eq!(store.pages_outstanding(&position).await.unwrap(), 0);
    assert_eq!(store.depth().await.unwrap().pages, 1);
}

pub async fn a_page_queued_again_is_outstanding_for_the_older_revalidation(
    fixture: &impl StoreFixture,
) {
    let store = fixture.store();
    queue(&*store, "/1", Duration::ZERO).await;
    let older = store.position().await.unwrap();
    revalidate(&*store, &["a"]).await;
    queue(&*store, "/1", Duration::ZERO).await;
    assert_eq!(store.pages_outstanding(&older).await.unwrap(), 1);
}

pub async fn a_page_queued_while_worked_on_is_claimed_again(fixture: &impl StoreFixture) {
    let store = fixture.store();
    queue(&*store, "/1", Duration::ZERO).await;
    let first = claim_page(&*store, "one", LONG_LEASE).await.unwrap();
    revalidate(&*store, &["a"]).await;
    queue(&*store, "/1", Duration::ZERO).await;
    assert_eq!(
        claim_page(&*store, "two", LONG_LEASE).await,
        None,
        "one at a time works on a page"
    );
    store
        .leave_pages(&[(first.claim, LeavePage::Done)])
        .await
        .unwrap();
    let second = claim_page(&*store, "two", LONG_LEASE).await.unwrap();
    assert_eq!(
        (second.work.generation, second.attempt),
        (generation(&*store, "/1").await, 1)
    );
    store
        .leave_pages(&[(second.claim, LeavePage::Done)])
        .await
        .unwrap();
    assert_eq!(claim_page(&*store, "two", LONG_LEASE).await, None);
}

pub async fn a_page_queued_with_a_delay_waits(fixture: &impl StoreFixture) {
    let store = fixture.store();
    queue(&*store, "/1", SHORT).await;
    assert_eq!(claim_page(&*store, "one", LONG_LEASE).await, None);
    fixture.pass(LONGER).await;
    assert!(claim_page(&*store, "one", LONG_LEASE).await.is_some());
}

pub async fn a_dead_workers_page_is_taken_over(fixture: &impl StoreFixture) {
    let store = fixture.store();
    queue(&*store, "/1", Duration::ZERO).await;
    let lost = claim_page(&*store, "dies", SHORT).await.unwrap();
    fixture.pass(LONGER).await;
    let held = claim_page(&*store, "takes over", LONG_LEASE).await.unwrap();
    assert_eq!(held.attempt, 2);
    store
        .leave_pages(&[(lost.claim, LeavePage::Done)])
        .await
        .unwrap();
    assert_eq!(
        store.depth().await.unwrap().pages,
        1,
        "a lost claim finishes nothing"
    );
    store
        .leave_pages(&[(held.claim, LeavePage::Done)])
        .await
        .unwrap();
    assert_eq!(store.depth().await.unwrap().pages, 0);
}

pub async fn a_page_whose_claim_is_renewed_is_not_taken_over(fixture: &impl StoreFixture) {
    let store = fixture.store();
    queue(&*store, "/1", Duration::ZERO).await;
    let held = claim_page(&*store, "one", SHORT).await.unwrap();
    let claims = [held.claim.clone()];
    store.renew_pages(&claims, LONG_LEASE).await.unwrap();
    fixture.pass(LONGER).await;
    assert_eq!(claim_page(&*store, "two", LONG_LEASE).await, None);
    // A lease may be made shorter too; what is renewed once it is somebody else's stays his.
    store.renew_pages(&claims, SHORT).await.unwrap();
    fixture.pass(LONGER).await;
    let taken = claim_page(&*store, "two", SHORT).await.unwrap();
    store.renew_pages(&claims, LONG_LEASE).await.unwrap();
    fixture.pass(LONGER).await;
    let again = claim_page(&*store, "three", LONG_LEASE).await.unwrap();
    assert_eq!((taken.attempt, again.attempt), (2, 3));
}

async fn give_up(store: &dyn Store, path: &str) {
    queue(store, path, Duration::ZERO).await;
    let held = claim_page(store, "one", LONG_LEASE).await.unwrap();
    let dead = LeavePage::Dead {
        error: "no origin".to_owned(),
    };
    store.leave_pages(&[(held.claim, dead)]).await.unwrap();
    assert_eq!(claim_page(store, "one", LONG_LEASE).await, None);
}

pub async fn a_page_given_up_on_can_be_replayed(fixture: &impl StoreFixture) {
    let store = fixture.store();
    give_up(&*store, "/1").await;
    let letters = store.dead_letters(None, 10).await.unwrap().letters;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&letters[0].job, letters[0].error.as_str()),
        (&JobKey::Page(page("/1")), "no origin")
    );
    assert_eq!(
        store
            .replay(&[JobKey::Page(page("/1")), JobKey::Page(page("/2"))])
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        claim_page(&*store, "one", LONG_LEASE)
            .await
            .unwrap()
            .attempt,
        1
    );
    assert_eq!(store.dead_letters(None, 10).await.unwrap().letters, []);
}

pub async fn a_page_queued_anew_leaves_its_grave(fixture: &impl StoreFixture) {
    let store = fixture.store();
    give_up(&*store, "/1").await;
    queue(&*store, "/1", Duration::ZERO).await;
    assert!(claim_page(&*store, "one", LONG_LEASE).await.is_some());
    assert_eq!(store.depth().await.unwrap().dead, 0);
}

pub async fn outstanding_pages_are_counted_by_generation(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let before = store.position().await.unwrap();
    queue(&*store, "/0", Duration::ZERO).await;
    let first = revalidate(&*store, &["a"]).await.position.unwrap();
    for path in ["/1", "/2", "/3"] {
        queue(&*store, path, Duration::ZERO).await;
    }
    let second = revalidate(&*store, &["a"]).await.position.unwrap();
    queue(&*store, "/4", Duration::ZERO).await;
    let outstanding = async |position| store.pages_outstanding(position).await.unwrap();
    assert_eq!(
        (
            outstanding(&before).await,
            outstanding(&first).await,
            outstanding(&second).await
        ),
        (1, 4, 5)
    );
    let claimed = store
        .claim_pages(&worker("one"), 2, LONG_LEASE)
        .await
        .unwrap();
    assert_eq!(outstanding(&second).await, 5, "claimed is not finished");
    let done: Vec<_> = claimed
        .into_iter()
        .map(|held| (held.claim, LeavePage::Done))
        .collect();
    store.leave_pages(&done).await.unwrap();
    assert_eq!(outstanding(&second).await, 3);
    let held = claim_page(&*store, "one", LONG_LEASE).await.unwrap();
    store
        .leave_pages(&[(
            held.claim,
            LeavePage::Dead {
                error: String::new(),
            },
        )])
        .await
        .unwrap();
    assert_eq!(outstanding(&second).await, 3, "given up on is not purged");
}

pub async fn a_worker_that_stops_hands_its_jobs_back(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    queue(&*store, "/1", Duration::ZERO).await;
    let held = claim(&*store, "stops", LONG_LEASE).await.unwrap();
    claim_page(&*store, "stops", LONG_LEASE).await.unwrap();
    store.hand_back(&worker("other")).await.unwrap();
    assert_eq!(claim(&*store, "two", LONG_LEASE).await, None);
    store.hand_back(&worker("stops")).await.unwrap();
    assert!(
        store
            .save(&held.claim, &held.work, LONG_LEASE)
            .await
            .is_err()
    );
    assert_eq!(claim(&*store, "two", LONG_LEASE).await.unwrap().attempt, 1);
    assert_eq!(
        claim_page(&*store, "two", LONG_LEASE)
            .await
            .unwrap()
            .attempt,
        1
    );
}

pub async fn depth_counts_what_waits(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let empty = store.depth().await.unwrap();
    assert_eq!(
        (
            empty.revalidations,
            empty.pages,
            empty.dead,
            empty.oldest_due
        ),
        (0, 0, 0, None)
    );
    revalidate(&*store, &["a"]).await;
    queue(&*store, "/1", Duration::from_hours(1)).await;
    fixture.pass(LONGER).await;
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.revalidations, depth.pages, depth.dead), (1, 1, 0));
    assert!(
        depth.oldest_due.is_some_and(|waited| waited >= SHORT),
        "{depth:?}"
    );
}
