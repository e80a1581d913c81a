//! What a look at the zone finds.

use isr_cdn_cloudflare::Options;
use isr_testkit::ConnectorFixture;
use isr_testkit::fakes::{CloudflareAccount, Fault};

use super::support::{Zone, wrong_token, wrong_zone};

/// Looks, and expects findings of the token and of the zone, each good or not and with some words.
async fn finds(account: CloudflareAccount, change: fn(&mut Options), expected: [(bool, &str); 2]) {
    let zone = Zone::start(account, change).await;
    let findings = zone.connector().check().await.expect("it can be looked at");
    assert_eq!(findings.len(), expected.len());
    for (finding, (good, words)) in findings.iter().zip(expected) {
        assert_eq!(finding.good, good, "{}", finding.text);
        assert!(finding.text.contains(words), "{}", finding.text);
    }
}

const FREE: CloudflareAccount = CloudflareAccount::FREE;

#[tokio::test]
async fn a_look_tells_what_is_wrong_from_what_may_not_be_seen() {
    let accepted = (true, "the token is accepted");
    finds(FREE, |_| (), [accepted, (true, "is example.com")]).await;
    let missing = [accepted, (false, "check the zone's ID")];
    finds(FREE, wrong_zone, missing).await;
    let stranger = [
        (false, "accepted neither for itself nor for the zone"),
        (false, "cannot be seen"),
    ];
    finds(FREE, wrong_token, stranger).await;

    // A token that may purge and nothing else.
    let mut account = CloudflareAccount {
        reads_zone: false,
        ..FREE
    };
    finds(account, |_| (), [accepted, (true, "was not looked at")]).await;
    // One of an account that may read the zone.
    account = CloudflareAccount {
        verifiable: false,
        ..FREE
    };
    finds(account, |_| (), [accepted, (true, "is example.com")]).await;
    account = CloudflareAccount {
        zone_status: "pending",
        ..FREE
    };
    finds(account, |_| (), [accepted, (false, "pending")]).await;
}

#[tokio::test]
async fn a_service_that_cannot_be_looked_at_is_an_error() {
    let zone = Zone::start(FREE, |_| ()).await;
    for fault in [
        Fault::Reset,
        Fault::Status(500),
        Fault::Throttled { seconds: 1 },
    ] {
        zone.service.front().next(fault);
        let error = zone
            .connector()
            .check()
            .await
            .expect_err("there is no answer");
        assert!(error.is_retryable(), "{fault:?}: {error:?}");
    }
}
