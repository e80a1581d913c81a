//! The connector against a model of Cloudflare's API.

mod checked;
mod limits;
mod support;

use std::collections::BTreeMap;

use isr_cdn_cloudflare::Plan;
use isr_core::{ConnectorError, Mode, Target};
use isr_testkit::connector_suite::make;
use isr_testkit::fakes::CloudflareAccount;

use self::support::{Zone, accept_language, options};

async fn of_an_enterprise() -> Zone {
    Zone::start(CloudflareAccount::ENTERPRISE, |options| {
        options.plan = Plan::Enterprise;
        options.batch_urls = Some(500);
    })
    .await
}

async fn with_variants_and_without_soft_purges() -> Zone {
    Zone::start(CloudflareAccount::ENTERPRISE, |options| {
        options.soft = false;
        options.variant_headers = vec![accept_language("de"), accept_language("fr")];
    })
    .await
}

mod of_an_enterprise {
    isr_testkit::connector_behaviour!(super::of_an_enterprise());
    isr_testkit::connector_behaviour_in_a_worker!(super::of_an_enterprise());
}

mod with_variants_and_without_soft_purges {
    isr_testkit::connector_behaviour!(super::with_variants_and_without_soft_purges());
    isr_testkit::connector_behaviour_in_a_worker!(super::with_variants_and_without_soft_purges());
}

#[tokio::test]
async fn one_page_that_cannot_be_purged_fails_its_call_and_is_named() {
    let zone = Zone::start(CloudflareAccount::FREE, |_| ()).await;
    let stranger = "https://www.another.example/";
    let targets = [
        make::url(&zone, "/1"),
        Target::Url(stranger.parse().expect("it is a URL")),
    ];
    let error = make::purge(&zone, &targets)
        .await
        .expect_err("it is refused");
    assert!(!error.is_retryable());
    let said = error.to_string();
    assert!(
        said.contains("without success") && said.contains(stranger),
        "{said}"
    );
}

#[tokio::test]
async fn what_cloudflare_would_refuse_is_rejected_and_the_rest_is_purged() {
    let zone = Zone::start(CloudflareAccount::FREE, |_| ()).await;
    let prefix = |path: &str| Target::Prefix(make::page(&zone, path));
    let deep = prefix(&"/a".repeat(31));
    let targets = [prefix("/blog"), deep.clone()];
    let receipt = make::purge(&zone, &targets)
        .await
        .expect("one can be purged");
    assert_eq!(receipt.accepted, 1);
    assert_eq!(receipt.rejected[0].0, deep);

    let receipt = make::purge(&zone, &targets[1..])
        .await
        .expect("nothing is left to purge");
    assert_eq!((receipt.accepted, receipt.rejected.len()), (0, 1));
    let calls = isr_testkit::ConnectorFixture::calls(&zone).await;
    assert_eq!(calls.len(), 1, "an empty call is not made: {calls:?}");
}

#[tokio::test]
async fn a_call_of_two_kinds_is_refused_without_being_made() {
    let zone = Zone::start(CloudflareAccount::FREE, |_| ()).await;
    let targets = [make::tag("post:1"), Target::Everything];
    let answer = make::purge(&zone, &targets).await;
    assert!(matches!(answer, Err(ConnectorError::Refused { .. })));
    assert_eq!(isr_testkit::ConnectorFixture::calls(&zone).await, []);
}

#[tokio::test]
async fn a_token_or_zone_that_is_not_accepted_is_refused_with_advice() {
    for (change, advice) in [
        (support::wrong_token as fn(&mut _), "has the permission"),
        (support::wrong_zone, "check the zone's ID"),
    ] {
        let zone = Zone::start(CloudflareAccount::FREE, change).await;
        let batch = make::batch(&[make::tag("post:1")], Mode::Soft);
        let error = isr_testkit::ConnectorFixture::connector(&zone)
            .purge(&batch)
            .await
            .expect_err("it is refused");
        assert!(!error.is_retryable());
        assert!(error.to_string().contains(advice), "{error}");
    }
}

#[test]
fn each_variant_is_an_item_of_its_own() {
    let mut options = options("http://127.0.0.1:1");
    options.variant_headers = vec![BTreeMap::from([("CF-Device-Type".into(), "mobile".into())])];
    let can = support::connect(options).capabilities().clone();
    let url = can.url.expect("it purges by URL");
    assert_eq!(url.items_per_target.get(), 2);
    assert_eq!(url.items_per_call.map(std::num::NonZero::get), Some(30));
    assert_eq!(can.tag.expect("it purges by tag").items_per_target.get(), 1);
}
