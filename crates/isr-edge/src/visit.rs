//! A visit: one GET or HEAD request for a page of the site, and what matters about it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, COOKIE, HOST, IF_MATCH, IF_UNMODIFIED_SINCE, PRAGMA, RANGE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use isr_core::{
    CacheControl, NormalisedUrl, NotShareable, PageUrl, SiteOrigin, WARMUP_HEADER, Warmup,
    shareable_request,
};

use crate::cache_status::Forward;
use crate::decide::Asked;
use crate::edge::Inner;
use crate::fields::HopByHop;

/// The address that a request came from, as an extension of the request. [`serve`](crate::serve()) sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Where a request came from and is going.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    /// When it arrived, by the clock.
    pub(crate) started: Duration,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) site: SiteOrigin,
    /// Path and query as the visitor spelled them.
    pub(crate) target: PathAndQuery,
    /// The page, when the target can be that of one.
    pub(crate) page: Option<NormalisedUrl>,
    /// What was said about the visitor's connection.
    pub(crate) hop: HopByHop,
}

/// A GET or HEAD for a page.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) errand: Errand,
    pub(crate) page: NormalisedUrl,
    pub(crate) method: Method,
    /// The visitor's fields, but for those about his connection, claims that nobody can check, and
    /// cookies that do not matter.
    pub(crate) headers: HeaderMap,
    /// What a verified warm-up request asks for.
    pub(crate) warm_up: Option<Warmup>,
    pub(crate) asked: Asked,
}

impl Errand {
    /// Reads where a request is going; `None` when its host is not the site's.
    pub(crate) fn of(inner: &Inner, parts: &Parts, hop: HopByHop) -> Option<Self> {
        let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        // The authority of an absolute target comes before `Host` (RFC 9112 §3.2.2).
        let host = parts
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or(named);
        let site = inner.options.site(host)?.clone();
        let root = || PathAndQuery::from_static("/");
        let target = parts.uri.path_and_query().cloned().unwrap_or_else(root);
        let page = inner.options.url_rules.page(&site, target.as_str()).ok();
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        Some(Self {
            started: inner.clock.now(),
            peer,
            site,
            target,
            page,
            hop,
        })
    }
}

impl Visit {
    /// Makes out what matters about a GET or HEAD for a page.
    pub(crate) fn new(
        inner: &Inner,
        errand: Errand,
        page: NormalisedUrl,
        parts: &mut Parts,
    ) -> Self {
        let headers = std::mem::take(&mut parts.headers);
        let mut visit = Self {
            warm_up: warm_up(inner, &page.url, &headers),
            errand,
            page,
            method: parts.method.clone(),
            headers,
            asked: Asked::default(),
        };
        let control = CacheControl::of(&visit.headers);
        visit.asked = Asked {
            bypass: visit.bypass(inner),
            only_if_cached: control.only_if_cached,
            insists: inner.options.honour_no_cache && insists(&visit.headers, &control),
            warm_up: visit.warm_up.is_some(),
        };
        visit
    }

    /// Whether it asks for a part of the page.
    pub(crate) fn wants_part(&self) -> bool {
        self.headers.contains_key(RANGE)
    }

    /// Why the request takes no part in caching. Cookies that do not matter are taken out of it, so
    /// that nothing can come to depend on them.
    fn bypass(&mut self, inner: &Inner) -> Option<Forward> {
        let odd = [IF_MATCH, IF_UNMODIFIED_SINCE];
        let hop = &self.errand.hop;
        let has_body = self
            .headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0");
        if has_body || hop.chunked || hop.upgrade.is_some() {
            return Some(Forward::Bypass);
        }
        if odd.iter().any(|name| self.headers.contains_key(name)) {
            return Some(Forward::Bypass);
        }
        match shareable_request(&self.method, &self.headers, inner.rules.unruled()) {
            Ok(()) => return None,
            Err(NotShareable::Cookie) => {}
            Err(_) => return Some(Forward::Bypass),
        }
        let route = inner.rules.route(&self.page.url);
        match shareable_request(&self.method, &self.headers, route.share) {
            Ok(()) => {
                self.headers.remove(COOKIE);
                None
            }
            Err(_) => Some(Forward::Bypass),
        }
    }
}

/// What a warm-up request asks for, if it proves to be one of ours. Others' claims are ignored.
fn warm_up(inner: &Inner, page: &PageUrl, headers: &HeaderMap) -> Option<Warmup> {
    let value = headers.get(WARMUP_HEADER)?;
    let key = inner.warmup_key.as_ref()?;
    key.verify(value, page, inner.clock.time_of_day()).ok()
}

/// Whether the request wants to be answered by the origin (RFC 9111 §5.2.1.1, §5.2.1.4, §5.4).
fn insists(headers: &HeaderMap, control: &CacheControl) -> bool {
    let pragma = || {
        headers
            .get(PRAGMA)
            .is_some_and(|value| value.as_bytes() == b"no-cache")
    };
    control.no_cache || control.max_age == Some(0) || (control.is_empty() && pragma())
}
