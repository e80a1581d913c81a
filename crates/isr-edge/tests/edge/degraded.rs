//! The store is away: pages are still served, and nothing is claimed that nobody knows.

use std::time::Duration;

use isr_core::Mode;

use crate::support::origin::{Script, ScriptedOrigin};
use crate::support::{Setup, until};

fn counting() -> impl Future<Output = ScriptedOrigin> {
    let count = std::sync::atomic::AtomicU32::new(0);
    ScriptedOrigin::start(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        Script::ok(&[("cache-tag", "data")], &format!("answer {number}"))
    })
}

#[tokio::test]
async fn a_page_that_cannot_be_bound_is_shared_for_a_moment_and_bound_later() {
    let site = Setup::new().rule("/**", &[]).start(counting().await).await;
    site.store.set_away(true);
    let away = site.get("/").await;
    assert_eq!(away.text, "answer 1");
    assert!(
        away.field("cache-control").contains("s-maxage=10"),
        "{away:?}"
    );
    site.get("/").await.assert_hit();
    assert!(site.store.binds.lock().is_empty());
    site.store.set_away(false);
    site.advance(11);
    site.get("/").await.assert_stale();
    until(|| site.store.binds.lock().len() == 1).await;
    while !site
        .get("/")
        .await
        .field("cache-control")
        .contains("s-maxage=")
    {}
}

#[tokio::test]
async fn an_instance_that_has_lost_the_store_serves_all_as_stale_and_spares_the_origin() {
    let setup = Setup::new().rule("/**", &[]);
    let setup = setup.with(|setup| setup.sender.max_lag = Duration::from_secs(30));
    let site = setup.start(counting().await).await;
    site.get("/").await.assert_forwarded("uri-miss");
    site.store.set_away(true);
    site.advance(31);
    let behind = site.get("/").await;
    behind.assert_stale();
    assert!(
        behind.cache_status().ends_with("detail=behind"),
        "{behind:?}"
    );
    site.origin.wait_for(2).await;
    while site.get("/").await.text == "answer 1" {}
    // Asked for again only now and then.
    for _ in 0..10 {
        assert_eq!(site.get("/").await.assert_stale().text, "answer 2");
    }
    assert_eq!(site.origin.count(), 2);
    site.store.set_away(false);
    site.revalidate_elsewhere("data", Mode::Hard).await;
    site.follow().await;
    assert_eq!(
        site.get("/").await.assert_forwarded("stale").text,
        "answer 3"
    );
    site.get("/").await.assert_hit();
}

#[tokio::test]
async fn an_instance_that_never_heard_from_the_store_still_serves() {
    let setup = Setup::new()
        .rule("/**", &[])
        .with(|setup| setup.informed = false);
    let site = setup.start(counting().await).await;
    let first = site.get("/").await;
    assert!(
        first.field("cache-control").contains("s-maxage=10"),
        "{first:?}"
    );
    assert_eq!(site.get("/").await.assert_stale().text, "answer 1");
    site.follow().await;
    // Nobody knows what was revalidated before.
    assert_eq!(
        site.get("/").await.assert_forwarded("stale").text,
        "answer 2"
    );
    site.get("/").await.assert_hit();
}
