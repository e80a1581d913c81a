//! Whether a response may be shared, on what terms, and what it was made from.

use std::time::{Duration, SystemTime};

use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, FORWARDED, VARY};
use http::{HeaderMap, HeaderName, StatusCode};
use isr_core::cache_control::{CDN_CACHE_CONTROL, SURROGATE_CONTROL};
use isr_core::{
    CacheControl, NotShareable, Policy, Tag, TagHeader, TagSeparator, TagSet, VaryRule,
    shareable_response, tag, vary,
};

use crate::fields::{EDGE_CDN_CACHE_CONTROL, X_FORWARDED_FOR};
use crate::rule::Route;
use crate::stored::Terms;

/// The targeted fields that govern this cache, in order (RFC 9213 §2.2).
pub(crate) const TARGETS: [HeaderName; 3] =
    [EDGE_CDN_CACHE_CONTROL, CDN_CACHE_CONTROL, SURROGATE_CONTROL];

/// Why a response is not shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// It must not be.
    Not(NotShareable),
    /// Neither its origin nor a rule opts it in.
    NotOptedIn,
    /// It has no lifetime, or one that has ended.
    NoLifetime,
    /// It names tags that cannot be read or are too many, so it could not be purged by them.
    Tags,
}

impl NotAdmitted {
    /// The reason as the `detail` of `Cache-Status`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Not(reason) => reason.as_str(),
            Self::NotOptedIn => "not_opted_in",
            Self::NoLifetime => "no_lifetime",
            Self::Tags => "unreadable_tags",
        }
    }
}

/// The terms on which a response may be kept. Its `Vary` is completed by the rule's on the way.
///
/// An origin's explicit lifetime for shared caches opts a response in, and so does a rule whose
/// policy it then takes if it has no lifetime of its own. What forbids always wins.
pub(crate) fn admit(
    status: StatusCode,
    headers: &mut HeaderMap,
    route: &Route<'_>,
    negative_lifetime: Duration,
) -> Result<Terms, NotAdmitted> {
    shareable_response(status, headers, route.share).map_err(NotAdmitted::Not)?;
    let control = CacheControl::governing(headers, &TARGETS);
    let targeted = TARGETS
        .iter()
        .any(|field| CacheControl::targeted(headers, field).is_some());
    let own = targeted || headers.contains_key(CACHE_CONTROL) || headers.contains_key(EXPIRES);
    let policy = match (own, route.policy) {
        (false, None) => return Err(NotAdmitted::NotOptedIn),
        (false, Some(policy)) if status == StatusCode::OK => policy.clone(),
        (false, Some(policy)) => shortened(policy, negative_lifetime),
        (true, rule) => {
            let opted_in =
                targeted || control.public || control.s_maxage.is_some() || rule.is_some();
            if !opted_in {
                return Err(NotAdmitted::NotOptedIn);
            }
            own_policy(headers, &control).ok_or(NotAdmitted::NoLifetime)?
        }
    };
    if let Some(value) = route
        .policy
        .and_then(|policy| vary::merge(headers, policy.vary()))
    {
        headers.insert(VARY, value);
    }
    let vary = VaryRule::of(headers);
    if is_for_one_visitor(&vary) {
        return Err(NotAdmitted::Not(NotShareable::VaryStar));
    }
    let must_revalidate = control.must_revalidate || control.proxy_revalidate;
    Ok(Terms {
        policy,
        verbatim: own,
        must_revalidate,
        vary,
        for_tiers: true,
        bound: true,
    })
}

/// Whether no other request can be known to select the response (RFC 9111 §4.1): it depends on what no
/// field says, or on the visitor's address, which is written into these on the way to the origin.
fn is_for_one_visitor(vary: &VaryRule) -> bool {
    match vary {
        VaryRule::Star => true,
        VaryRule::Fields(fields) => fields
            .iter()
            .any(|field| [FORWARDED, X_FORWARDED_FOR].contains(field)),
    }
}

/// A policy whose freshness lifetime is at most `limit`, and at least a second.
pub(crate) fn shortened(policy: &Policy, limit: Duration) -> Policy {
    let limit = Duration::from_secs(limit.as_secs().max(1));
    let builder = Policy::builder()
        .s_maxage(policy.s_maxage().min(limit))
        .stale_while_revalidate(policy.stale_while_revalidate())
        .stale_if_error(policy.stale_if_error())
        .vary(policy.vary().iter().cloned());
    let builder = match policy.browser_max_age() {
        Some(max_age) => builder.browser_max_age(max_age.min(limit)),
        None => builder,
    };
    builder
        .build()
        .expect("every lifetime is that of a policy, or shorter")
}

/// The policy that an origin's own fields amount to: `s-maxage`, else `max-age`, else `Expires` less
/// `Date` (RFC 9111 §4.2.1), and the windows of RFC 5861 only as they are stated.
fn own_policy(headers: &HeaderMap, control: &CacheControl) -> Option<Policy> {
    let lifetime = match control.shared_freshness() {
        Some(seconds) => seconds,
        None => expires_after(headers)?,
    };
    let seconds = |count: u32| Duration::from_secs(count.min(Policy::LONGEST).into());
    let builder = Policy::builder()
        .s_maxage(seconds(lifetime))
        .stale_while_revalidate(seconds(control.stale_while_revalidate.unwrap_or(0)))
        .stale_if_error(seconds(control.stale_if_error.unwrap_or(0)));
    let builder = match CacheControl::of(headers).max_age {
        Some(max_age) => builder.browser_max_age(seconds(max_age)),
        None => builder,
    };
    builder.build().ok() // a lifetime of 0 is none
}

/// How many seconds after `Date` a response `Expires` (RFC 9111 §5.3); 0 for an invalid date.
fn expires_after(headers: &HeaderMap) -> Option<u32> {
    let expires = headers.get(EXPIRES)?;
    let date = headers.get(DATE).and_then(http_date)?;
    let lifetime = http_date(expires).and_then(|expires| expires.duration_since(date).ok());
    let seconds = lifetime.unwrap_or_default().as_secs();
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}

fn http_date(value: &http::HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// How old a response was when it came (RFC 9111 §4.2.3): what it says, plus the time it took, and not
/// younger than its `Date` says. A rule's lifetime, which is ours to count, begins when it comes.
pub(crate) fn initial_age(
    headers: &HeaderMap,
    verbatim: bool,
    took: Duration,
    now: SystemTime,
) -> Duration {
    let age = headers
        .get(AGE)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u32>().ok());
    let said = Duration::from_secs(age.unwrap_or(0).into());
    if !verbatim {
        return said;
    }
    let date = headers.get(DATE).and_then(http_date);
    // A date has whole seconds, so less than one proves nothing.
    let apparent = date
        .and_then(|date| now.duration_since(date).ok())
        .unwrap_or_default();
    (said + took).max(Duration::from_secs(apparent.as_secs().saturating_sub(1)))
}

/// Fields in which applications that were written for a cache of their own name the tags of a page.
/// They purge by these tags, so these tags have to be known here too.
static APPLICATIONS: [TagHeader; 3] = [
    // Drupal, API Platform.
    TagHeader::Custom {
        name: HeaderName::from_static("cache-tags"),
        separator: TagSeparator::CommaOrSpace,
    },
    // FOSHttpCache, Symfony.
    TagHeader::Custom {
        name: HeaderName::from_static("x-cache-tags"),
        separator: TagSeparator::CommaOrSpace,
    },
    // Magento.
    TagHeader::Custom {
        name: HeaderName::from_static("x-magento-tags"),
        separator: TagSeparator::Comma,
    },
];

/// Every field in which tags of a page are looked for.
pub(crate) fn tag_headers() -> impl Iterator<Item = &'static TagHeader> {
    static KNOWN: [TagHeader; 5] = TagHeader::KNOWN;
    KNOWN.iter().chain(&APPLICATIONS)
}

/// What a response was made from: the tags it names, those of its rules, the build that it is of, and
/// its status unless 200.
pub(crate) fn tags_of(
    status: StatusCode,
    headers: &HeaderMap,
    route: Route<'_>,
    build: Option<&Tag>,
) -> Result<TagSet, NotAdmitted> {
    let mut tags = route.tags.map_err(|_| NotAdmitted::Tags)?;
    for header in tag_headers() {
        if !header.parse(headers, &mut tags).is_complete() {
            return Err(NotAdmitted::Tags);
        }
    }
    let status = (status != StatusCode::OK).then(|| tag("status", status.as_u16()));
    tags.try_extend(build.cloned().into_iter().chain(status))
        .map_err(|_| NotAdmitted::Tags)?;
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use isr_core::{ShareRules, build_tag};

    use super::*;

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn route<'r>(policy: Option<&'r Policy>, share: &'r ShareRules) -> Route<'r> {
        Route {
            tags: Ok(TagSet::new()),
            policy,
            share,
        }
    }

    /// The lifetime in seconds that a response is admitted for, under a rule of 300 s or under none.
    fn lifetime(
        ruled: bool,
        status: u16,
        lines: &[(&'static str, &str)],
    ) -> Result<u64, NotAdmitted> {
        let policy = Policy::default();
        let share = ShareRules {
            targets: TARGETS.to_vec(),
            has_policy: ruled,
            ..ShareRules::default()
        };
        let route = route(ruled.then_some(&policy), &share);
        let status = StatusCode::from_u16(status).unwrap();
        let terms = admit(status, &mut map(lines), &route, Duration::from_mins(1))?;
        Ok(terms.policy.s_maxage().as_secs())
    }

    #[test]
    fn a_page_is_shared_when_its_origin_or_a_rule_opts_it_in_and_nothing_forbids_it() {
        use NotAdmitted::{NoLifetime, Not, NotOptedIn};
        let control = |value: &'static str| vec![("cache-control", value)];
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let rows = [
            (false, 200, vec![], Err(NotOptedIn)),
            (true, 200, vec![], Ok(300)),
            (true, 404, vec![], Ok(60)),
            (true, 302, vec![], Ok(60)),
            (true, 500, vec![], Err(Not(NotShareable::Status))),
            (false, 200, control("s-maxage=9"), Ok(9)),
            (false, 200, control("public, max-age=9"), Ok(9)),
            (false, 200, control("max-age=9"), Err(NotOptedIn)),
            (true, 200, control("max-age=9"), Ok(9)),
            (true, 404, control("max-age=90"), Ok(90)),
            (true, 200, control("no-transform"), Err(NoLifetime)),
            (true, 200, control("max-age=0"), Err(NoLifetime)),
            (
                true,
                200,
                control("private"),
                Err(Not(NotShareable::Private)),
            ),
            (
                true,
                200,
                control("no-store"),
                Err(Not(NotShareable::NoStore)),
            ),
            (
                true,
                200,
                vec![("set-cookie", "a=b")],
                Err(Not(NotShareable::SetCookie)),
            ),
            (
                true,
                200,
                vec![("vary", "*")],
                Err(Not(NotShareable::VaryStar)),
            ),
            (
                false,
                200,
                vec![
                    ("cdn-cache-control", "max-age=7"),
                    ("cache-control", "max-age=0"),
                ],
                Ok(7),
            ),
            (
                false,
                200,
                vec![("edge-isr-cdn-cache-control", "max-age=5")],
                Ok(5),
            ),
            (false, 200, vec![("surrogate-control", "max-age=6")], Ok(6)),
            (
                true,
                200,
                vec![date, ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")],
                Ok(60),
            ),
            (true, 200, vec![date, ("expires", "0")], Err(NoLifetime)),
        ];
        for (ruled, status, lines, expected) in rows {
            assert_eq!(
                lifetime(ruled, status, &lines),
                expected,
                "{ruled} {status} {lines:?}"
            );
        }
    }

    #[test]
    fn a_response_is_at_least_as_old_as_it_says() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let date = ("date", "Sun, 06 Nov 1994 08:49:07 GMT");
        let rows = [
            (vec![], true, 2),
            (vec![("age", "10")], true, 12),
            (vec![("age", "x")], true, 2),
            (vec![date], true, 29),
            (vec![date], false, 0),
            (vec![("age", "10")], false, 10),
            (vec![date, ("age", "100")], true, 102),
        ];
        for (lines, verbatim, expected) in rows {
            let age = initial_age(&map(&lines), verbatim, Duration::from_secs(2), now);
            assert_eq!(age, Duration::from_secs(expected), "{lines:?}");
        }
    }

    #[test]
    fn tags_come_from_headers_rules_the_build_and_the_status() {
        let share = ShareRules::default();
        let ruled = TagSet::try_from_iter([tag("page", 1)]).unwrap();
        let headers = map(&[("cache-tag", "a, B"), ("surrogate-key", "c d")]);
        let route = Route {
            tags: Ok(ruled),
            policy: None,
            share: &share,
        };
        let build = build_tag("7");
        let tags = tags_of(StatusCode::NOT_FOUND, &headers, route, Some(&build)).unwrap();
        let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        let expected = ["a", "b", "build:7", "c", "d", "page:1", "status:404"];
        assert_eq!(tags, expected);
    }

    #[test]
    fn a_page_whose_tags_cannot_all_be_read_is_not_shared() {
        let share = ShareRules::default();
        for (name, value) in [("cache-tag", "a,\"b"), ("cache-groups", "not a list\"")] {
            let headers = map(&[(name, value)]);
            let tags = tags_of(StatusCode::OK, &headers, route(None, &share), None);
            assert_eq!(tags, Err(NotAdmitted::Tags), "{value}");
        }
    }
}
