//! Cases about calls with several targets.

use std::collections::BTreeSet;

use isr_core::{Ability, Mode, PurgeBatch, Target, Targets, calls};

use super::ConnectorFixture;
use super::make::{batch, capabilities, items, one_of_each, page, purge, tag, url, wire};

/// The longest batch that is tried where no limit is known.
const MANY: usize = 1_000;

/// An empty call, which means everything at some services, cannot be made.
pub async fn nothing_to_purge_is_no_call(fixture: &dyn ConnectorFixture) {
    let position = batch(&[tag("any")], Mode::Hard).position;
    assert_eq!(PurgeBatch::new(vec![], Mode::Hard, position), None);
    assert!(calls([], &capabilities(fixture)).is_empty());
    assert_eq!(fixture.calls().await, []);
}

/// A batch at the limit goes in one call, and the service takes it.
pub async fn a_full_batch_is_one_call_and_one_target_more_makes_two(
    fixture: &dyn ConnectorFixture,
) {
    for target in one_of_each(fixture) {
        let can = capabilities(fixture);
        let Some(ability) = can
            .ability(&target)
            .filter(|_| many(fixture, &target, 1).is_some())
        else {
            continue;
        };
        let limit = targets_a_call(ability);
        fills(fixture, &target, limit.unwrap_or(MANY), 1).await;
        if let Some(limit) = limit {
            fills(fixture, &target, limit + 1, 2).await;
        }
    }
}

async fn fills(fixture: &dyn ConnectorFixture, like: &Target, count: usize, expected: usize) {
    let can = capabilities(fixture);
    let targets = many(fixture, like, count).expect("there are many of the kind");
    let planned = calls(targets.clone(), &can);
    // A limit of bytes may be reached first; then that is what is tried here.
    if can.bytes_per_call.is_none() {
        assert_eq!(planned.len(), expected, "{count} of {}", like.kind());
    }
    let before = fixture.calls().await.len();
    for call in &planned {
        let receipt = purge(fixture, call).await.expect("the service takes it");
        assert_eq!(receipt.accepted, call.len() as u64);
    }
    let seen = &fixture.calls().await[before..];
    let requests: usize = planned.iter().map(|call| fixture.requests_for(call)).sum();
    assert_eq!(seen.len(), requests);
    assert!(seen.iter().all(|call| call.carried_out));
    assert_eq!(items(seen), wire(fixture, &targets));
}

pub(super) fn targets_a_call(ability: &Ability) -> Option<usize> {
    let items = ability.items_per_call?.get();
    Some((items / ability.items_per_target.get() as usize).max(1))
}

/// Different targets of the kind that `like` is of; `None` for a kind that has one alone.
pub(super) fn many(
    fixture: &dyn ConnectorFixture,
    like: &Target,
    count: usize,
) -> Option<Vec<Target>> {
    let numbers = 0..count;
    match like {
        Target::Url(_) => Some(numbers.map(|n| url(fixture, &format!("/p/{n}"))).collect()),
        Target::Tag(_) => Some(numbers.map(|n| tag(&format!("t:{n}"))).collect()),
        Target::Prefix(_) => Some(
            numbers
                .map(|n| Target::Prefix(page(fixture, &format!("/p/{n}"))))
                .collect(),
        ),
        _ => None,
    }
}

/// One call for several kinds, and only there.
pub async fn kinds_share_a_call_where_the_service_mixes_them(fixture: &dyn ConnectorFixture) {
    let can = capabilities(fixture);
    let mut targets = one_of_each(fixture);
    targets.retain(|target| *target != Target::Everything);
    if targets.is_empty() {
        return;
    }
    let planned = calls(targets.clone(), &can);
    let expected = if can.mixed_calls { 1 } else { targets.len() };
    assert_eq!(planned.len(), expected);
    for call in &planned {
        let receipt = purge(fixture, call).await.expect("the service takes it");
        assert_eq!(receipt.accepted, call.len() as u64);
    }
    let seen = fixture.calls().await;
    assert!(seen.iter().all(|call| call.carried_out), "{seen:?}");
    assert_eq!(items(&seen), wire(fixture, &targets));
}

/// The targets of a revalidation are a set, and none is sent twice by dividing it into calls.
pub async fn what_is_named_twice_is_sent_once(fixture: &dyn ConnectorFixture) {
    let can = capabilities(fixture);
    for target in one_of_each(fixture) {
        let Some(few) = many(fixture, &target, 3) else {
            continue;
        };
        let before = fixture.calls().await.len();
        let twice = few.iter().chain(&few).cloned();
        let targets = Targets::new(twice).expect("they can be purged together");
        for call in calls(targets.iter().cloned(), &can) {
            purge(fixture, &call).await.expect("it is purged");
        }
        let sent = items(&fixture.calls().await[before..]);
        let distinct: BTreeSet<&String> = sent.iter().collect();
        assert_eq!(distinct.len(), sent.len(), "{sent:?}");
        assert_eq!(sent, wire(fixture, &few));
    }
}

/// Nothing at the service keeps a batch from being purged twice.
pub async fn a_batch_sent_again_is_carried_out_again(fixture: &dyn ConnectorFixture) {
    for target in one_of_each(fixture) {
        let targets = [target];
        let batch = batch(&targets, Mode::Hard);
        let before = fixture.calls().await.len();
        for _ in 0..2 {
            let receipt = fixture
                .connector()
                .purge(&batch)
                .await
                .expect("it is purged");
            assert_eq!(receipt.accepted, 1);
        }
        let seen = &fixture.calls().await[before..];
        let (first, second) = seen.split_at(seen.len() / 2);
        assert_eq!(first, second);
        assert!(seen.iter().all(|call| call.carried_out), "{seen:?}");
    }
}

/// What cannot be purged does not take with it what stands beside it in the call.
pub async fn a_refused_target_is_named_and_the_others_are_purged(fixture: &dyn ConnectorFixture) {
    let Some(refused) = fixture.refused_alone() else {
        return;
    };
    let good = many(fixture, &refused, 2).expect("others can stand beside it");
    let targets = [good[0].clone(), refused.clone(), good[1].clone()];
    let receipt = purge(fixture, &targets).await.expect("the call is taken");
    assert_eq!(receipt.accepted, 2);
    let [(target, reason)] = receipt.rejected.as_slice() else {
        panic!("one target is refused: {receipt:?}");
    };
    assert_eq!(*target, refused);
    assert!(!reason.is_empty());
    let calls = fixture.calls().await;
    let done: Vec<_> = calls.into_iter().filter(|call| call.carried_out).collect();
    for item in wire(fixture, &good) {
        assert!(
            items(&done).contains(&item),
            "{item} is missing in {done:?}"
        );
    }
}
