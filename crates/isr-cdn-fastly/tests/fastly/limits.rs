//! What Fastly does not take, and how it says so.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{ConnectorError, Mode, Target, tag};
use isr_testkit::HandClock;
use isr_testkit::fakes::TokenBucket;

use crate::support::{batch, model, url};

fn keys(count: usize) -> Vec<Target> {
    (0..count).map(|n| Target::Tag(tag("t", n))).collect()
}

fn delay(answer: Result<isr_core::PurgeReceipt, ConnectorError>) -> Duration {
    let error = answer.unwrap_err();
    assert!(
        matches!(error, ConnectorError::RateLimited { .. }),
        "{error:?}"
    );
    error.retry_after().unwrap()
}

#[tokio::test]
async fn the_reset_that_is_named_is_the_delay() {
    let clock = HandClock::new();
    let bucket = TokenBucket::new(256, 1.0, Arc::new(clock.clone()));
    let (_model, connector) = model(|it| it.purges = Some(bucket)).await;
    connector
        .purge(&batch(&keys(256), Mode::Soft))
        .await
        .unwrap();
    let next = batch(&keys(60), Mode::Soft);
    let wait = delay(connector.purge(&next).await);
    // The reset is a whole second; the clock that it is compared with runs on.
    assert!(
        (Duration::from_secs(30)..=Duration::from_secs(61)).contains(&wait),
        "{wait:?}"
    );
    clock.advance(Duration::from_secs(61));
    connector.purge(&next).await.unwrap();
}

#[tokio::test]
async fn keys_and_everything_have_limits_of_their_own() {
    let clock = Arc::new(HandClock::new());
    let bucket = TokenBucket::new(1, 1.0, clock);
    let (_model, connector) = model(|it| it.writes = Some(bucket)).await;
    let everything = batch(&[Target::Everything], Mode::Hard);
    connector.purge(&everything).await.unwrap();
    delay(connector.purge(&everything).await);
    connector.purge(&batch(&keys(1), Mode::Hard)).await.unwrap();
    connector
        .purge(&batch(&[url("/")], Mode::Hard))
        .await
        .unwrap();
}

#[tokio::test]
async fn more_keys_than_a_call_takes_are_refused_by_fastly() {
    let (_model, connector) = model(|_| {}).await;
    let error = connector
        .purge(&batch(&keys(257), Mode::Hard))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn everything_needs_its_own_scope_and_says_so() {
    let (_model, connector) = model(|it| it.scope = "purge_select".into()).await;
    connector.purge(&batch(&keys(1), Mode::Hard)).await.unwrap();
    let everything = batch(&[Target::Everything], Mode::Hard);
    let error = connector.purge(&everything).await.unwrap_err();
    assert!(
        error.to_string().contains("purge_all to purge everything"),
        "{error}"
    );
}
