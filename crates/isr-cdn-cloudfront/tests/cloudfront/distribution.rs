//! A look at the distribution, and what is said when it is not as it should be.

use std::sync::Arc;

use isr_core::{CdnConnector, ConnectorError, Reference, Target};
use isr_testkit::fakes::Distribution;

use crate::support::{batch, connector, model, options, page, url};

/// The bad findings of a look at a distribution that has been changed, with these tags configured.
async fn bad(tag_header: Option<&str>, change: impl FnOnce(&mut Distribution)) -> Vec<String> {
    let (model, _) = model(change).await;
    let mut options = options(&model.front().uri());
    options.tag_header = tag_header.map(str::to_owned);
    bad_of(&connector(options)).await
}

async fn bad_of(connector: &Arc<dyn CdnConnector>) -> Vec<String> {
    let findings = connector.check().await.unwrap();
    let bad = findings.into_iter().filter(|finding| !finding.good);
    bad.map(|finding| finding.text).collect()
}

#[tokio::test]
async fn the_field_for_tags_has_to_be_the_same_on_both_sides() {
    let with = |name: &str| {
        let name = name.to_owned();
        move |it: &mut Distribution| it.tag_header = Some(name)
    };
    assert_eq!(bad(Some("x-tags"), with("X-Tags")).await, [""; 0]);
    assert_eq!(bad(None, with("X-Tags")).await, [""; 0]);
    assert_eq!(bad(None, |_| {}).await, [""; 0]);
    let other = bad(Some("x-tags"), with("x-other")).await;
    assert!(
        matches!(other.as_slice(), [text] if text.contains("set tag_header")),
        "{other:?}"
    );
    let none = bad(Some("x-tags"), |_| {}).await;
    assert!(
        matches!(none.as_slice(), [text] if text.contains("CacheTagConfig")),
        "{none:?}"
    );
}

#[tokio::test]
async fn what_is_disabled_or_not_allowed_is_found() {
    let disabled = bad(None, |it| it.enabled = false).await;
    assert!(
        matches!(disabled.as_slice(), [text] if text.contains("is disabled")),
        "{disabled:?}"
    );
    let denied = bad(None, |it| {
        it.denied = vec!["GetDistributionConfig", "GetInvalidation"];
    })
    .await;
    let [look, follow] = denied.as_slice() else {
        panic!("two rights are missing: {denied:?}");
    };
    assert!(look.contains("cloudfront:GetDistributionConfig"), "{look}");
    assert!(follow.contains("cloudfront:GetInvalidation"), "{follow}");
    let wrong_key = bad(None, |it| it.access_key_id = "AKIDOTHER".into()).await;
    assert!(
        matches!(wrong_key.as_slice(), [text] if text.contains("check the access key")),
        "{wrong_key:?}"
    );
}

#[tokio::test]
async fn what_does_not_exist_is_found() {
    let missing = bad(None, |it| it.id = "EOTHER".into()).await;
    assert!(
        matches!(missing.as_slice(), [text] if text.contains("no distribution")),
        "{missing:?}"
    );
    let (model, _) = model(|_| {}).await;
    let mut options = options(&model.front().uri());
    options.distribution = None;
    options.tenant = Some("dt_1".into());
    let missing = bad_of(&connector(options)).await;
    assert!(
        matches!(missing.as_slice(), [text] if text.contains("tenant dt_1")),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_refusal_names_the_right_that_is_missing() {
    let (_model, connector) = model(|it| it.denied = vec!["CreateInvalidation"]).await;
    let error = connector.purge(&batch(&[url("/a")])).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }));
    assert!(
        error
            .to_string()
            .contains("allow cloudfront:CreateInvalidation"),
        "{error}"
    );
}

#[tokio::test]
async fn an_invalidation_that_is_not_known_is_not_taken_for_complete() {
    let (_model, connector) = model(|_| {}).await;
    let error = connector
        .poll(&Reference("I2J0I21PCUYOIK".into()))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("revalidate again"), "{error}");
}

#[tokio::test]
async fn a_page_with_a_tilde_does_not_fail_the_others() {
    let (model, connector) = model(|_| {}).await;
    connector
        .purge(&batch(&[url("/~ann/"), url("/b")]))
        .await
        .unwrap();
    assert_eq!(model.calls()[0].items, ["/%7Eann/", "/b"]);
}

#[tokio::test]
async fn when_nothing_of_a_batch_can_be_written_no_call_is_made() {
    let (model, connector) = model(|_| {}).await;
    let targets = vec![url("/a*"), Target::Prefix(page("/b*"))];
    let receipt = connector.purge(&batch(&targets)).await.unwrap();
    assert_eq!((receipt.accepted, receipt.rejected.len()), (0, 2));
    assert_eq!(receipt.reference, None);
    assert_eq!(model.calls(), []);
}
