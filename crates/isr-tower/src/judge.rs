//! Who may keep a response, and for how long.

use std::time::Duration;

use http::header::{CACHE_CONTROL, EXPIRES};
use http::{HeaderMap, StatusCode};
use isr_core::{CacheControl, Dialect, Lifetimes, NotShareable, Policy, shareable};

use crate::page::{Draft, Page};
use crate::parts::{Setup, TARGETED_FIELDS};
use crate::service::Asked;

/// Who may keep a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody has opted it in: it is none of our business.
    Alone,
    /// No shared cache, unless the response itself says otherwise.
    Unshared,
    /// No shared cache, whatever the response itself says.
    Private,
    /// Shared caches, once it is bound.
    Page(Term),
}

/// For how long shared caches may keep a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// What is written into the headers; `None` leaves the response's own word there.
    pub(crate) written: Option<Lifetimes>,
    /// The most that is written when the page could not be bound, before that is cut short.
    pub(crate) unbound: Lifetimes,
    /// How long any tier may have it, fresh or stale.
    pub(crate) kept: Duration,
}

/// Judges a response by what was said of it, the request, and its own headers.
pub(crate) fn judge(
    page: &Page,
    draft: &Draft,
    asked: &Asked,
    status: StatusCode,
    headers: &HeaderMap,
) -> Standing {
    if draft.private {
        return Standing::Private;
    }
    let Some(policy) = &draft.policy else {
        return Standing::Alone;
    };
    let (setup, visit) = (page.setup(), page.visit());
    let rules = &setup.share_rules;
    // A 304 that the handler made renews the 200 that some cache has.
    let stands_for = match status {
        StatusCode::NOT_MODIFIED => StatusCode::OK,
        status => status,
    };
    match shareable(&asked.method, &asked.headers, stands_for, headers, rules) {
        Err(NotShareable::SetCookie) => Standing::Private,
        Err(_) => Standing::Unshared,
        Ok(()) if visit.url.is_none() => Standing::Unshared,
        Ok(()) if !visit.canonical && !setup.options.tiers_normalise_urls => Standing::Private,
        Ok(()) => Standing::Page(term(setup, policy, stands_for, headers)),
    }
}

fn term(setup: &Setup, policy: &Policy, status: StatusCode, headers: &HeaderMap) -> Term {
    let lifetimes = match status {
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => policy.lifetimes(),
        _ => policy.lifetimes().at_most(setup.options.negative_lifetime),
    };
    if !speaks_for_itself(headers) {
        let kept = lifetimes.shared_lifetime();
        return Term {
            written: Some(lifetimes),
            unbound: lifetimes,
            kept,
        };
    }
    let control = CacheControl::governing(headers, &TARGETED_FIELDS);
    let stale = control.stale_while_revalidate.max(control.stale_if_error);
    let fresh = control.shared_freshness().map(seconds);
    Term {
        written: None,
        unbound: lifetimes.at_most(fresh.unwrap_or(Duration::MAX)),
        // Without a lifetime a cache guesses one (RFC 9111 §4.2.2), and nobody knows which.
        kept: fresh.unwrap_or(seconds(Policy::LONGEST)) + seconds(stale.unwrap_or(0)),
    }
}

const fn seconds(count: u32) -> Duration {
    Duration::from_secs(count as u64)
}

/// Keeps a response out of shared caches. What it says itself is left if it does so already: it may
/// be stricter.
pub(crate) fn keep_out(page: &Page, headers: &mut HeaderMap) {
    let mut targeted = TARGETED_FIELDS.into_iter();
    let own = CacheControl::of(headers);
    if !(own.private || own.no_store) || targeted.any(|field| headers.contains_key(field)) {
        Dialect::write_all(&page.dialects(), Lifetimes::unshared(), headers);
    }
}

/// Whether a response says anything about caching.
pub(crate) fn speaks_for_itself(headers: &HeaderMap) -> bool {
    let mut fields = [CACHE_CONTROL, EXPIRES].into_iter().chain(TARGETED_FIELDS);
    fields.any(|field| headers.contains_key(field))
}
