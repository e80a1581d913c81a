//! Cases about calls that end badly.

use std::time::Duration;

use isr_core::{CdnConnector, ConnectorError, Mode, PurgeBatch};

use super::make::{batch, one_of_each};
use super::{Call, ConnectorFixture};
use crate::fakes::Fault;

/// What may be over when the call is made again.
const PASSING: [Fault; 7] = [
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Throttled { seconds: 7 },
    Fault::Reset,
    Fault::Garbage,
];

/// What stays as it is until somebody does something about it.
const FINAL: [Fault; 4] = [
    Fault::Status(400),
    Fault::Status(401),
    Fault::Status(403),
    Fault::Status(404),
];

/// How long is waited for a call to reach the service, and the pause in between: ten seconds in all.
const LOOKS: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(10);

/// What a call that hangs may take before its connector has given it up: only one without a timeout
/// takes longer.
const LONGEST_CALL: Duration = Duration::from_mins(1);

/// How often it is tried to catch a call before its own timeout ends it.
const TRIES: usize = 5;

/// One call is made, it fails so that it may be made again, and then it is carried out.
pub async fn a_failure_that_may_pass_is_told_and_not_repeated(fixture: &dyn ConnectorFixture) {
    for target in one_of_each(fixture) {
        let batch = batch(&[target], Mode::Hard);
        for fault in PASSING {
            fails_and_passes(fixture, &batch, fault).await;
        }
    }
    let any = batch(&one_of_each(fixture)[..1], Mode::Hard);
    fails_and_passes(fixture, &any, Fault::Hang).await;
}

/// The service did it and could not say so: the call has failed, and is made again.
pub async fn a_call_lost_on_its_way_back_can_be_sent_again(fixture: &dyn ConnectorFixture) {
    for target in one_of_each(fixture) {
        fails_and_passes(fixture, &batch(&[target], Mode::Hard), Fault::Truncated).await;
    }
}

/// An answer that comes slowly is an answer all the same.
pub async fn a_slow_answer_is_waited_for(fixture: &dyn ConnectorFixture) {
    for target in one_of_each(fixture) {
        let before = fixture.calls().await.len();
        fixture.next(Fault::Slow).await;
        let batch = batch(&[target], Mode::Hard);
        let receipt = fixture.connector().purge(&batch).await;
        assert_eq!(receipt.expect("it was only slow").accepted, 1);
        let seen = &fixture.calls().await[before..];
        assert!(seen.iter().all(|call| call.carried_out), "{seen:?}");
    }
}

async fn fails_and_passes(fixture: &dyn ConnectorFixture, batch: &PurgeBatch, fault: Fault) {
    if !fixture.is_failure(fault) {
        return;
    }
    let target = &batch.targets()[0];
    let (error, failed) = fail(fixture, batch, fault).await;
    assert!(error.is_retryable(), "{fault:?} for {target}: {error:?}");
    assert_eq!(failed.len(), 1, "{fault:?} for {target}");

    let before = fixture.calls().await.len();
    let receipt = fixture.connector().purge(batch).await;
    assert_eq!(receipt.expect("it has passed").accepted, 1);
    let repeated = &fixture.calls().await[before..];
    assert!(repeated.iter().all(|call| call.carried_out), "{repeated:?}");
    assert!(repeated.iter().any(|call| call.items == failed[0].items));
}

/// What was said about when to call again is handed on.
pub async fn a_throttled_call_names_the_delay(fixture: &dyn ConnectorFixture) {
    let fault = Fault::Throttled { seconds: 7 };
    if !fixture.is_failure(fault) {
        return;
    }
    for target in one_of_each(fixture) {
        let batch = batch(&[target], Mode::Hard);
        let (error, _) = fail(fixture, &batch, fault).await;
        let limited = matches!(error, ConnectorError::RateLimited { .. });
        assert!(limited, "{error:?}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
}

/// One call is made, and making it again would be of no use.
pub async fn a_refused_call_is_final(fixture: &dyn ConnectorFixture) {
    for target in one_of_each(fixture) {
        let batch = batch(&[target], Mode::Hard);
        for fault in FINAL.into_iter().filter(|&fault| fixture.is_failure(fault)) {
            let (error, failed) = fail(fixture, &batch, fault).await;
            let refused = matches!(error, ConnectorError::Refused { .. });
            assert!(refused, "{fault:?}: {error:?}");
            assert_eq!(failed.len(), 1, "{fault:?}");
        }
    }
}

/// Makes a call fail: its error, and what reached the service.
async fn fail(
    fixture: &dyn ConnectorFixture,
    batch: &PurgeBatch,
    fault: Fault,
) -> (ConnectorError, Vec<Call>) {
    let before = fixture.calls().await.len();
    fixture.next(fault).await;
    let connector = fixture.connector();
    let answer = tokio::time::timeout(LONGEST_CALL, connector.purge(batch)).await;
    let answer = answer.expect("a call ends, however the service behaves");
    let Err(error) = answer else {
        panic!("{fault:?} is a failure: {answer:?}");
    };
    (error, fixture.calls().await.split_off(before))
}

/// Nothing of a call that nobody waits for any more is left behind.
pub async fn a_cancelled_call_leaves_the_connector_as_it_was(fixture: &dyn ConnectorFixture) {
    if !fixture.is_failure(Fault::Hang) {
        return;
    }
    let connector = fixture.connector();
    let batch = batch(&one_of_each(fixture)[..1], Mode::Hard);
    let mut cancelled = false;
    for _ in 0..TRIES {
        let before = fixture.calls().await.len();
        fixture.next(Fault::Hang).await;
        cancelled = tokio::select! {
            // The connector's own timeout was quicker, so this was no cancellation: once more.
            _ = connector.purge(&batch) => false,
            () = arrived(fixture, before) => true,
        };
        if cancelled {
            break;
        }
    }
    assert!(
        cancelled,
        "a hung call is still under way when the service has it"
    );
    succeeds(&*connector, &batch).await;
    let calls = fixture.calls().await;
    assert!(
        calls.last().is_some_and(|call| call.carried_out),
        "{calls:?}"
    );
}

async fn succeeds(connector: &dyn CdnConnector, batch: &PurgeBatch) {
    let receipt = connector.purge(batch).await.expect("the next call works");
    assert_eq!(receipt.accepted, 1);
}

async fn arrived(fixture: &dyn ConnectorFixture, before: usize) {
    for _ in 0..LOOKS {
        if fixture.calls().await.len() > before {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no call reached the service");
}
