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
    /// No shared cache, on our part.
    Withheld {
        /// Whether what the response itself says of caching is left to stand.
        own_word_stands: bool,
    },
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
        return Standing::Withheld {
            own_word_stands: false,
        };
    }
    let Some(policy) = &draft.policy else {
        return Standing::Alone;
    };
    let (setup, visit) = (page.setup(), page.visit());
    // A 304 that the handler made renews the 200 that some cache has.
    let stands_for = if status == StatusCode::NOT_MODIFIED {
        StatusCode::OK
    } else {
        status
    };
    match shareable(
        &asked.method,
        &asked.headers,
        stands_for,
        headers,
        &setup.share_rules,
    ) {
        Err(NotShareable::SetCookie) => Standing::Withheld {
            own_word_stands: false,
        },
        Err(_) => Standing::Withheld {
            own_word_stands: true,
        },
        Ok(()) if visit.url.is_none() => Standing::Withheld {
            own_word_stands: true,
        },
        Ok(()) if !visit.canonical && !setup.options.tiers_normalise_urls => Standing::Withheld {
            own_word_stands: false,
        },
        Ok(()) => Standing::Page(term(setup, policy, stands_for, headers)),
    }
}

fn term(setup: &Setup, policy: &Policy, status: StatusCode, headers: &HeaderMap) -> Term {
    let lifetimes = match status {
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => policy.lifetimes(),
        _ => policy.lifetimes().at_most(setup.options.absent_lifetime),
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
    let fresh = control
        .shared_freshness()
        .map(|seconds| Duration::from_secs(seconds.into()));
    let stale = control
        .stale_while_revalidate
        .max(control.stale_if_error)
        .unwrap_or(0);
    Term {
        written: None,
        unbound: lifetimes.at_most(fresh.unwrap_or(Duration::MAX)),
        // Without a lifetime a cache guesses one (RFC 9111 §4.2.2), and nobody knows which.
        kept: fresh.map_or(Duration::from_secs(Policy::LONGEST.into()), |fresh| {
            fresh + Duration::from_secs(stale.into())
        }),
    }
}

/// Keeps a response out of shared caches, unless it says so itself already: what it says may be
/// stricter.
pub(crate) fn withhold(setup: &Setup, own_word_stands: bool, headers: &mut HeaderMap) {
    let targeted = TARGETED_FIELDS
        .iter()
        .any(|field| headers.contains_key(field));
    let own = CacheControl::of(headers);
    let forbidden = (own.private || own.no_store) && !targeted;
    if !(forbidden || own_word_stands && speaks_for_itself(headers)) {
        Dialect::write_all(&setup.dialects, Lifetimes::unshared(), headers);
    }
}

/// Whether a response says anything about caching.
fn speaks_for_itself(headers: &HeaderMap) -> bool {
    let mut fields = [CACHE_CONTROL, EXPIRES].into_iter().chain(TARGETED_FIELDS);
    fields.any(|field| headers.contains_key(field))
}
