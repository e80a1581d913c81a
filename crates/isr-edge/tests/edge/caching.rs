//! Misses, hits, staleness, variants, conditions and ranges.

use http::{Method, StatusCode};
use isr_core::{CookieNames, Dialect, Front, Fronting};
use isr_edge::{Pattern, Rule};

use crate::support::Setup;
use crate::support::origin::{Script, ScriptedOrigin};

/// An origin that numbers its answers.
async fn counting(fields: &'static [(&'static str, &'static str)]) -> ScriptedOrigin {
    let count = std::sync::atomic::AtomicU32::new(0);
    ScriptedOrigin::start(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        Script::ok(fields, &format!("answer {number}"))
    })
    .await
}

#[tokio::test]
async fn the_first_visit_is_a_miss_and_the_next_a_hit() {
    let site = Setup::new()
        .rule("/blog/*", &["post:{1}"])
        .start(counting(&[]).await)
        .await;
    let first = site.get("/blog/7").await;
    first.assert_forwarded("uri-miss");
    assert_eq!(
        first.cache_status(),
        "edge-isr; fwd=uri-miss; fwd-status=200; stored"
    );
    assert!(
        first.field("cache-control").contains("s-maxage=100"),
        "{first:?}"
    );
    assert_eq!(
        (first.status, first.text.as_str()),
        (StatusCode::OK, "answer 1")
    );
    let second = site.get("/blog/7").await;
    assert_eq!(second.assert_hit().text, "answer 1");
    assert_eq!(site.origin.count(), 1);
    let binds = site.store.binds.lock();
    assert_eq!(binds.len(), 1);
    assert!(binds[0].0.tags.contains("post:7"));
}

#[tokio::test]
async fn the_next_tier_is_told_what_remains() {
    let site = Setup::new()
        .rule("/**", &[])
        .start(counting(&[]).await)
        .await;
    site.get("/").await;
    site.advance(60);
    let hit = site.get("/").await;
    let control = hit.assert_hit().field("cache-control");
    assert!(
        control.contains("s-maxage=39") || control.contains("s-maxage=40"),
        "{control}"
    );
    assert_eq!(hit.field("age"), "", "it would be subtracted again");
}

#[tokio::test]
async fn an_origins_own_lifetime_leaves_as_it_came_with_an_age() {
    let origin = counting(&[("cache-control", "public, max-age=300, s-maxage=600")]).await;
    let site = Setup::new().start(origin).await;
    site.get("/style.css").await.assert_forwarded("uri-miss");
    site.advance(60);
    let hit = site.get("/style.css").await;
    assert_eq!(
        hit.assert_hit().field("cache-control"),
        "public, max-age=300, s-maxage=600"
    );
    assert_eq!(hit.field("age"), "60");
}

#[tokio::test]
async fn what_nobody_opted_in_is_never_stored() {
    let site = Setup::new()
        .start(counting(&[("cache-control", "max-age=60")]).await)
        .await;
    for number in 1..=3 {
        let answer = site.get("/account").await;
        assert_eq!(
            answer.assert_forwarded("uri-miss").text,
            format!("answer {number}")
        );
        assert_eq!(answer.field("cache-control"), "max-age=60");
    }
}

#[tokio::test]
async fn a_stale_page_is_served_while_it_is_revalidated() {
    let site = Setup::new()
        .rule("/**", &[])
        .start(counting(&[]).await)
        .await;
    site.get("/").await;
    site.advance(110);
    assert_eq!(site.get("/").await.assert_stale().text, "answer 1");
    site.origin.wait_for(2).await;
    let fresh = loop {
        let answer = site.get("/").await;
        if answer.text == "answer 2" {
            break answer;
        }
    };
    fresh.assert_hit();
    assert_eq!(site.origin.count(), 2);
}

#[tokio::test]
async fn a_page_too_old_to_be_served_stale_is_fetched() {
    let site = Setup::new()
        .rule("/**", &[])
        .start(counting(&[]).await)
        .await;
    site.get("/").await;
    site.advance(121);
    assert_eq!(
        site.get("/").await.assert_forwarded("stale").text,
        "answer 2"
    );
}

#[tokio::test]
async fn a_stale_page_stands_in_for_an_origin_that_is_down_or_errs() {
    let origin = ScriptedOrigin::start(|seen| match seen.field("if-none-match") {
        None => Script::ok(&[("etag", "\"a\"")], "good"),
        Some(_) => Script::response(503, &[], "bad"),
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    site.get("/").await;
    site.advance(130);
    let errs = site.get("/").await;
    assert_eq!(errs.assert_stale().text, "good");
    assert!(
        errs.cache_status().ends_with("detail=origin_error"),
        "{errs:?}"
    );
    site.advance(21);
    let too_old = site.get("/").await;
    assert_eq!(
        (too_old.status, too_old.text.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "bad")
    );
}

#[tokio::test]
async fn a_304_makes_a_stale_page_fresh_and_binds_it_to_the_tags_it_names() {
    let origin = ScriptedOrigin::start(|seen| match seen.field("if-none-match") {
        None => Script::ok(&[("etag", "\"a\""), ("cache-tag", "old")], "body"),
        Some(tag) => {
            assert_eq!(tag, "\"a\"");
            Script::raw("HTTP/1.1 304 X\r\netag: \"a\"\r\ncache-tag: new\r\nx-new: 1\r\n\r\n")
        }
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    site.get("/").await;
    site.advance(130);
    let validated = site.get("/").await;
    assert_eq!(
        validated.cache_status(),
        "edge-isr; fwd=stale; fwd-status=304; stored"
    );
    assert_eq!(
        (validated.text.as_str(), validated.field("x-new").as_str()),
        ("body", "1")
    );
    site.get("/").await.assert_hit();
    let binds = site.store.binds.lock();
    assert!(binds[0].0.tags.contains("old") && binds[1].0.tags.contains("new"));
}

#[tokio::test]
async fn variants_are_told_apart_by_vary() {
    let origin = ScriptedOrigin::start(|seen| {
        let language = seen.field("accept-language").unwrap_or("none").to_owned();
        Script::ok(&[("vary", "Accept-Language")], &language)
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    for language in ["en", "de"] {
        let first = site
            .ask("/")
            .header("accept-language", language)
            .send()
            .await;
        assert_eq!(first.text, language);
    }
    for language in ["en", "de"] {
        let again = site
            .ask("/")
            .header("accept-language", language)
            .send()
            .await;
        assert_eq!(again.assert_hit().text, language);
    }
    site.get("/").await.assert_forwarded("vary-miss");
    assert_eq!(site.origin.count(), 3);
}

#[tokio::test]
async fn a_page_keeps_its_newest_variants_only() {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[("vary", "x-v")], "body"));
    let setup = Setup::new()
        .rule("/**", &[])
        .with(|setup| setup.options.variants_per_page = 2);
    let site = setup.start(origin.await).await;
    for variant in ["1", "2", "3"] {
        site.ask("/")
            .header("x-v", variant)
            .send()
            .await
            .assert_forwarded(if variant == "1" {
                "uri-miss"
            } else {
                "vary-miss"
            });
    }
    site.ask("/").header("x-v", "3").send().await.assert_hit();
    site.ask("/").header("x-v", "2").send().await.assert_hit();
    site.ask("/")
        .header("x-v", "1")
        .send()
        .await
        .assert_forwarded("vary-miss");
}

#[tokio::test]
async fn a_head_is_answered_from_a_stored_get_and_fills_the_cache_itself() {
    let site = Setup::new()
        .rule("/**", &[])
        .start(counting(&[]).await)
        .await;
    let head = site.request(Method::HEAD, "/").send().await;
    assert_eq!(
        (
            head.assert_forwarded("uri-miss").text.as_str(),
            head.field("content-length").as_str()
        ),
        ("", "8")
    );
    assert_eq!(site.origin.seen()[0].method, "GET");
    crate::support::until(|| format!("{:?}", site.edge).contains("pages: 1")).await;
    let head = site.request(Method::HEAD, "/").send().await;
    assert_eq!(
        (
            head.assert_hit().text.as_str(),
            head.field("content-length").as_str()
        ),
        ("", "8")
    );
    assert_eq!(site.get("/").await.assert_hit().text, "answer 1");
}

#[tokio::test]
async fn whoever_has_the_page_already_is_told_so() {
    let origin = counting(&[
        ("etag", "\"a\""),
        ("content-type", "text/plain"),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ]);
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let miss = site.ask("/").header("if-none-match", "\"a\"").send().await;
    assert_eq!(
        miss.status,
        StatusCode::NOT_MODIFIED,
        "though it was fetched whole"
    );
    assert_eq!(site.origin.seen()[0].field("if-none-match"), None);
    crate::support::until(|| format!("{:?}", site.edge).contains("pages: 1")).await;
    for (name, value) in [
        ("if-none-match", "W/\"a\""),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ] {
        let hit = site.ask("/").header(name, value).send().await;
        assert_eq!(
            (hit.assert_hit().status, hit.text.as_str()),
            (StatusCode::NOT_MODIFIED, "")
        );
        assert_eq!(
            (
                hit.field("etag").as_str(),
                hit.field("content-type").as_str()
            ),
            ("\"a\"", "")
        );
    }
    assert_eq!(site.origin.count(), 1);
}

#[tokio::test]
async fn a_range_comes_from_the_store_or_straight_from_the_origin() {
    let origin = ScriptedOrigin::start(|seen| match seen.field("range") {
        None => Script::ok(&[], "0123456789"),
        Some(_) => Script::response(206, &[("content-range", "bytes 1-2/10")], "12"),
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let passed = site.ask("/").header("range", "bytes=1-2").send().await;
    assert_eq!(
        (
            passed.assert_forwarded("uri-miss").status,
            passed.text.as_str()
        ),
        (StatusCode::PARTIAL_CONTENT, "12")
    );
    site.get("/").await;
    let part = site.ask("/").header("range", "bytes=1-2").send().await;
    assert_eq!(
        (part.assert_hit().status, part.text.as_str()),
        (StatusCode::PARTIAL_CONTENT, "12")
    );
    assert_eq!(part.field("content-range"), "bytes 1-2/10");
    let beyond = site.ask("/").header("range", "bytes=10-").send().await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(site.origin.count(), 2);
}

#[tokio::test]
async fn a_request_with_credentials_never_meets_the_cache() {
    let site = Setup::new()
        .rule("/**", &[])
        .start(counting(&[]).await)
        .await;
    site.get("/").await;
    for (name, value) in [("authorization", "Basic x"), ("cookie", "session=1")] {
        let answer = site.ask("/").header(name, value).send().await;
        answer.assert_forwarded("bypass");
        assert_eq!(site.origin.seen().last().unwrap().field(name), Some(value));
    }
    assert_eq!(site.get("/").await.assert_hit().text, "answer 1");
}

#[tokio::test]
async fn cookies_that_do_not_matter_are_ignored_and_withheld() {
    let ignored = CookieNames::new(["_ga*"]).unwrap();
    let setup = Setup::new().with(|setup| {
        let rule = Rule::new(Pattern::parse("/**").unwrap())
            .with_policy(isr_core::Policy::default())
            .ignoring_cookies(ignored);
        setup.options.rules.push(rule);
    });
    let site = setup.start(counting(&[]).await).await;
    site.ask("/")
        .header("cookie", "_ga=1; _gat=2")
        .send()
        .await
        .assert_forwarded("uri-miss");
    assert_eq!(site.origin.seen()[0].field("cookie"), None);
    site.ask("/")
        .header("cookie", "_ga=2")
        .send()
        .await
        .assert_hit();
    site.ask("/")
        .header("cookie", "_ga=2; session=1")
        .send()
        .await
        .assert_forwarded("bypass");
}

#[tokio::test]
async fn another_spelling_of_a_url_is_the_same_page_but_not_shared_further() {
    let site = Setup::new()
        .rule("/**", &[])
        .start(counting(&[]).await)
        .await;
    let campaign = site.get("/?utm_source=mail&b=2&a=1").await;
    campaign.assert_forwarded("uri-miss").assert_unshared();
    assert_eq!(site.origin.seen()[0].target, "/?a=1&b=2");
    let canonical = site.get("/?a=1&b=2").await;
    assert!(
        canonical
            .assert_hit()
            .field("cache-control")
            .contains("s-maxage")
    );
    site.get("/?b=2&a=1&utm_source=x")
        .await
        .assert_hit()
        .assert_unshared();
    assert_eq!(site.origin.count(), 1);
}

#[tokio::test]
async fn redirects_and_missing_pages_are_pages_too() {
    let origin = ScriptedOrigin::start(|seen| match seen.target.as_str() {
        "/moved" => Script::response(302, &[("location", "/new")], ""),
        _ => Script::response(404, &[], "nothing here"),
    });
    let site = Setup::new()
        .rule("/**", &["site"])
        .start(origin.await)
        .await;
    for (target, status) in [("/moved", 302), ("/gone", 404)] {
        let first = site.get(target).await;
        assert_eq!(first.status.as_u16(), status);
        assert!(
            first.field("cache-control").contains("s-maxage=60"),
            "{first:?}"
        );
        site.get(target).await.assert_hit();
        let binds = site.store.binds.lock();
        let (bind, _) = binds.last().unwrap();
        assert!(bind.tags.contains("site") && bind.tags.contains(&format!("status:{status}")));
    }
}

#[tokio::test]
async fn only_if_cached_asks_nobody() {
    let site = Setup::new()
        .rule("/**", &[])
        .start(counting(&[]).await)
        .await;
    let ask = || {
        site.ask("/")
            .header("cache-control", "only-if-cached")
            .send()
    };
    assert_eq!(ask().await.status, StatusCode::GATEWAY_TIMEOUT);
    site.get("/").await;
    ask().await.assert_hit();
    assert_eq!(site.origin.count(), 1);
}

#[tokio::test]
async fn a_visitors_no_cache_is_heard_only_when_that_is_wanted() {
    for (heard, expected) in [(false, 1), (true, 2)] {
        let setup = Setup::new().rule("/**", &[]);
        let setup = setup.with(|setup| setup.options.honour_no_cache = heard);
        let site = setup.start(counting(&[]).await).await;
        site.get("/").await;
        site.ask("/")
            .header("cache-control", "no-cache")
            .send()
            .await;
        assert_eq!(site.origin.count(), expected, "heard: {heard}");
    }
}

#[tokio::test]
async fn a_tier_in_front_is_told_in_its_own_dialect_and_kept_from_what_was_not_bound() {
    let origin = ScriptedOrigin::start(|seen| match seen.target.as_str() {
        "/page" => Script::ok(&[("surrogate-key", "a b")], "page"),
        _ => Script::ok(
            &[("cache-control", "public, max-age=60, s-maxage=600")],
            "asset",
        ),
    });
    let setup = Setup::new().rule("/page", &[]).with(|setup| {
        setup.options.downstream.fronting =
            Fronting::new([Front::speaking(Dialect::SurrogateControl)]);
        setup.options.downstream.keep_tags = true;
    });
    let site = setup.start(origin.await).await;
    let page = site.get("/page").await;
    assert!(
        page.field("surrogate-control").contains("max-age=100"),
        "{page:?}"
    );
    assert_eq!(page.field("surrogate-key"), "a b");
    assert!(!page.field("cache-control").contains("s-maxage"));
    let bypass = site.ask("/asset").header("cookie", "x=1").send().await;
    assert_eq!(bypass.field("cache-control"), "private, max-age=60");
}

#[tokio::test]
async fn tags_stay_within_the_system_unless_they_are_wanted() {
    let site = Setup::new()
        .rule("/**", &[])
        .start(counting(&[("surrogate-key", "a b"), ("xkey", "c")]).await)
        .await;
    let answer = site.get("/").await;
    assert_eq!(
        (answer.field("surrogate-key"), answer.field("xkey")),
        (String::new(), String::new())
    );
    let binds = site.store.binds.lock();
    assert!(
        ["a", "b", "c"]
            .iter()
            .all(|tag| binds[0].0.tags.contains(tag))
    );
}
