//! Revalidations that wait for their time.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::collections::BTreeSet;
use std::time::Duration;

use isr_core::{
    BindOutcome, Claimed, Leave, Phase, Receipt, ReceiptFilter, RevalidateOptions, RevalidationId,
    Store, StoreError,
};

use super::StoreFixture;
use super::make::{LONG_LEASE, bind, bind_one, generation, receipt_for, revalidate, worker};

/// Not much longer than the least that there is anything to wait for.
const WAIT: Duration = Duration::from_millis(1_200);
const LONGER: Duration = Duration::from_millis(1_300);

/// A revalidation that nobody has stored, for so long from now.
async fn planned(store: &dyn Store, texts: &[&str], wait: Duration) -> Receipt {
    let at = store.time().await.unwrap().after(wait);
    let receipt = receipt_for(texts);
    let options = RevalidateOptions {
        at: Some(at),
        ..receipt.options.clone()
    };
    Receipt { options, ..receipt }
}

async fn schedule(store: &dyn Store, texts: &[&str], wait: Duration) -> Receipt {
    let receipt = planned(store, texts, wait).await;
    store.invalidate(receipt).await.unwrap()
}

async fn claim(store: &dyn Store, limit: usize) -> Vec<Claimed<Receipt>> {
    store
        .claim_revalidations(&worker("one"), limit, LONG_LEASE)
        .await
        .unwrap()
}

pub async fn a_scheduled_revalidation_moves_nothing_before_its_time(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let (before, early) = (
        store.position().await.unwrap(),
        generation(&*store, "/1").await,
    );
    let made = schedule(&*store, &["a"], WAIT).await;
    assert_eq!((made.phase, &made.position), (Phase::Scheduled, &None));
    assert!(made.made.is_some() && made.made < made.options.at);
    assert_eq!(claim(&*store, 9).await, []);
    assert_eq!(store.receipt(&made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(
        store
            .receipts(&ReceiptFilter::default(), None, 9)
            .await
            .unwrap()
            .receipts,
        std::slice::from_ref(&made)
    );
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.scheduled, depth.revalidations), (1, 0));
    assert_eq!(store.position().await.unwrap(), before);
    assert!(
        bind_one(&*store, bind("/1", &["a"], early))
            .await
            .is_bound()
    );
    fixture.pass(LONGER).await;
    assert_eq!(
        store.news_since(&before, 9).await.unwrap().heard,
        [],
        "nobody hears of it before a worker has begun it"
    );
    let begun = claim(&*store, 9).await.remove(0).work;
    let moved = store.position().await.unwrap();
    let queued = Receipt {
        phase: Phase::Queued,
        position: Some(moved.clone()),
        ..made
    };
    assert_eq!(begun, queued);
    let each = before.numbers().iter().map(|number| number + 1);
    assert_eq!(moved.numbers(), each.collect::<Vec<_>>());
    let heard = store.news_since(&before, 9).await.unwrap().heard;
    assert!(!heard.is_empty() && heard.iter().all(|heard| heard.id == begun.id));
    let late = bind_one(&*store, bind("/1", &["a"], early)).await;
    assert!(matches!(late, BindOutcome::Superseded { .. }));
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.scheduled, depth.revalidations), (0, 1));
    assert_eq!(claim(&*store, 9).await, [], "it happens once");
}

pub async fn a_scheduled_revalidation_begins_even_where_nobody_has_a_place_for_it(
    fixture: &impl StoreFixture,
) {
    let store = fixture.store();
    let made = schedule(&*store, &["a"], WAIT).await;
    fixture.pass(LONGER).await;
    assert_eq!(claim(&*store, 0).await, []);
    let begun = store.receipt(&made.id).await.unwrap().unwrap();
    assert_eq!(
        (begun.phase, begun.position),
        (Phase::Queued, Some(store.position().await.unwrap()))
    );
}

pub async fn a_scheduled_revalidation_asked_for_twice_happens_once(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let asked = planned(&*store, &["a"], WAIT).await;
    let before = store.position().await.unwrap();
    let first = store.invalidate(asked.clone()).await.unwrap();
    assert_eq!(store.invalidate(asked.clone()).await.unwrap(), first);
    let at_once = Receipt {
        options: RevalidateOptions::default(),
        ..asked.clone()
    };
    assert_eq!(store.invalidate(at_once).await.unwrap(), first);
    assert_eq!(store.depth().await.unwrap().scheduled, 1);
    fixture.pass(LONGER).await;
    let begun = claim(&*store, 9).await;
    assert_eq!(begun.len(), 1);
    assert_eq!(store.invalidate(asked).await.unwrap(), begun[0].work);
    let each = before.numbers().iter().map(|number| number + 1);
    let now = store.position().await.unwrap();
    assert_eq!(now.numbers(), each.collect::<Vec<_>>());
}

pub async fn a_scheduled_revalidation_can_be_called_off(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let before = store.position().await.unwrap();
    let made = schedule(&*store, &["a"], WAIT).await;
    let cancelled = Receipt {
        phase: Phase::Cancelled,
        ..made.clone()
    };
    for _ in 0..2 {
        let answer = store.cancel(&made.id).await.unwrap();
        assert_eq!(answer, Some(cancelled.clone()));
    }
    assert_eq!(
        store.receipt(&made.id).await.unwrap(),
        Some(cancelled.clone())
    );
    fixture.pass(LONGER).await;
    assert_eq!(claim(&*store, 9).await, []);
    assert_eq!(store.position().await.unwrap(), before);
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.scheduled, depth.revalidations), (0, 0));
    assert_eq!(store.invalidate(made).await.unwrap(), cancelled);
}

pub async fn what_has_begun_cannot_be_called_off(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let unknown = store.cancel(&RevalidationId::new()).await.unwrap();
    assert_eq!(unknown, None);
    let made = schedule(&*store, &["a"], WAIT).await;
    let at_once = revalidate(&*store, &["a"]).await;
    let answer = store.cancel(&at_once.id).await.unwrap();
    assert_eq!(answer, Some(at_once.clone()));
    fixture.pass(LONGER).await;
    for mut claimed in claim(&*store, 9).await {
        let answer = store.cancel(&claimed.work.id).await.unwrap();
        assert_eq!(answer, Some(claimed.work.clone()));
        claimed.work.phase = Phase::Done;
        let left = store
            .leave(&claimed.claim, &claimed.work, &Leave::Done)
            .await;
        left.unwrap();
    }
    let answer = store.cancel(&made.id).await.unwrap().unwrap();
    assert_eq!(answer.phase, Phase::Done);
}

pub async fn a_time_that_has_passed_is_now(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let soon = planned(&*store, &["a"], RevalidateOptions::NEAREST / 2).await;
    let mut past = planned(&*store, &["a"], Duration::ZERO).await;
    past.options.at = past
        .options
        .at
        .map(|at| at.before(Duration::from_hours(9_000)));
    for asked in [soon, past] {
        let made = store.invalidate(asked.clone()).await.unwrap();
        assert_eq!((made.phase, &made.options), (Phase::Queued, &asked.options));
        assert_eq!(made.position, Some(store.position().await.unwrap()));
    }
    assert_eq!(claim(&*store, 9).await.len(), 2);
}

/// Whoever asks in the last second before the data change must not be heard too early: nobody asks again.
pub async fn a_time_just_ahead_is_waited_for(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let made = schedule(&*store, &["a"], Duration::from_millis(900)).await;
    assert_eq!((made.phase, &made.position), (Phase::Scheduled, &None));
    fixture.pass(LONGER).await;
    let begun = claim(&*store, 9).await;
    assert_eq!((begun.len(), begun[0].work.id), (1, made.id));
}

pub async fn a_time_too_far_ahead_is_refused(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let hour = Duration::from_hours(1);
    let far = planned(&*store, &["a"], RevalidateOptions::FARTHEST + hour).await;
    let refused = store.invalidate(far.clone()).await.unwrap_err();
    let StoreError::TooFarAhead { at, last } = refused else {
        panic!("{refused}");
    };
    assert!(far.options.at == Some(at) && last < at);
    assert_eq!(store.receipt(&far.id).await.unwrap(), None);
    let near = planned(&*store, &["a"], Duration::from_hours(365 * 24)).await;
    assert_eq!(
        store.invalidate(near).await.unwrap().phase,
        Phase::Scheduled
    );
}

pub async fn many_are_begun_once_each_whoever_asks(fixture: &impl StoreFixture) {
    const MANY: u64 = 20;
    let store = fixture.store();
    let before = store.position().await.unwrap();
    let mut ids = BTreeSet::new();
    for _ in 0..MANY {
        ids.insert(schedule(&*store, &["a"], WAIT).await.id);
    }
    fixture.pass(LONGER * 2).await;
    let mut begun = BTreeSet::new();
    while begun.len() < ids.len() {
        let (one, two) = tokio::join!(claim(&*store, 3), claim(&*store, 9));
        assert!(!one.is_empty() || !two.is_empty(), "some are not begun");
        for claimed in one.into_iter().chain(two) {
            assert!(begun.insert(claimed.work.id), "one was claimed twice");
        }
    }
    assert_eq!(begun, ids);
    let each = before.numbers().iter().map(|number| number + MANY);
    let now = store.position().await.unwrap();
    assert_eq!(now.numbers(), each.collect::<Vec<_>>());
}
