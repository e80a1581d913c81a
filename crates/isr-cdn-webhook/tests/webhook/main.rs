//! The connector against a receiver that checks what it is sent.

mod support;

use isr_cdn_webhook::Kind;
use isr_core::{ConnectorError, Secret, Target, calls};
use isr_testkit::ConnectorFixture;
use isr_testkit::connector_suite::make;
use isr_testkit::fakes::{Fault, WebhookLimits};

use self::support::Receiver;

const QUIET: WebhookLimits = WebhookLimits {
    kinds: &["tag", "url"],
    items: 7,
    bytes: 4096,
    talks: false,
};

async fn that_takes_everything() -> Receiver {
    Receiver::start(WebhookLimits::WIDE, |options| {
        options.kinds = vec![
            Kind::Tag,
            Kind::Url,
            Kind::Prefix,
            Kind::Host,
            Kind::Everything,
        ];
        options.soft = true;
    })
    .await
}

async fn that_says_nothing() -> Receiver {
    Receiver::start(QUIET, |options| {
        options.batch_items = QUIET.items;
        options.batch_bytes = QUIET.bytes;
    })
    .await
}

mod that_takes_everything {
    isr_testkit::connector_behaviour!(super::that_takes_everything());
    isr_testkit::connector_behaviour_in_a_worker!(super::that_takes_everything());
}

mod that_says_nothing {
    isr_testkit::connector_behaviour!(super::that_says_nothing());
    isr_testkit::connector_behaviour_in_a_worker!(super::that_says_nothing());
}

#[tokio::test]
async fn a_body_keeps_to_its_limit_of_bytes() {
    let limits = WebhookLimits {
        bytes: 4096,
        ..WebhookLimits::WIDE
    };
    let receiver = Receiver::start(limits, |options| options.batch_bytes = limits.bytes).await;
    let long = |n| make::url(&receiver, &format!("/{n}/{}", "x".repeat(200)));
    let targets: Vec<Target> = (0..100).map(long).collect();
    let planned = calls(targets, receiver.connector().capabilities());
    for call in &planned {
        make::purge(&receiver, call)
            .await
            .expect("the body is short enough");
    }
    // A body of 4,096 bytes has room for 16 such targets.
    assert_eq!(planned.len(), 7);
}

#[tokio::test]
async fn a_call_signed_with_another_secret_is_refused() {
    let receiver = Receiver::start(WebhookLimits::WIDE, |options| {
        options.secret = Some(Secret::new("another secret than theirs"));
    })
    .await;
    let error = make::purge(&receiver, &[make::tag("a")])
        .await
        .expect_err("it is refused");
    assert!(matches!(error, ConnectorError::Refused { .. }));
    assert!(error.to_string().contains("401"), "{error}");
}

#[tokio::test]
async fn a_repeated_call_has_the_same_body() {
    let receiver = Receiver::start(WebhookLimits::WIDE, |_| ()).await;
    let batch = make::batch(&[make::tag("a")], isr_core::Mode::Hard);
    for _ in 0..2 {
        receiver
            .connector()
            .purge(&batch)
            .await
            .expect("it is purged");
    }
    let exchanges = receiver.service.front().exchanges();
    assert_eq!(exchanges[0].body, exchanges[1].body);
    let text = String::from_utf8_lossy(&exchanges[0].body);
    assert!(text.contains(&batch.id().to_string()), "{text}");
}

#[tokio::test]
async fn a_look_tells_a_wrong_path_from_a_receiver() {
    let rows = [
        (404, false),
        (301, false),
        (405, true),
        (401, true),
        (204, true),
    ];
    for (status, good) in rows {
        let receiver = Receiver::start(WebhookLimits::WIDE, |_| ()).await;
        receiver.service.front().next(Fault::Status(status));
        let findings = receiver.connector().check().await.expect("it answers");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].good, good, "{status}: {}", findings[0].text);
    }
}
