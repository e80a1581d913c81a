//! What CloudFront is busy with leaves no room for more.

use isr_core::{Completion, ConnectorError, Target, tag};
use isr_testkit::HandClock;
use isr_testkit::fakes::{Fault, TokenBucket};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{batch, connector, model, options, page, url};

fn prefixes(count: usize) -> Vec<Target> {
    (0..count)
        .map(|n| Target::Prefix(page(&format!("/p{n}"))))
        .collect()
}

fn limited(answer: Result<isr_core::PurgeReceipt, ConnectorError>) -> ConnectorError {
    let error = answer.unwrap_err();
    assert!(
        matches!(error, ConnectorError::RateLimited { .. }),
        "{error:?}"
    );
    error
}

#[tokio::test]
async fn a_sixteenth_wildcard_is_not_sent_before_others_are_complete() {
    let (model, connector) = model(|_| {}).await;
    let first = connector.purge(&batch(&prefixes(7))).await.unwrap();
    let next = batch(&[Target::Prefix(page("/q"))]);
    let error = limited(connector.purge(&next).await);
    assert_eq!(error.retry_after(), Some(Duration::from_millis(10)));
    assert!(error.to_string().contains("14 of 15 wildcards"), "{error}");
    assert_eq!(model.calls().len(), 1);
    // A single wildcard has room, and so has any path.
    let small = batch(&[Target::Prefix(page("/r/")), url("/r")]);
    connector.purge(&small).await.unwrap();

    let reference = first.reference.unwrap();
    assert!(matches!(
        connector.poll(&reference).await,
        Ok(Completion::Pending { .. })
    ));
    assert!(matches!(
        connector.poll(&reference).await,
        Ok(Completion::Complete)
    ));
    connector.purge(&next).await.unwrap();
    assert!(model.calls().iter().all(|call| call.carried_out));
}

#[tokio::test]
async fn paths_and_tags_share_three_thousand_places() {
    let (model, _) = model(|it| it.tag_header = Some("x-tags".into())).await;
    let mut options = options(&model.front().uri());
    options.tag_header = Some("x-tags".into());
    let connector = connector(options);
    let mut targets: Vec<Target> = (0..2_999).map(|n| Target::Tag(tag("t", n))).collect();
    targets.push(url("/a"));
    let reference = connector.purge(&batch(&targets)).await.unwrap().reference;
    let next = batch(&[url("/b")]);
    limited(connector.purge(&next).await);
    while connector.poll(reference.as_ref().unwrap()).await.unwrap() != Completion::Complete {}
    connector.purge(&next).await.unwrap();
    assert_eq!(model.calls().len(), 2);
}

#[tokio::test]
async fn what_others_have_started_is_told_by_cloudfront() {
    let (model, other) = model(|_| {}).await;
    let connector = connector(options(&model.front().uri()));
    other.purge(&batch(&prefixes(7))).await.unwrap();
    let error = limited(connector.purge(&batch(&[Target::Prefix(page("/q"))])).await);
    assert!(
        error.to_string().contains("TooManyInvalidationsInProgress"),
        "{error}"
    );
    assert_eq!(error.retry_after(), Some(Duration::from_millis(10)));
    assert_eq!(model.calls().len(), 2);
    // What was turned away takes no room here.
    let fifteen = batch(&[Target::Prefix(page("/r/"))]);
    connector.purge(&fifteen).await.unwrap();
}

#[tokio::test]
async fn throttling_comes_with_400_and_is_not_repeated_by_the_sdk() {
    let clock = HandClock::new();
    let bucket = TokenBucket::new(1, 1.0, Arc::new(clock.clone()));
    let (model, connector) = model(|it| it.rate = Some(bucket)).await;
    connector.purge(&batch(&[url("/a")])).await.unwrap();
    let throttled = batch(&[url("/b")]);
    let error = limited(connector.purge(&throttled).await);
    assert!(
        error.to_string().contains("Throttling: Rate exceeded"),
        "{error}"
    );
    assert_eq!(model.calls().len(), 2);
    clock.advance(Duration::from_secs(1));
    connector.purge(&throttled).await.unwrap();
}

#[tokio::test]
async fn a_batch_keeps_its_caller_reference_and_another_has_another() {
    let (model, connector) = model(|_| {}).await;
    let one = batch(&[url("/a")]);
    model.front().next(Fault::Truncated);
    connector.purge(&one).await.unwrap_err();
    let again = connector.purge(&one).await.unwrap().reference;
    let other = connector
        .purge(&batch(&[url("/a")]))
        .await
        .unwrap()
        .reference;
    assert_ne!(again, other);
    let mut references = Vec::new();
    model.change(|distribution| references = distribution.references());
    assert_eq!(references.len(), 2);
    assert_eq!(references[0], one.id().to_string());
}
