//! Rate limits that are kept together.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::time::Duration;

use isr_core::{RateLimit, RateUnit, Store, Taken};

use super::StoreFixture;

const MINUTE: Duration = Duration::from_mins(1);

/// A bucket of three tokens, one of which comes back each minute.
fn limit(bucket: &str) -> RateLimit {
    RateLimit {
        bucket: bucket.to_owned(),
        unit: RateUnit::Calls,
        burst: 3.try_into().unwrap(),
        refill: 1.try_into().unwrap(),
        period: MINUTE,
        per_account: true,
    }
}

async fn take(store: &dyn Store, bucket: &str, patience: Duration) -> Taken {
    store.take(&limit(bucket), 1, patience).await.unwrap()
}

/// Whether a wait is some minutes, less what has passed in the course of the test.
fn is_minutes(wait: Duration, minutes: u32) -> bool {
    (0.5..=1.0).contains(&(wait.as_secs_f64() / 60.0 - f64::from(minutes - 1)))
}

pub async fn tokens_are_taken_in_turn_and_come_back(fixture: &impl StoreFixture) {
    let store = fixture.store();
    for _ in 0..3 {
        let taken = take(&*store, "in-turn", Duration::ZERO).await;
        assert_eq!(taken, Taken::After(Duration::ZERO));
    }
    for minutes in 1..=2 {
        match take(&*store, "in-turn", 9 * MINUTE).await {
            Taken::After(wait) => assert!(is_minutes(wait, minutes), "{wait:?}"),
            Taken::TooLong(wait) => panic!("it would have been patient for {wait:?}"),
        }
    }
}

pub async fn who_is_not_patient_takes_no_token(fixture: &impl StoreFixture) {
    let store = fixture.store();
    for _ in 0..3 {
        take(&*store, "impatient", Duration::ZERO).await;
    }
    for _ in 0..2 {
        match take(&*store, "impatient", Duration::from_secs(1)).await {
            Taken::TooLong(wait) => assert!(is_minutes(wait, 1), "{wait:?}"),
            Taken::After(wait) => panic!("it was to wait for {wait:?}"),
        }
    }
}

pub async fn a_pause_holds_everybody_back_from_its_bucket_alone(fixture: &impl StoreFixture) {
    let store = fixture.store();
    store.pause(&limit("paused"), 5 * MINUTE).await.unwrap();
    store.pause(&limit("paused"), MINUTE).await.unwrap();
    match take(&*store, "paused", 9 * MINUTE).await {
        Taken::After(wait) => assert!(is_minutes(wait, 5), "{wait:?}"),
        Taken::TooLong(wait) => panic!("it would have been patient for {wait:?}"),
    }
    let other = take(&*store, "other", Duration::ZERO).await;
    assert_eq!(other, Taken::After(Duration::ZERO));
}

pub async fn tokens_taken_at_once_are_no_more_than_there_are(fixture: &impl StoreFixture) {
    let stores: Vec<_> = (0..8).map(|_| fixture.store()).collect();
    let mut takers = tokio::task::JoinSet::new();
    for store in stores {
        takers.spawn(async move { take(&*store, "at-once", Duration::ZERO).await });
    }
    let taken = takers.join_all().await;
    let at_once = taken
        .iter()
        .filter(|taken| **taken == Taken::After(Duration::ZERO));
    assert_eq!(at_once.count(), 3);
}

pub async fn whoever_watches_sees_how_many_tokens_are_left(fixture: &impl StoreFixture) {
    let store = fixture.store();
    for left in [3, 2, 1, 0] {
        assert_eq!(store.left(&limit("watched")).await.unwrap(), left);
        assert_eq!(
            store.left(&limit("watched")).await.unwrap(),
            left,
            "watched"
        );
        take(&*store, "watched", 9 * MINUTE).await;
    }
    assert_eq!(store.left(&limit("watched")).await.unwrap(), 0, "in debt");
    assert_eq!(store.left(&limit("unwatched")).await.unwrap(), 3);
}
