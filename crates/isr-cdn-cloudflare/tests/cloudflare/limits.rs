//! The service's rate limits.

use std::time::Duration;

use isr_cdn_cloudflare::Plan;
use isr_core::{Bucket, Clock, ConnectorError, Mode, Taken, Target, calls};
use isr_testkit::ConnectorFixture;
use isr_testkit::connector_suite::make;
use isr_testkit::fakes::CloudflareAccount;

use super::support::Zone;

#[tokio::test]
async fn hard_and_soft_purges_of_all_kinds_share_the_services_bucket() {
    let zone = Zone::start(CloudflareAccount::FREE, |_| ()).await;
    let kinds = [
        make::tag("post:1"),
        Target::Host("example.com".to_owned()),
        Target::Everything,
    ];
    let modes = [Mode::Soft, Mode::Hard];
    for n in 0..25 {
        let target = kinds[n % 3].clone();
        let purged = zone
            .connector()
            .purge(&make::batch(&[target], modes[n % 2]))
            .await;
        purged.expect("the bucket holds 25");
    }
    let error = make::purge(&zone, &kinds[..1])
        .await
        .expect_err("the bucket is empty");
    assert!(matches!(error, ConnectorError::RateLimited { .. }));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(12)));
    let url = make::purge(&zone, &[make::url(&zone, "/")]).await;
    url.expect("URLs have another bucket");

    zone.clock.advance(Duration::from_secs(12));
    make::purge(&zone, &kinds[..1])
        .await
        .expect("one token has come back");
}

#[tokio::test]
async fn who_keeps_to_the_capabilities_is_never_throttled_and_loses_little() {
    let tags = || {
        (0..60)
            .map(|n| make::tag(&format!("t:{n}")))
            .collect::<Vec<_>>()
    };
    let zone = Zone::start(CloudflareAccount::FREE, |options| {
        options.batch_items = Some(1);
    })
    .await;
    let passed = purge_all(&zone, tags()).await;
    // 60 calls, of which the bucket holds 25, and then five a minute: 35 more take seven minutes.
    assert!(passed <= Duration::from_mins(7).mul_f64(1.05), "{passed:?}");

    let zone = Zone::start(CloudflareAccount::ENTERPRISE, |options| {
        options.plan = Plan::Enterprise;
        options.batch_urls = Some(100);
    })
    .await;
    let pages = (0..12_000)
        .map(|n| make::url(&zone, &format!("/p/{n}")))
        .collect();
    let passed = purge_all(&zone, pages).await;
    assert!(passed <= Duration::from_secs(4).mul_f64(1.05), "{passed:?}");
}

/// Purges as the pipeline does, and says how long that takes where calls take no time.
async fn purge_all(zone: &Zone, targets: Vec<Target>) -> Duration {
    let can = make::capabilities(zone);
    let ability = can.ability(&targets[0]).expect("it is taken").clone();
    let limit = ability.rate.expect("there is a limit");
    let (mut bucket, began) = (Bucket::default(), zone.clock.now());
    for call in calls(targets, &can) {
        let tokens = match limit.unit {
            isr_core::RateUnit::Calls => 1,
            isr_core::RateUnit::Items => u32::try_from(call.len()).expect("a call is short"),
        };
        let taken = bucket.take(&limit, tokens, Duration::MAX, zone.clock.now());
        let Taken::After(wait) = taken else {
            panic!("there is patience: {taken:?}");
        };
        zone.clock.advance(wait);
        make::purge(zone, &call)
            .await
            .expect("it is within the limits");
    }
    zone.clock.now().saturating_sub(began)
}
