//! Whether a response may be kept by shared caches at all: the guards of privacy.

use std::fmt;

use http::header::{AUTHORIZATION, COOKIE, EXPIRES, SET_COOKIE};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::cache_control::{CacheControl, TARGETED_FIELDS};
use crate::excerpt::excerpt;
use crate::vary::VaryRule;

/// Why a response may not be kept by shared caches. The first reason found, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotShareable {
    /// The request is neither GET nor HEAD (RFC 9111 §3).
    Method,
    /// The request has `Authorization` (RFC 9111 §3.5). The exceptions of that section are not made.
    Authorization,
    /// The request has a cookie that is not known to be without effect on the page.
    Cookie,
    /// The request has `Cache-Control: no-store` (RFC 9111 §5.2.1.5).
    RequestNoStore,
    /// The status is neither final nor one that stands for a page (RFC 9111 §3, RFC 9110 §15.1).
    Status,
    /// A temporary redirect without a lifetime of its own (RFC 9110 §15.4.3, §15.4.8).
    NoLifetime,
    /// The response sets a cookie (RFC 9111 §7.3).
    SetCookie,
    /// The response has `no-store` (RFC 9111 §5.2.2.5).
    NoStore,
    /// The response has `private` (RFC 9111 §5.2.2.7).
    Private,
    /// The response has `no-cache` (RFC 9111 §5.2.2.4): it could be kept, but never used unasked.
    NoCache,
    /// The response has `Vary: *`, or one that cannot be read (RFC 9111 §4.1).
    VaryStar,
}

/// What a site says about its responses that the responses do not say themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShareRules {
    /// Cookies that have no effect on any page. Default: none.
    pub ignored_cookies: CookieNames,
    /// Targeted fields that speak in place of `Cache-Control`, in order of preference (RFC 9213
    /// §2.2). `private` and `no-store` in any other of the known ones count all the same. Default: none.
    pub targets: Vec<HeaderName>,
    /// Whether a policy states a lifetime for the page, so that temporary redirects may be kept too.
    /// Default: `false`.
    pub has_policy: bool,
}

/// Says whether shared caches may keep a response to a request, and if not, why.
///
/// `Ok` permits and demands nothing: the response may still be stale from the start, or be one to a
/// HEAD. A 304 is judged as the response that it stands for, not here.
///
/// # Errors
///
/// The first reason why they may not.
pub fn shareable(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    rules: &ShareRules,
) -> Result<(), NotShareable> {
    shareable_request(method, request, rules)?;
    shareable_response(status, response, rules)
}

/// The part of [`shareable`] that is known before there is a response.
///
/// # Errors
///
/// The first reason why no response to this request may be kept.
pub fn shareable_request(
    method: &Method,
    request: &HeaderMap,
    rules: &ShareRules,
) -> Result<(), NotShareable> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        Err(NotShareable::Method)
    } else if request.contains_key(AUTHORIZATION) {
        Err(NotShareable::Authorization)
    } else if !rules.ignored_cookies.contain_all(request) {
        Err(NotShareable::Cookie)
    } else if CacheControl::of(request).no_store {
        Err(NotShareable::RequestNoStore)
    } else {
        Ok(())
    }
}

/// The part of [`shareable`] that is about the response alone.
///
/// # Errors
///
/// The first reason why the response may not be kept.
pub fn shareable_response(
    status: StatusCode,
    response: &HeaderMap,
    rules: &ShareRules,
) -> Result<(), NotShareable> {
    let control = CacheControl::governing(response, &rules.targets);
    check_status(status, response, &control, rules)?;
    let forbids = |forbidden: fn(&CacheControl) -> bool| {
        let mut others = TARGETED_FIELDS
            .into_iter()
            .filter(|field| !rules.targets.contains(field))
            .filter_map(|field| CacheControl::targeted(response, &field));
        forbidden(&control) || others.any(|control| forbidden(&control))
    };
    if response.contains_key(SET_COOKIE) {
        Err(NotShareable::SetCookie)
    } else if forbids(|control| control.no_store) {
        Err(NotShareable::NoStore)
    } else if forbids(|control| control.private) {
        Err(NotShareable::Private)
    } else if control.no_cache {
        Err(NotShareable::NoCache)
    } else if VaryRule::of(response) == VaryRule::Star {
        Err(NotShareable::VaryStar)
    } else {
        Ok(())
    }
}

/// Pages are what was found, what has moved, and what is known not to be there. Anything else,
/// above all errors of the server, is the state of a moment.
fn check_status(
    status: StatusCode,
    response: &HeaderMap,
    control: &CacheControl,
    rules: &ShareRules,
) -> Result<(), NotShareable> {
    match status.as_u16() {
        200 | 203 | 301 | 308 | 404 | 410 => Ok(()),
        302 | 307 => {
            let stated = control.shared_freshness().is_some() || response.contains_key(EXPIRES);
            if stated || rules.has_policy {
                Ok(())
            } else {
                Err(NotShareable::NoLifetime)
            }
        }
        _ => Err(NotShareable::Status),
    }
}

impl NotShareable {
    /// Every reason, in the order in which they are looked for.
    pub const ALL: [Self; 11] = [
        Self::Method,
        Self::Authorization,
        Self::Cookie,
        Self::RequestNoStore,
        Self::Status,
        Self::NoLifetime,
        Self::SetCookie,
        Self::NoStore,
        Self::Private,
        Self::NoCache,
        Self::VaryStar,
    ];

    /// The reason as a metric label and as the `detail` of `Cache-Status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::RequestNoStore => "request_no_store",
            Self::Status => "status",
            Self::NoLifetime => "no_lifetime",
            Self::SetCookie => "set_cookie",
            Self::NoStore => "no_store",
            Self::Private => "private",
            Self::NoCache => "no_cache",
            Self::VaryStar => "vary_star",
        }
    }
}

impl fmt::Display for NotShareable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A list of cookie names, each whole or, with a trailing `*`, a beginning: `_ga*`. Upper and lower
/// case differ (RFC 6265 §4.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieNames(Vec<String>);

/// An entry of a list of cookie names that cannot match what its writer meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cookie `{name}` cannot be matched: write a name, without = and ;, or the beginning of one \
     with a single * after it"
)]
pub struct InvalidCookieName {
    name: String,
}

impl CookieNames {
    /// A list of names; `*` alone stands for every cookie.
    ///
    /// # Errors
    ///
    /// Refused are empty names, a `*` elsewhere than at the end, and characters other than visible
    /// ASCII without `=`, `;` and `,`.
    pub fn new<S: Into<String>>(
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidCookieName> {
        let checked = names.into_iter().map(|name| {
            let name = name.into();
            let text = name.strip_suffix('*').unwrap_or(&name);
            let fits = |byte: u8| byte.is_ascii_graphic() && !b"=;,*".contains(&byte);
            let good = !name.is_empty() && text.bytes().all(fits);
            if good {
                Ok(name)
            } else {
                Err(InvalidCookieName {
                    name: excerpt(&name),
                })
            }
        });
        checked.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the list has every cookie of a request; a cookie without a name is in no list but `*`.
    fn contain_all(&self, request: &HeaderMap) -> bool {
        let lines = request.get_all(COOKIE).iter();
        lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            .map(<[u8]>::trim_ascii)
            .filter(|cookie| !cookie.is_empty())
            .all(|cookie| {
                let named = cookie.iter().position(|byte| *byte == b'=');
                self.contain(cookie[..named.unwrap_or(0)].trim_ascii_end())
            })
    }

    fn contain(&self, name: &[u8]) -> bool {
        self.0.iter().any(|entry| match entry.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning.as_bytes()),
            None => name == entry.as_bytes(),
        })
    }
}

#[cfg(test)]
mod tests;
