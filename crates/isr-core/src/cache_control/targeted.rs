//! Fields that speak to some caches only: RFC 9213 and its forerunner `Surrogate-Control`.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::{Argument, CacheControl, grammar};

/// `CDN-Cache-Control` (RFC 9213 §3.1).
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// `Cloudflare-CDN-Cache-Control`, a targeted field that only Cloudflare reads, and removes.
pub const CLOUDFLARE_CDN_CACHE_CONTROL: HeaderName =
    HeaderName::from_static("cloudflare-cdn-cache-control");

/// `Surrogate-Control` (Edge Architecture Specification 1.0, a W3C note), as Fastly reads it.
pub const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// Every field by which a response speaks to CDNs apart from `Cache-Control`.
pub(crate) const TARGETED_FIELDS: [HeaderName; 3] = [
    CLOUDFLARE_CDN_CACHE_CONTROL,
    CDN_CACHE_CONTROL,
    SURROGATE_CONTROL,
];

impl CacheControl {
    /// Reads a targeted field: a structured dictionary (RFC 9213 §2.1), or the older grammar where
    /// the field is `Surrogate-Control`.
    ///
    /// `None` when the field is absent, empty or malformed: then it must be ignored (§2.2), and
    /// the next one, in the end `Cache-Control`, speaks in its place.
    #[must_use]
    pub fn targeted(headers: &HeaderMap, field: &HeaderName) -> Option<Self> {
        if *field == SURROGATE_CONTROL {
            return surrogate(headers);
        }
        let lines: Vec<&[u8]> = headers
            .get_all(field)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let dictionary: Dictionary = Parser::new(&lines.join(&b", "[..])).parse().ok()?;
        let mut read = Self::default();
        for (name, entry) in &dictionary {
            let argument = match entry {
                ListEntry::Item(item) => match &item.bare_item {
                    BareItem::Boolean(false) => continue,
                    BareItem::Boolean(true) => Argument::Absent,
                    BareItem::Integer(seconds) => seconds_of(i64::from(*seconds)),
                    _ => Argument::Other,
                },
                ListEntry::InnerList(_) => Argument::Other,
            };
            read.apply(name.as_str().as_bytes(), argument);
        }
        (!dictionary.is_empty()).then(|| read.settled())
    }

    /// What governs a cache that looks at the targeted fields of `targets`, in that order, before
    /// `Cache-Control`: the first that is valid, and then it alone (RFC 9213 §2.2).
    #[must_use]
    pub fn governing(headers: &HeaderMap, targets: &[HeaderName]) -> Self {
        let targeted = targets
            .iter()
            .find_map(|field| Self::targeted(headers, field));
        targeted.unwrap_or_else(|| Self::of(headers))
    }
}

fn seconds_of(seconds: i64) -> Argument {
    match u64::try_from(seconds) {
        Ok(seconds) => {
            let most = CacheControl::MOST_SECONDS;
            Argument::Seconds(u32::try_from(seconds).map_or(most, |seconds| seconds.min(most)))
        }
        Err(_) => Argument::Other,
    }
}

/// Reads `Surrogate-Control`. Directives aimed at one surrogate by name (`max-age=60;abc`) are for
/// another cache, except for those that forbid storing; in `max-age=60+30` the part after the plus
/// is dropped.
fn surrogate(headers: &HeaderMap) -> Option<CacheControl> {
    let mut read = CacheControl::default();
    let lines = headers
        .get_all(SURROGATE_CONTROL)
        .iter()
        .map(HeaderValue::as_bytes);
    for member in lines.flat_map(grammar::members) {
        let mut parts = member.split(|byte| *byte == b';');
        let directive = parts.next().unwrap_or_default().trim_ascii();
        let (name, _) = grammar::directive(directive);
        let forbids = matches!(
            name.to_ascii_lowercase().as_slice(),
            b"no-store" | b"private"
        );
        if forbids || parts.next().is_none() {
            let fresh = directive
                .split(|byte| *byte == b'+')
                .next()
                .unwrap_or_default();
            let (name, argument) = grammar::directive(fresh);
            read.apply(name, argument);
        }
    }
    (!read.is_empty()).then(|| read.settled())
}
