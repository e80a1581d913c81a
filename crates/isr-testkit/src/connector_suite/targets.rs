//! Cases about one target: exactly that is purged, and as it was asked for.

use isr_core::{ConnectorError, Mode, Tag, Target};

use super::ConnectorFixture;
use super::make::{
    batch, capabilities, every_kind, items, one_of_each, page, purge, tag, url, wire,
};

/// Paths that are special in the language of some service, or in a regular expression.
const STRANGE_PATHS: [&str; 12] = [
    "/", "/*", "/%2A", "/**", "/a*", "/*/a", "/.*", "/a|/", "/^", "/$", "/(.)", "/?*",
];

/// Tags that are so.
const STRANGE_TAGS: [&str; 12] = [
    "*",
    "%2a",
    ".*",
    ".",
    "|",
    "a|.",
    "all",
    "everything",
    "/",
    "/*",
    "purge_everything",
    "--",
];

/// A connector that can do nothing is of no use.
pub async fn something_can_be_purged(fixture: &dyn ConnectorFixture) {
    assert_ne!(one_of_each(fixture), []);
    assert!(!fixture.connector().name().is_empty());
    // Connecting is no reason to purge anything.
    assert_eq!(fixture.calls().await, []);
}

/// A URL is sent as it is.
pub async fn an_exact_url_is_purged(fixture: &dyn ConnectorFixture) {
    is_purged(fixture, &url(fixture, "/caf%C3%A9/A%20b/?b=2&q=%26")).await;
}

/// A tag is sent as it is, whatever a tag can have in it that the service knows.
pub async fn a_tag_is_purged(fixture: &dyn ConnectorFixture) {
    is_purged(fixture, &tag("post:1/a'b;c=d&e+f%20")).await;
    is_purged(fixture, &tag("!$%&'()+-./:;<=>?@[\\]^_`{|}~a#1")).await;
    is_purged(fixture, &tag("a*b")).await;
    is_purged(fixture, &tag(&"x".repeat(Tag::MAX_LEN))).await;
}

/// A prefix is sent so that it covers whole segments.
pub async fn a_prefix_is_purged(fixture: &dyn ConnectorFixture) {
    is_purged(fixture, &Target::Prefix(page(fixture, "/blog"))).await;
    is_purged(fixture, &Target::Prefix(page(fixture, "/caf%C3%A9/"))).await;
}

/// A host is sent as it is.
pub async fn a_host_is_purged(fixture: &dyn ConnectorFixture) {
    let host = page(fixture, "/").host().to_owned();
    is_purged(fixture, &Target::Host(host)).await;
}

/// Everything goes when that is what was asked for.
pub async fn everything_is_purged_when_it_is_asked_for(fixture: &dyn ConnectorFixture) {
    is_purged(fixture, &Target::Everything).await;
}

async fn is_purged(fixture: &dyn ConnectorFixture, target: &Target) {
    if !capabilities(fixture).takes(target) {
        return;
    }
    let before = fixture.calls().await.len();
    let targets = [target.clone()];
    let receipt = purge(fixture, &targets).await.expect("it is purged");
    assert_eq!((receipt.accepted, receipt.rejected), (1, vec![]));
    let calls = &fixture.calls().await[before..];
    assert_eq!(calls.len(), fixture.requests_for(&targets));
    assert_eq!(items(calls), wire(fixture, &targets), "for {target}");
    assert!(calls.iter().all(|call| call.carried_out), "{calls:?}");
}

/// No wildcard, pattern or word makes a call purge everything, or anything but what it says. What
/// the service cannot be told without that is refused.
pub async fn what_looks_like_everything_is_purged_as_what_it_is(fixture: &dyn ConnectorFixture) {
    let everything = fixture.on_the_wire(&Target::Everything);
    let can = capabilities(fixture);
    let paths = STRANGE_PATHS.iter().flat_map(|path| {
        let page = page(fixture, path);
        // A prefix has no query, and that of the root is its host.
        let prefix = (page.path().len() > 1).then(|| Target::Prefix(page.without_query()));
        [Some(Target::Url(page)), prefix]
    });
    let tags = STRANGE_TAGS.iter().map(|text| Some(tag(text)));
    for target in paths
        .chain(tags)
        .flatten()
        .filter(|target| can.takes(target))
    {
        let before = fixture.calls().await.len();
        let answer = purge(fixture, std::slice::from_ref(&target)).await;
        let mut calls = fixture.calls().await.split_off(before);
        calls.retain(|call| call.carried_out);
        match answer {
            Ok(receipt) if receipt.accepted == 1 => {
                assert_eq!(items(&calls), wire(fixture, std::slice::from_ref(&target)));
            }
            Ok(_) | Err(ConnectorError::Refused { .. }) => assert_eq!(calls, [], "{target}"),
            Err(error) => panic!("{target}: {error:?}"),
        }
        let asked = items(&calls);
        assert!(
            !asked.iter().any(|item| everything.contains(item)),
            "{target}: {asked:?}"
        );
    }
}

/// Targets that are nearly the same are sent as different items.
pub async fn neighbours_stay_apart_on_the_wire(fixture: &dyn ConnectorFixture) {
    let can = capabilities(fixture);
    let pages = [
        "/a", "/a/", "/A", "/a?b", "/a?b=", "/a/b", "/a%2Fb", "/ab", "//a", "/a+b", "/a%20b",
    ];
    let tags = ["post:1", "post:10", "post", "1", "post:1-", "post.1"];
    let pages = pages.iter().map(|path| url(fixture, path));
    let mut seen: Vec<Vec<String>> = Vec::new();
    for target in pages
        .chain(tags.map(tag))
        .filter(|target| can.takes(target))
    {
        let before = fixture.calls().await.len();
        let targets = [target];
        purge(fixture, &targets).await.expect("it is purged");
        let sent = items(&fixture.calls().await[before..]);
        assert!(
            !seen.contains(&sent),
            "{} is sent as another one was: {sent:?}",
            targets[0]
        );
        seen.push(sent);
    }
}

/// Where a kind cannot be purged softly, a soft purge removes; elsewhere it does not.
pub async fn a_soft_purge_is_soft_exactly_where_the_service_knows_it(
    fixture: &dyn ConnectorFixture,
) {
    let can = capabilities(fixture);
    for target in one_of_each(fixture) {
        let soft = can.ability(&target).is_some_and(|ability| ability.soft);
        arrives_as(fixture, &target, Mode::Soft, soft).await;
    }
}

/// What has to go goes, whatever the service can do besides.
pub async fn a_hard_purge_is_never_soft(fixture: &dyn ConnectorFixture) {
    for target in one_of_each(fixture) {
        arrives_as(fixture, &target, Mode::Hard, false).await;
    }
}

async fn arrives_as(fixture: &dyn ConnectorFixture, target: &Target, mode: Mode, soft: bool) {
    let before = fixture.calls().await.len();
    let batch = batch(std::slice::from_ref(target), mode);
    let purged = fixture.connector().purge(&batch).await;
    purged.expect("it is purged");
    let calls = &fixture.calls().await[before..];
    assert!(!calls.is_empty());
    for call in calls {
        assert!(call.carried_out, "{call:?}");
        assert_eq!(
            call.soft,
            soft,
            "{target} in mode {}: {call:?}",
            mode.as_str()
        );
    }
}

/// What is outside the capabilities is refused for good, and nobody is called.
pub async fn what_it_does_not_take_is_refused_without_a_call(fixture: &dyn ConnectorFixture) {
    let can = capabilities(fixture);
    for target in every_kind(fixture) {
        if can.takes(&target) {
            continue;
        }
        let answer = purge(fixture, std::slice::from_ref(&target)).await;
        let refused = matches!(answer, Err(ConnectorError::Refused { .. }));
        assert!(refused, "{target}: {answer:?}");
    }
    assert_eq!(fixture.calls().await, []);
}
