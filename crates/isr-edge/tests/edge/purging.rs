//! `PURGE` requests and the connector.

use http::{Method, StatusCode};
use isr_core::{CdnConnector as _, Completion, Mode, PurgeBatch, TagGraph as _, Target, tag};
use isr_edge::{EdgeConnector, PurgeAccess};

use crate::support::origin::{Script, ScriptedOrigin};
use crate::support::{Answer, Setup, Site};

async fn site() -> Site {
    let origin = ScriptedOrigin::start(|seen| Script::ok(&[], &seen.target)).await;
    Setup::new()
        .rule("/blog/*", &["post:{1}", "posts"])
        .start(origin)
        .await
}

async fn purge(site: &Site, target: &str, fields: &[(&str, &str)]) -> Answer {
    let method = Method::from_bytes(b"PURGE").unwrap();
    let ask = site.request(method, target);
    fields
        .iter()
        .fold(ask, |ask, (name, value)| ask.header(name, value))
        .send()
        .await
}

#[tokio::test]
async fn a_purged_url_is_fetched_again_and_others_are_not() {
    let site = site().await;
    site.get("/blog/1").await;
    site.get("/blog/2").await;
    let answer = purge(&site, "/blog/1", &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("\"id\"") && answer.text.contains("\"mode\":\"hard\""));
    site.get("/blog/1").await.assert_forwarded("stale");
    site.get("/blog/2").await.assert_hit();
}

#[tokio::test]
async fn a_purge_by_tag_reaches_its_pages_softly_when_asked_to() {
    let site = site().await;
    for fields in [
        &[("surrogate-key", "post:1"), ("fastly-soft-purge", "1")][..],
        &[("xkey-softpurge", "post:1")][..],
    ] {
        site.get("/blog/1").await;
        site.get("/blog/2").await;
        assert_eq!(purge(&site, "/", fields).await.status, StatusCode::OK);
        site.get("/blog/1").await.assert_stale();
        site.get("/blog/2").await.assert_hit();
        while !site
            .get("/blog/1")
            .await
            .cache_status()
            .contains("hit; ttl=9")
        {}
    }
    purge(&site, "/", &[("cache-tags", "posts")]).await;
    for target in ["/blog/1", "/blog/2"] {
        site.get(target).await.assert_forwarded("stale");
    }
}

#[tokio::test]
async fn a_purge_of_nothing_or_of_nonsense_is_refused() {
    let site = site().await;
    for fields in [
        &[("surrogate-key", "")][..],
        &[("surrogate-key", "ok \"bad\"")][..],
    ] {
        let answer = purge(&site, "/", fields).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{answer:?}"
        );
    }
    let ban = site
        .request(Method::from_bytes(b"BAN").unwrap(), "/")
        .send()
        .await;
    assert_eq!(ban.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(
        site.store.position().await.unwrap().numbers(),
        [0],
        "nothing was applied"
    );
}

#[tokio::test]
async fn a_purge_is_taken_only_from_addresses_that_may() {
    let elsewhere = PurgeAccess::From(vec!["10.0.0.0/8".parse().unwrap()]);
    let rows = [
        (elsewhere, StatusCode::FORBIDDEN),
        (PurgeAccess::Disabled, StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (access, expected) in rows {
        let origin = ScriptedOrigin::start(|_| Script::ok(&[], "")).await;
        let setup = Setup::new().rule("/**", &[]);
        let site = setup
            .with(|setup| setup.options.purge_from = access)
            .start(origin)
            .await;
        site.get("/").await;
        assert_eq!(
            purge(&site, "/", &[("x-forwarded-for", "10.0.0.1")])
                .await
                .status,
            expected
        );
        site.get("/").await.assert_hit();
    }
}

#[tokio::test]
async fn a_purge_is_complete_once_every_living_instance_has_learnt_of_it() {
    let site = site().await;
    let connector = EdgeConnector::new(site.store.clone());
    let report = || async {
        site.store
            .report(&site.sender.report().unwrap())
            .await
            .unwrap();
    };
    report().await;
    site.revalidate_elsewhere("posts", Mode::Soft).await;
    let position = site.store.position().await.unwrap();
    let batch = PurgeBatch::new(vec![Target::Tag(tag("post", 1))], Mode::Soft, position).unwrap();
    let receipt = connector.purge(&batch).await.unwrap();
    let reference = receipt.reference.unwrap();
    assert!(matches!(
        connector.poll(&reference).await.unwrap(),
        Completion::Pending { .. }
    ));
    site.follow().await;
    report().await;
    assert_eq!(
        connector.poll(&reference).await.unwrap(),
        Completion::Complete
    );
}

#[tokio::test]
async fn an_instance_that_died_holds_no_purge_up() {
    let site = site().await;
    let connector = EdgeConnector::new(site.store.clone());
    site.store
        .report(&site.sender.report().unwrap())
        .await
        .unwrap();
    site.revalidate_elsewhere("posts", Mode::Soft).await;
    let position = site.store.position().await.unwrap();
    let batch = PurgeBatch::new(vec![Target::Everything], Mode::Soft, position).unwrap();
    let reference = connector.purge(&batch).await.unwrap().reference.unwrap();
    site.advance(60);
    assert_eq!(
        connector.poll(&reference).await.unwrap(),
        Completion::Complete
    );
}
