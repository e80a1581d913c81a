//! The generation protocol, as visitors and tiers in front see it.

use std::time::Duration;

use http::StatusCode;
use isr_core::{Mode, Secret, WarmupKey};

use crate::support::origin::{Gate, Script, ScriptedOrigin, Step};
use crate::support::{Answer, KEY, Setup, Site, page, until};

/// An origin that numbers its answers, all of them bound to `data`.
async fn numbered() -> ScriptedOrigin {
    let count = std::sync::atomic::AtomicU32::new(0);
    ScriptedOrigin::start(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        Script::ok(&[("cache-tag", "data")], &format!("answer {number}"))
    })
    .await
}

async fn site() -> Site {
    Setup::new().rule("/**", &[]).start(numbered().await).await
}

#[tokio::test]
async fn a_soft_revalidation_makes_exactly_its_pages_stale() {
    let origin = ScriptedOrigin::start(|seen| {
        Script::ok(
            &[("cache-tag", seen.target.trim_start_matches('/'))],
            &seen.target,
        )
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    for target in ["/one", "/two", "/onerous"] {
        site.get(target).await;
    }
    site.revalidate("one", Mode::Soft).await;
    let stale = site.get("/one").await;
    stale.assert_stale();
    assert!(
        stale.cache_status().ends_with("detail=invalidated"),
        "{stale:?}"
    );
    site.get("/two").await.assert_hit();
    site.get("/onerous").await.assert_hit();
    while site.get("/one").await.cache_status().contains("ttl=-") {}
    assert_eq!(site.origin.count(), 4);
}

#[tokio::test]
async fn a_hard_revalidation_is_never_undone_not_even_when_the_origin_is_down() {
    let down = Gate::new();
    let first = std::sync::atomic::AtomicBool::new(true);
    let origin = ScriptedOrigin::start(move |_| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Script::ok(&[("cache-tag", "data")], "secret");
        }
        Script::default().then(Step::Close)
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    site.get("/").await;
    site.revalidate("data", Mode::Hard).await;
    let answer = site.get("/").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(!answer.text.contains("secret"));
    drop(down);
}

#[tokio::test]
async fn a_render_that_is_overtaken_leaves_as_no_store_and_is_not_stored() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin =
        ScriptedOrigin::start(move |_| Script::ok(&[("cache-tag", "data")], "old").behind(&behind));
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let visit = tokio::spawn(site.get_owned("/"));
    site.origin.wait_for(1).await;
    site.revalidate_elsewhere("data", Mode::Soft).await;
    gate.open();
    let answer = visit.await.unwrap();
    assert_eq!(answer.text, "old");
    assert!(
        answer.field("cache-control").contains("no-store"),
        "{answer:?}"
    );
    assert!(
        answer.cache_status().ends_with("detail=superseded"),
        "{answer:?}"
    );
    assert!(format!("{:?}", site.edge).contains("pages: 0"));
    let binds = site.store.binds.lock();
    assert!(!binds[0].1.is_bound());
}

#[tokio::test]
async fn an_instance_stops_calling_a_page_fresh_once_it_has_learnt() {
    let site = site().await;
    site.get("/").await;
    site.revalidate_elsewhere("data", Mode::Soft).await;
    site.get("/").await.assert_hit();
    site.follow().await;
    site.get("/").await.assert_stale();
}

#[tokio::test]
async fn what_is_in_flight_while_a_revalidation_is_learnt_is_purged_again() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |_| {
        Script::raw("HTTP/1.1 200 X\r\ncontent-length: 8\r\ncache-tag: data\r\n\r\nhalf")
            .then(Step::Until(behind.clone()))
            .then(Step::Send("half".into()))
    });
    let setup = Setup::new().rule("/**", &[]).with(|setup| {
        setup.sender.tracks = true;
        setup.sender.lease = Duration::from_hours(24);
    });
    let site = setup.start(origin.await).await;
    let visit = tokio::spawn(site.get_owned("/"));
    until(|| !site.store.binds.lock().is_empty()).await;
    site.revalidate("data", Mode::Soft).await;
    let report = site.sender.report().unwrap();
    assert!(
        !report.clean.covers(&report.known),
        "a response is on its way"
    );
    gate.open();
    assert_eq!(visit.await.unwrap().text, "halfhalf");
    until(|| site.sender.owed().len() == 1).await;
    assert_eq!(site.sender.owed()[0].url, page("/"));
}

#[tokio::test]
async fn a_response_breaks_off_when_nobody_can_be_told_of_it_any_more() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |_| {
        Script::raw("HTTP/1.1 200 X\r\ncontent-length: 8\r\n\r\nhalf")
            .then(Step::Until(behind.clone()))
            .then(Step::Send("half".into()))
    });
    let setup = Setup::new()
        .rule("/**", &[])
        .with(|setup| setup.sender.tracks = true);
    let site = setup.start(origin.await).await;
    let visit = tokio::spawn(site.ask("/").try_send());
    until(|| !site.store.binds.lock().is_empty()).await;
    site.advance(5);
    gate.open();
    assert!(visit.await.unwrap().is_err());
    until(|| format!("{:?}", site.edge).contains("pages: 1")).await;
    let brief = site.get("/").await;
    assert!(
        brief
            .assert_hit()
            .field("cache-control")
            .contains("s-maxage=10"),
        "{brief:?}"
    );
}

/// A warm-up request, as the crawler sends it.
async fn warm(site: &Site, key: &str, least: bool) -> Answer {
    let url = page("/");
    let least = least.then(|| site.sender.generation(&url).unwrap());
    let key = WarmupKey::new(Secret::new(key)).unwrap();
    let now = std::time::SystemTime::now();
    let value = key.sign(&url, least, now, Duration::from_mins(1));
    site.ask("/")
        .header("x-edge-isr-warmup", value.to_str().unwrap())
        .send()
        .await
}

#[tokio::test]
async fn a_warm_up_is_answered_with_the_newest_and_says_of_which_generation_it_is() {
    let site = site().await;
    assert_eq!(
        warm(&site, KEY, false)
            .await
            .assert_forwarded("uri-miss")
            .text,
        "answer 1"
    );
    let hit = warm(&site, KEY, false).await;
    assert_eq!(hit.assert_hit().text, "answer 1");
    site.revalidate("data", Mode::Soft).await;
    let fresh = warm(&site, KEY, true).await;
    assert_eq!(fresh.assert_forwarded("stale").text, "answer 2");
    let generation = site.sender.generation(&page("/")).unwrap().to_string();
    assert_eq!(fresh.field("x-edge-isr-generation"), generation);
    assert_eq!(
        site.get("/")
            .await
            .assert_hit()
            .field("x-edge-isr-generation"),
        ""
    );
}

#[tokio::test]
async fn a_warm_up_waits_until_the_instance_has_learnt_what_it_is_about() {
    let setup = Setup::new().rule("/**", &[]);
    let site = setup.start(numbered().await).await;
    site.get("/").await;
    site.revalidate_elsewhere("data", Mode::Soft).await;
    let url = page("/");
    let known = site.sender.generation(&url).unwrap();
    let least = isr_core::Generation {
        number: known.number + 1,
        ..known
    };
    let key = WarmupKey::new(Secret::new(KEY)).unwrap();
    let now = std::time::SystemTime::now();
    let value = key.sign(&url, Some(least), now, Duration::from_mins(1));
    let ask = site
        .ask("/")
        .header("x-edge-isr-warmup", value.to_str().unwrap());
    let visit = tokio::spawn(ask.send());
    site.follow().await;
    let answer = visit.await.unwrap();
    assert_eq!(answer.text, "answer 2");
    assert_eq!(answer.field("x-edge-isr-generation"), least.to_string());
}

#[tokio::test]
async fn a_warm_up_that_is_not_ours_is_a_visit_like_any_other() {
    let site = site().await;
    site.get("/").await;
    site.revalidate("data", Mode::Soft).await;
    let forged = warm(&site, "some other key entirely", true).await;
    forged.assert_stale();
    assert_eq!(forged.field("x-edge-isr-generation"), "");
    assert!(
        site.origin
            .seen()
            .iter()
            .all(|seen| seen.field("x-edge-isr-warmup").is_none())
    );
}
