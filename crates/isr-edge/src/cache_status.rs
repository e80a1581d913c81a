//! `Cache-Status`: what the cache did with a request, in the words of RFC 9211.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field (RFC 9211 §2).
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went to the origin (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// The cache was not configured, or not allowed, to handle the request.
    Bypass,
    /// The method's semantics require it.
    Method,
    /// Nothing was stored for the page.
    UriMiss,
    /// Nothing was stored for the variant.
    VaryMiss,
    /// The request's directives required it.
    Request,
    /// What was stored was stale, or had been invalidated.
    Stale,
}

impl Forward {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

/// One member of the field: this cache's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheStatus {
    /// Why the request was forwarded; `None` is a hit, and never both (§2.1, §2.2).
    pub(crate) forward: Option<Forward>,
    /// The status of the origin's response, where it differs from the one sent (§2.3).
    pub(crate) forward_status: Option<u16>,
    /// How many seconds the response stays fresh; negative once it is stale (§2.4).
    pub(crate) ttl: Option<i64>,
    /// Whether the response is stored (§2.5).
    pub(crate) stored: bool,
    /// Whether the request waited for another's response (§2.6).
    pub(crate) collapsed: bool,
    /// What else there is to say, as a token (§2.8).
    pub(crate) detail: Option<&'static str>,
}

impl CacheStatus {
    /// A stored response that stays fresh for `ttl` seconds, or has been stale for as long.
    pub(crate) const fn hit(ttl: i64) -> Self {
        Self {
            ttl: Some(ttl),
            ..Self::NOTHING
        }
    }

    /// A request that went to the origin.
    pub(crate) const fn forwarded(why: Forward) -> Self {
        Self {
            forward: Some(why),
            ..Self::NOTHING
        }
    }

    /// The same with a detail.
    pub(crate) const fn with_detail(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    const NOTHING: Self = Self {
        forward: None,
        forward_status: None,
        ttl: None,
        stored: false,
        collapsed: false,
        detail: None,
    };

    /// Appends the member after those of caches nearer the origin (RFC 9211 §2).
    pub(crate) fn append_to(&self, headers: &mut HeaderMap) {
        headers.append(CACHE_STATUS, self.to_value());
    }

    fn to_value(self) -> HeaderValue {
        let mut text = String::with_capacity(64);
        text.push_str("edge-isr");
        match self.forward {
            None => text.push_str("; hit"),
            Some(why) => {
                text.push_str("; fwd=");
                text.push_str(why.as_str());
            }
        }
        let mut number = |name, value: Option<i64>| {
            if let Some(value) = value {
                write!(text, "; {name}={value}").expect("writing to a string cannot fail");
            }
        };
        number("fwd-status", self.forward_status.map(i64::from));
        number("ttl", self.ttl);
        for (set, flag) in [(self.stored, "; stored"), (self.collapsed, "; collapsed")] {
            if set {
                text.push_str(flag);
            }
        }
        if let Some(detail) = self.detail {
            text.push_str("; detail=");
            text.push_str(detail);
        }
        HeaderValue::try_from(text).expect("tokens and numbers are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_says_hit_or_why_not() {
        let stored = CacheStatus {
            forward_status: Some(304),
            stored: true,
            ..CacheStatus::forwarded(Forward::Stale)
        };
        let collapsed = CacheStatus {
            collapsed: true,
            ..CacheStatus::forwarded(Forward::UriMiss)
        };
        let rows = [
            (CacheStatus::hit(30), "edge-isr; hit; ttl=30"),
            (
                CacheStatus::hit(-5).with_detail("invalidated"),
                "edge-isr; hit; ttl=-5; detail=invalidated",
            ),
            (stored, "edge-isr; fwd=stale; fwd-status=304; stored"),
            (collapsed, "edge-isr; fwd=uri-miss; collapsed"),
            (
                CacheStatus::forwarded(Forward::Bypass),
                "edge-isr; fwd=bypass",
            ),
        ];
        for (status, expected) in rows {
            assert_eq!(status.to_value(), expected);
        }
    }

    #[test]
    fn members_of_caches_nearer_the_origin_come_first() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_STATUS, HeaderValue::from_static("inner; hit"));
        CacheStatus::hit(1).append_to(&mut headers);
        let members: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(members, ["inner; hit", "edge-isr; hit; ttl=1"]);
    }
}
