//! Revalidations that wait until somebody releases them.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::collections::BTreeSet;
use std::time::Duration;

use isr_core::{
    BindOutcome, Claimed, Held, JobKey, Leave, Phase, Receipt, ReceiptFilter, RevalidationId,
    Store, StoreError,
};

use super::StoreFixture;
use super::make::{LONG_LEASE, bind, bind_one, generation, revalidate, worker};

/// Delays and leases that end during a test.
const DELAY: Duration = Duration::from_millis(50);
const LEASE: Duration = Duration::from_millis(400);

async fn claim(store: &dyn Store, limit: usize) -> Vec<Claimed<Receipt>> {
    store
        .claim_revalidations(&worker("one"), limit, LONG_LEASE)
        .await
        .unwrap()
}

/// What a worker says of one that it leaves to be held.
fn held(receipt: &Receipt) -> Receipt {
    let held = Held {
        above: 7,
        released: false,
    };
    Receipt {
        phase: Phase::Held,
        held: Some(held),
        ..receipt.clone()
    }
}

/// Has the one revalidation held that is due, by a worker whose lease ends soon.
async fn hold(store: &dyn Store) -> Receipt {
    let claimed = store.claim_revalidations(&worker("two"), 1, LEASE).await;
    let claimed = claimed.unwrap().remove(0);
    let receipt = held(&claimed.work);
    let left = store.leave(&claimed.claim, &receipt, &Leave::Held).await;
    left.unwrap();
    receipt
}

pub async fn a_held_revalidation_is_nobodys_until_it_is_released(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let early = generation(&*store, "/1").await;
    let made = revalidate(&*store, &["a"]).await;
    let moved = store.position().await.unwrap();
    let held = hold(&*store).await;
    fixture.pass(LEASE * 2).await;
    assert_eq!(claim(&*store, 9).await, []);
    assert_eq!(store.receipt(&made.id).await.unwrap(), Some(held.clone()));
    let wanted = ReceiptFilter {
        phases: vec![Phase::Held],
        ..ReceiptFilter::default()
    };
    let listed = store.receipts(&wanted, None, 9).await.unwrap().receipts;
    assert_eq!(listed, [held]);
    let depth = store.depth().await.unwrap();
    assert_eq!(
        (depth.held, depth.revalidations, depth.oldest_due),
        (1, 0, None)
    );
    assert_eq!(store.position().await.unwrap(), moved);
    let late = bind_one(&*store, bind("/1", &["a"], early)).await;
    assert!(
        matches!(late, BindOutcome::Superseded { .. }),
        "its generations have moved all the same"
    );
}

pub async fn a_released_revalidation_is_claimed_with_a_clean_slate(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let made = revalidate(&*store, &["a"]).await;
    let first = claim(&*store, 1).await.remove(0);
    let failed = Leave::Later {
        delay: DELAY,
        failed: true,
    };
    let left = store.leave(&first.claim, &first.work, &failed).await;
    left.unwrap();
    fixture.pass(DELAY * 2).await;
    let held = hold(&*store).await;
    let expected = held.released();
    assert_eq!(
        (expected.phase, expected.held.map(|held| held.released)),
        (Phase::Queued, Some(true))
    );
    for _ in 0..2 {
        let answer = store.release(&made.id).await.unwrap();
        assert_eq!(
            answer,
            Some(expected.clone()),
            "a second time changes nothing"
        );
    }
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.held, depth.revalidations), (0, 1));
    let claimed = claim(&*store, 9).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((&claimed[0].work, claimed[0].attempt), (&expected, 1));
}

pub async fn a_held_revalidation_can_be_called_off(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let made = revalidate(&*store, &["a"]).await;
    let moved = store.position().await.unwrap();
    let cancelled = Receipt {
        phase: Phase::Cancelled,
        ..hold(&*store).await
    };
    for _ in 0..2 {
        let answer = store.cancel(&made.id).await.unwrap();
        assert_eq!(answer, Some(cancelled.clone()));
    }
    let answer = store.release(&made.id).await.unwrap();
    assert_eq!(answer, Some(cancelled.clone()), "it stays called off");
    assert_eq!(claim(&*store, 9).await, []);
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.held, depth.revalidations), (0, 0));
    assert_eq!(store.position().await.unwrap(), moved);
    assert_eq!(store.invalidate(made).await.unwrap(), cancelled);
}

pub async fn what_is_not_held_cannot_be_released(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let unknown = store.release(&RevalidationId::new()).await.unwrap();
    assert_eq!(unknown, None);
    let made = revalidate(&*store, &["a"]).await;
    assert_eq!(store.release(&made.id).await.unwrap(), Some(made));
    let mut claimed = claim(&*store, 1).await.remove(0);
    claimed.work.phase = Phase::Failed;
    let left = store.leave(&claimed.claim, &claimed.work, &Leave::Dead);
    left.await.unwrap();
    let id = claimed.work.id;
    assert_eq!(store.release(&id).await.unwrap(), Some(claimed.work));
    assert_eq!(claim(&*store, 9).await, [], "nor what was given up on");
    let replayed = store.replay(&[JobKey::Revalidation(id)]).await.unwrap();
    assert_eq!(replayed, 1);
}

pub async fn a_lost_claim_holds_nothing(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let lost = store
        .claim_revalidations(&worker("two"), 1, DELAY)
        .await
        .unwrap()
        .remove(0);
    fixture.pass(DELAY * 2).await;
    let taken_over = claim(&*store, 1).await.remove(0);
    let too_late = held(&lost.work);
    let left = store.leave(&lost.claim, &too_late, &Leave::Held).await;
    assert!(matches!(left.unwrap_err(), StoreError::ClaimLost { .. }));
    assert_eq!(store.depth().await.unwrap().held, 0);
    let left = store.leave(&taken_over.claim, &taken_over.work, &Leave::Done);
    left.await.unwrap();
}

pub async fn those_released_at_once_are_claimed_once_each(fixture: &impl StoreFixture) {
    const MANY: usize = 10;
    let store = fixture.store();
    let mut ids = BTreeSet::new();
    for _ in 0..MANY {
        ids.insert(revalidate(&*store, &["a"]).await.id);
        hold(&*store).await;
    }
    for id in &ids {
        let (one, two) = tokio::join!(store.release(id), store.release(id));
        assert!(one.unwrap().is_some() && two.unwrap().is_some());
    }
    let claimed: Vec<RevalidationId> = claim(&*store, 2 * MANY)
        .await
        .iter()
        .map(|claimed| claimed.work.id)
        .collect();
    assert_eq!(claimed.len(), MANY, "each once");
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), ids);
}
