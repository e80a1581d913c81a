//! Cases about revalidations that a real worker carries out by the connector.

use std::collections::BTreeSet;
use std::time::Duration;

use isr_core::{JobKey, Phase, Receipt, TagSet, Target, TierState, calls};

use super::batches::{many, targets_a_call};
use super::log::Log;
use super::make::{items, one_of_each, page, tag, wire};
use super::watching::TELLING;
use super::worker::World;
use super::{Call, ConnectorFixture};
use crate::fakes::Fault;

/// Pages that are purged where no limit of a call is known.
const MANY: usize = 200;

/// Pages are put into as few calls as they fit into, and each into one, whichever tags name it.
pub async fn pages_of_two_tags_are_each_in_one_of_the_fewest_calls(fixture: &dyn ConnectorFixture) {
    let world = World::without_tags(fixture);
    let can = world.capabilities();
    let Some(ability) = &can.url else {
        return;
    };
    let count = targets_a_call(ability).map_or(MANY, |limit| limit + 1);
    let tags = ["posts", "recent"].map(|text| text.parse().expect("it is a tag"));
    let tags = TagSet::try_from_iter(tags).expect("two tags fit");
    let pages: Vec<_> = (0..count)
        .map(|n| page(fixture, &format!("/p/{n:05}")))
        .collect();
    for page in &pages {
        world.bind(page.clone(), tags.clone()).await;
    }
    let receipt = world.revalidate(&[tag("posts"), tag("recent")]).await;

    let targets: Vec<Target> = pages.into_iter().map(Target::Url).collect();
    let fewest = calls(targets.clone(), can);
    is_settled(&receipt, fewest.len(), count);
    let seen = fixture.calls().await;
    assert!(seen.iter().all(|call| call.carried_out));
    assert_eq!(items(&seen), wire(fixture, &targets));
    let requests: usize = fewest.iter().map(|call| fixture.requests_for(call)).sum();
    assert_eq!(seen.len(), requests);
}

/// What the service failed to do once is done at the next attempt, which is counted.
pub async fn what_failed_once_is_settled_by_one_call_more(fixture: &dyn ConnectorFixture) {
    let fault = Fault::Status(500);
    if !fixture.is_failure(fault) {
        return;
    }
    let world = World::of(fixture);
    let targets = three(fixture);
    fixture.next(fault).await;
    let receipt = world.revalidate(&targets).await;
    let calls = calls(targets.clone(), world.capabilities()).len();
    is_settled(&receipt, calls + 1, targets.len());
    assert_eq!(world.calls().len(), calls + 1);
    let seen = fixture.calls().await;
    assert!(seen.iter().any(|call| !call.carried_out), "{seen:?}");
    are_carried_out(fixture, &seen, &targets);
}

/// What the service refuses for good is not asked of it again until somebody says so, and is lost by nobody.
pub async fn what_is_refused_is_a_dead_letter_that_can_be_replayed(fixture: &dyn ConnectorFixture) {
    let fault = Fault::Status(403);
    if !fixture.is_failure(fault) {
        return;
    }
    let world = World::of(fixture);
    let targets = three(fixture);
    fixture.next(fault).await;
    let receipt = world.revalidate(&targets).await;
    assert_eq!((receipt.phase, receipt.settled), (Phase::Failed, false));
    let tier = &receipt.tiers[0];
    assert_eq!(tier.state, TierState::Failed, "{tier:?}");
    assert!(tier.error.is_some() && !tier.away, "{tier:?}");
    let calls = calls(targets.clone(), world.capabilities()).len();
    assert_eq!(world.calls().len(), calls, "none was made twice");

    let letters = world
        .store
        .dead_letters(None, 10)
        .await
        .expect("it is there")
        .letters;
    let job = JobKey::Revalidation(receipt.id);
    let jobs: Vec<&JobKey> = letters.iter().map(|letter| &letter.job).collect();
    assert_eq!(jobs, [&job]);
    let replayed = world.store.replay(&[job]).await;
    assert_eq!(replayed.expect("it is there"), 1);
    let receipt = world.until(&receipt, |now| now.phase == Phase::Done).await;
    assert!(receipt.settled);
    let tier = &receipt.tiers[0];
    assert_eq!((tier.state, &tier.error), (TierState::Settled, &None));
    are_carried_out(fixture, &fixture.calls().await, &targets);
    let letters = world
        .store
        .dead_letters(None, 10)
        .await
        .expect("it is there")
        .letters;
    assert_eq!(letters, []);
}

/// A service that asks for a pause has it, also where that is longer than a call may wait.
pub async fn a_pause_that_is_asked_for_is_kept(fixture: &dyn ConnectorFixture) {
    for seconds in [7, 100] {
        let fault = Fault::Throttled { seconds };
        if !fixture.is_failure(fault) {
            return;
        }
        let world = World::of(fixture);
        let target = &one_of_each(fixture)[..1];
        fixture.next(fault).await;
        let receipt = world.revalidate(target).await;
        is_settled(&receipt, 2, 1);
        let calls = world.calls();
        let [throttled, again] = calls.as_slice() else {
            panic!("there are two calls: {calls:?}");
        };
        let pause = again.made.saturating_sub(throttled.answered);
        assert!(pause >= Duration::from_secs(seconds), "{calls:?}");
    }
}

/// What went wrong is told in receipts, dead letters and the log, which many may read, without any
/// credential.
pub async fn no_secret_is_in_a_receipt_or_the_log(fixture: &dyn ConnectorFixture) {
    let log = Log::default();
    let _keeping = log.keep();
    tracing::trace!("this is kept");
    let world = World::impatient(fixture);
    let mut told = Vec::new();
    for target in one_of_each(fixture) {
        for fault in TELLING.into_iter().filter(|&it| fixture.is_failure(it)) {
            fixture.next(fault).await;
            let receipt = world.revalidate(std::slice::from_ref(&target)).await;
            // That a service is busy is waited for, and then there is nothing to tell.
            let is_told = receipt.tiers[0].error.is_some();
            let is_busy = matches!(fault, Fault::Throttled { .. });
            assert_ne!(is_told, is_busy, "{fault:?}: {receipt:?}");
            told.push(serde_json::to_string(&receipt).unwrap());
        }
    }
    let letters = world.store.dead_letters(None, 1_000).await;
    let letters = letters.expect("it is there").letters.into_iter();
    told.extend(letters.map(|letter| serde_json::to_string(&letter).unwrap()));
    told.push(log.text());
    assert!(log.text().contains("this is kept"));
    for secret in fixture.secrets() {
        let telling = told.iter().find(|text| text.contains(&secret));
        assert_eq!(telling, None);
    }
}

/// Three targets that can stand beside each other.
fn three(fixture: &dyn ConnectorFixture) -> Vec<Target> {
    let kinds = one_of_each(fixture);
    let some = kinds.iter().find_map(|like| many(fixture, like, 3));
    some.expect("there are three of some kind")
}

fn is_settled(receipt: &Receipt, calls: usize, accepted: usize) {
    assert_eq!((receipt.phase, receipt.settled), (Phase::Done, true));
    let tier = &receipt.tiers[0];
    assert_eq!((tier.state, &tier.error), (TierState::Settled, &None));
    assert_eq!((tier.calls, tier.rejected), (calls as u64, 0), "{tier:?}");
    assert_eq!(tier.accepted, accepted as u64, "{tier:?}");
}

/// No target is missing in what the service has done.
fn are_carried_out(fixture: &dyn ConnectorFixture, seen: &[Call], targets: &[Target]) {
    let done = seen.iter().filter(|call| call.carried_out);
    let done: BTreeSet<&String> = done.flat_map(|call| &call.items).collect();
    for item in wire(fixture, targets) {
        assert!(done.contains(&item), "{item} is not among {done:?}");
    }
}
