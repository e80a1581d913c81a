//! What the tiers in front are told: in each one's words, no more than each takes, and nothing of hosts that
//! it does not serve.

use isr_core::{Dialect, Front, Fronting, HostPatterns, TagHeader, TagHeaderLimits, unlisted};

use crate::support::Setup;
use crate::support::origin::{Script, ScriptedOrigin};

/// A tier that takes two tags of a page.
fn of_two_tags(purged_by_url: bool) -> Front {
    let header = TagHeader::CacheTag;
    let limits = TagHeaderLimits {
        tags: 2,
        ..header.limits()
    };
    Front {
        group: "cdn".into(),
        dialect: Some(Dialect::Cloudflare),
        purged_by_url,
        ..Front::reading(header, limits)
    }
}

/// An origin whose page has three tags, and is validated without naming them again.
async fn three_tags() -> ScriptedOrigin {
    ScriptedOrigin::start(|seen| match seen.field("if-none-match") {
        None => Script::ok(&[("surrogate-key", "a b c"), ("etag", "\"1\"")], "page"),
        Some(_) => Script::raw("HTTP/1.1 304 X\r\netag: \"1\"\r\n\r\n"),
    })
    .await
}

fn behind(front: Front) -> Setup {
    Setup::new()
        .rule("/**", &[])
        .with(move |setup| setup.options.downstream.fronting = Fronting::new([front]))
}

#[tokio::test]
async fn a_tier_is_told_as_many_tags_as_it_takes_and_the_others_are_bound_as_unlisted() {
    let site = behind(of_two_tags(true)).start(three_tags().await).await;
    let page = site.get("/page").await;
    assert_eq!(page.field("cache-tag"), "a,b");
    assert_eq!(page.field("surrogate-key"), "", "nobody reads it");
    assert!(
        page.field("cloudflare-cdn-cache-control")
            .contains("max-age")
    );
    let bound = site.store.binds.lock()[0].0.tags.clone();
    let c = "c".parse().unwrap();
    let unlisted = unlisted("cdn", &c);
    assert!(bound.contains("a") && bound.contains("b") && bound.contains("c"));
    assert!(bound.contains(unlisted.as_str()));
    assert_eq!(bound.len(), 4);
}

#[tokio::test]
async fn a_tier_that_could_not_be_purged_of_a_page_does_not_get_it() {
    let site = behind(of_two_tags(false)).start(three_tags().await).await;
    let page = site.get("/page").await;
    assert_eq!(page.field("cloudflare-cdn-cache-control"), "no-store");
    assert_eq!(page.field("cache-tag"), "");
    let hit = site.get("/page").await;
    assert!(
        hit.field("cache-status").contains("hit"),
        "the edge keeps it: {hit:?}"
    );
    assert_eq!(hit.field("cloudflare-cdn-cache-control"), "no-store");
}

#[tokio::test]
async fn a_page_that_was_validated_keeps_all_its_tags() {
    let site = behind(of_two_tags(true)).start(three_tags().await).await;
    site.get("/page").await;
    site.advance(130);
    let page = site.get("/page").await;
    assert_eq!(page.field("cache-tag"), "a,b");
    let binds = site.store.binds.lock();
    assert_eq!(binds.len(), 2);
    assert_eq!(binds[0].0.tags, binds[1].0.tags);
}

#[tokio::test]
async fn a_tier_of_another_host_is_told_nothing() {
    let mut front = of_two_tags(true);
    front.hosts = HostPatterns::new(["elsewhere.example".parse().unwrap()]);
    let site = behind(front).start(three_tags().await).await;
    let page = site.get("/page").await;
    assert_eq!(page.field("cache-tag"), "");
    assert_eq!(page.field("cloudflare-cdn-cache-control"), "");
    assert_eq!(site.store.binds.lock()[0].0.tags.len(), 3);
}
