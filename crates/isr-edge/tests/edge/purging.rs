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

/// Pages of a blog with tags, and others without.
async fn site_with_all_pages() -> Site {
    let origin = ScriptedOrigin::start(|seen| Script::ok(&[], &seen.target)).await;
    Setup::new()
        .rule("/blog/*", &["post:{1}", "posts"])
        .rule("/**", &[])
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
    assert_eq!(
        site.store.position().await.unwrap().numbers(),
        [0],
        "nothing was applied"
    );
}

/// What a client sends: method, target and fields.
type Sent = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Sends it and says which pages were purged, after which all are fresh again.
async fn purged_by(site: &Site, (method, target, fields): Sent) -> (Answer, Vec<&'static str>) {
    const PAGES: [&str; 4] = ["/blog", "/blog/1", "/blog/2", "/about"];
    for page in PAGES {
        site.get(page).await;
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let ask = site.request(method, target);
    let ask = fields
        .iter()
        .fold(ask, |ask, (name, value)| ask.header(name, value));
    let answer = ask.send().await;
    let mut purged = Vec::new();
    for page in PAGES {
        if !site.get(page).await.cache_status().contains("; hit") {
            purged.push(page);
        }
    }
    (answer, purged)
}

#[tokio::test]
async fn what_a_client_purges_is_what_it_meant() {
    const ALL: &[&str] = &["/blog", "/blog/1", "/blog/2", "/about"];
    const BLOG: &[&str] = &["/blog/1", "/blog/2"];
    let rows: &[(Sent, &[&str])] = &[
        // Varnish HTTP Purge for WordPress.
        (
            ("PURGE", "/blog/1", &[("x-purge-method", "default")]),
            &["/blog/1"],
        ),
        (
            ("PURGE", "/blog/1", &[("x-purge-method", "exact")]),
            &["/blog/1"],
        ),
        (("PURGE", "/.*", &[("x-purge-method", "regex")]), ALL),
        (("PURGE", "/blog/.*", &[("x-purge-method", "regex")]), BLOG),
        (("PURGE", "/blog/.*", &[]), BLOG),
        // nginx's purge modules.
        (("PURGE", "/blog/1", &[]), &["/blog/1"]),
        (("PURGE", "/blog/*", &[]), BLOG),
        // FOSHttpCache.
        (("PURGETAGS", "/", &[("x-cache-tags", "posts,other")]), BLOG),
        (
            ("PURGEKEYS", "/", &[("xkey-purge", "post:1 other")]),
            &["/blog/1"],
        ),
        (("PURGE", "/", &[("clear-cache", "true")]), ALL),
        // Magento.
        (
            (
                "PURGE",
                "/",
                &[("x-magento-tags-pattern", "((^|,)post:1(,|$))|((^|,)x(,|$))")],
            ),
            &["/blog/1"],
        ),
        (("PURGE", "/", &[("x-magento-tags-pattern", ".*")]), ALL),
        // Drupal, Fastly and the fields of the CDNs.
        (("PURGE", "/", &[("cache-tags", "posts")]), BLOG),
        (("PURGE", "/", &[("surrogate-key", "posts")]), BLOG),
        (("PURGE", "/", &[("cache-tag", "posts")]), BLOG),
        (
            ("PURGE", "/", &[("edge-cache-tag", "post~3a1")]),
            &["/blog/1"],
        ),
        (("PURGE", "/", &[("cache-groups", "\"posts\"")]), BLOG),
    ];
    let site = site_with_all_pages().await;
    for (sent, expected) in rows {
        let (answer, purged) = purged_by(&site, *sent).await;
        assert_eq!(answer.status, StatusCode::OK, "{sent:?}: {answer:?}");
        assert_eq!(purged, *expected, "{sent:?}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_purges_nothing() {
    let rows: &[Sent] = &[
        ("PURGE", "/blog/1", &[("x-purge-method", "regex")]),
        ("PURGE", "/blog/(1|2)/.*", &[("x-purge-method", "regex")]),
        (
            "PURGE",
            "/blog/1",
            &[("x-purge-method", "ban-regex"), ("x-ban-regex", ".*")],
        ),
        ("PURGE", "/blog.*", &[]),
        ("PURGE", "/blog*", &[]),
        ("PURGE", "/.*blog/.*", &[]),
        ("PURGE", "/blog/1?.*", &[]),
        ("PURGE", "/blog/.*?x=1", &[]),
        ("PURGE", "/", &[("x-magento-tags-pattern", "post:1|posts")]),
        ("PURGE", "/", &[("x-magento-tags-pattern", "*")]),
        ("PURGE", "/blog/1", &[("x-pool", "cms")]),
        ("PURGE", "/blog/1", &[("x-url", "/.*")]),
        ("PURGE", "/blog/1", &[("x-vc-purge-method", "regex")]),
        ("PURGE", "/blog/1", &[("x-litespeed-purge", "*")]),
        ("PURGE", "/", &[("cache-tags", "post:1|post:2")]),
        ("PURGE", "/", &[("clear-cache", "yes")]),
        ("PURGE", "/blog/1", &[("fastly-soft-purge", "yes")]),
        (
            "PURGETAGS",
            "/",
            &[("x-cache-tags", "(post:1|post:2)(,.+)?$")],
        ),
        ("BAN", "/", &[]),
        ("BAN", "/blog/1", &[("cache-tags", "posts")]),
        (
            "BAN",
            "/",
            &[
                ("x-host", ".*"),
                ("x-url", "/blog"),
                ("x-content-type", ".*"),
            ],
        ),
        ("BAN", "/", &[("apiplatform-ban-regex", "posts")]),
        ("URIBAN", "/blog/1", &[]),
        ("REFRESH", "/blog/1", &[]),
    ];
    let site = site_with_all_pages().await;
    for sent in rows {
        let (answer, purged) = purged_by(&site, *sent).await;
        assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{sent:?}");
        assert!(answer.text.contains("send "), "{sent:?}: {answer:?}");
        assert!(purged.is_empty(), "{sent:?}: {purged:?}");
    }
    for sent in [
        ("PURGEKEYS", "/blog/1", &[][..]),
        ("PURGETAGS", "/blog/1", &[][..]),
        (
            "PURGE",
            "/",
            &[("xkey-purge", "a"), ("xkey-softpurge", "b")][..],
        ),
        (
            "PURGE",
            "/",
            &[("surrogate-key", "a"), ("clear-cache", "true")][..],
        ),
    ] {
        let (answer, purged) = purged_by(&site, sent).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{sent:?}");
        assert!(purged.is_empty(), "{sent:?}: {purged:?}");
    }
    let nothing = site.store.position().await.unwrap();
    assert_eq!(nothing.numbers(), [0], "nothing was applied");
}

#[tokio::test]
async fn tags_are_learnt_from_the_fields_that_applications_purge_by() {
    let origin = ScriptedOrigin::start(|seen| match seen.target.as_str() {
        "/magento" => Script::ok(&[("x-magento-tags", "cat_p_1,FPC")], ""),
        "/symfony" => Script::ok(&[("x-cache-tags", "cat_p_1,other")], ""),
        _ => Script::ok(&[("cache-tags", "cat_p_1 other")], ""),
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    for target in ["/magento", "/symfony", "/drupal"] {
        let answer = site.get(target).await;
        for name in ["x-magento-tags", "x-cache-tags", "cache-tags"] {
            assert_eq!(answer.field(name), "");
        }
    }
    purge(
        &site,
        "/",
        &[("x-magento-tags-pattern", "((^|,)cat_p_1(,|$))")],
    )
    .await;
    for target in ["/magento", "/symfony", "/drupal"] {
        site.get(target).await.assert_forwarded("stale");
    }
}

#[tokio::test]
async fn a_purge_that_the_store_did_not_take_is_counted_by_whoever_asked_it() {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], "")).await;
    let site = Setup::new().rule("/**", &[]).start(origin).await;
    site.store.set_away(true);
    let answer = purge(&site, "/", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    site.request(Method::POST, "/").send().await;
    site.get("/").await;
    let counted = |operation: &str| {
        let event = format!("StoreFailed {{ operation: \"{operation}\" }}");
        site.noted.count(&event)
    };
    assert_eq!((counted("invalidate"), counted("bind")), (0, 1));
}

#[tokio::test]
async fn a_purge_that_finds_the_queue_full_is_told_when_to_ask_again() {
    let site = site().await;
    site.store.set_full(true);
    let answer = purge(&site, "/blog/1", &[]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.field("retry-after"), "1");
    site.store.set_full(false);
    let answer = purge(&site, "/blog/1", &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
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
