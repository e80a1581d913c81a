//! One request to the origin, however many visitors wait.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;

use crate::support::origin::{Gate, Script, ScriptedOrigin, Step};
use crate::support::{Setup, Site, until};

const VISITORS: usize = 25;

/// Sends many requests, lets the origin answer once all of them wait, and gives back the answers.
async fn crowd(site: &Site, gate: &Gate, name: &'static str) -> Vec<crate::support::Answer> {
    let visits = (0..VISITORS).map(|number| {
        let ask = site.ask("/").header(name, number.to_string());
        tokio::spawn(ask.send())
    });
    let visits: Vec<_> = visits.collect();
    site.origin.wait_for(1).await;
    gate.open();
    join_all(visits)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

#[tokio::test]
async fn visitors_who_want_the_same_wait_for_one_answer() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |_| Script::ok(&[], "shared").behind(&behind));
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let answers = crowd(&site, &gate, "x-visitor").await;
    assert!(answers.iter().all(|answer| answer.text == "shared"));
    assert_eq!(site.origin.count(), 1);
}

#[tokio::test]
async fn nobody_is_given_what_turned_out_to_be_anothers() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |seen| {
        let visitor = seen.field("x-visitor").unwrap_or("none").to_owned();
        Script::ok(&[("set-cookie", &format!("id={visitor}"))], &visitor).behind(&behind)
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let answers = crowd(&site, &gate, "x-visitor").await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.text, number.to_string());
        assert_eq!(answer.field("set-cookie"), format!("id={number}"));
    }
    assert_eq!(site.origin.count(), VISITORS);
}

#[tokio::test]
async fn requests_for_a_page_known_to_be_private_do_not_wait_for_one_another() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |seen| match seen.field("x-first") {
        Some(_) => Script::ok(&[("cache-control", "private")], "first"),
        None => Script::ok(&[("cache-control", "private")], "later").behind(&behind),
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    site.ask("/").header("x-first", "1").send().await;
    let visits: Vec<_> = (0..2).map(|_| tokio::spawn(site.get_owned("/"))).collect();
    // Both are at the origin at once, and it has answered neither.
    site.origin.wait_for(3).await;
    gate.open();
    join_all(visits).await;
}

#[tokio::test]
async fn a_visitor_who_leaves_strands_nobody() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |_| Script::ok(&[], "shared").behind(&behind));
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let first = tokio::spawn(site.get_owned("/"));
    site.origin.wait_for(1).await;
    let second = tokio::spawn(site.get_owned("/"));
    first.abort();
    gate.open();
    assert_eq!(second.await.unwrap().text, "shared");
    assert_eq!(site.origin.count(), 1);
}

#[tokio::test]
async fn nobody_waits_longer_than_allowed() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |seen| match seen.field("x-slow") {
        Some(_) => Script::ok(&[], "slow").behind(&behind),
        None => Script::ok(&[], "quick"),
    });
    let setup = Setup::new().rule("/**", &[]);
    let setup = setup.with(|setup| setup.options.collapse_wait = Duration::from_millis(50));
    let site = setup.start(origin.await).await;
    let slow = tokio::spawn(site.ask("/").header("x-slow", "1").send());
    site.origin.wait_for(1).await;
    assert_eq!(site.get("/").await.text, "quick");
    gate.open();
    assert_eq!(slow.await.unwrap().text, "slow");
}

#[tokio::test]
async fn a_failure_is_shared_too() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin =
        ScriptedOrigin::start(move |_| Script::default().then(Step::Close).behind(&behind));
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let answers = crowd(&site, &gate, "x-visitor").await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == StatusCode::BAD_GATEWAY)
    );
}

#[tokio::test]
async fn a_page_is_revalidated_once_however_many_see_it_stale() {
    let gate = Gate::new();
    let behind = gate.clone();
    let first = std::sync::atomic::AtomicBool::new(true);
    let origin = ScriptedOrigin::start(move |_| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Script::ok(&[], "old");
        }
        Script::ok(&[], "new").behind(&behind)
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    site.get("/").await;
    site.advance(110);
    for _ in 0..5 {
        assert_eq!(site.get("/").await.assert_stale().text, "old");
    }
    site.origin.wait_for(2).await;
    gate.open();
    while site.get("/").await.text == "old" {}
    until(|| site.origin.count() == 2).await;
}
