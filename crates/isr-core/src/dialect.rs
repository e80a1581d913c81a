//! Dialects: how lifetimes are written for each kind of CDN.

use http::header::{CACHE_CONTROL, EXPIRES};
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use crate::cache_control::{
    CDN_CACHE_CONTROL, CLOUDFLARE_CDN_CACHE_CONTROL, CacheControl, SURROGATE_CONTROL,
    TARGETED_FIELDS,
};
use crate::lifetimes::{Lifetimes, Scope};

/// How a tier wants to be told for how long it may keep a response.
///
/// The same lifetimes are written differently for each, because the field that is right for one is
/// wrong for another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dialect {
    /// No CDN in particular: `Cache-Control: public, s-maxage=…, stale-while-revalidate=…`, and
    /// `max-age` only when the policy has a lifetime for browsers. The default.
    #[default]
    Standard,
    /// CDNs that read `Cache-Control` and nothing else (`CloudFront`, Varnish, nginx): as
    /// [`Dialect::Standard`], but browsers are told to revalidate (`max-age=0`) when the policy has
    /// no lifetime for them.
    CacheControlOnly,
    /// CDNs that read `CDN-Cache-Control` (RFC 9213 §3.1), such as Netlify and Vercel.
    /// `Cache-Control` then speaks to browsers alone.
    CdnCacheControl,
    /// Cloudflare: `Cloudflare-CDN-Cache-Control`, which it removes, with `max-age`; there,
    /// `s-maxage` and `must-revalidate` would switch `stale-while-revalidate` off.
    Cloudflare,
    /// Fastly: `Surrogate-Control`, which it removes.
    SurrogateControl,
}

impl Dialect {
    /// The dialect's name in configuration and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::CacheControlOnly => "cache_control_only",
            Self::CdnCacheControl => "cdn_cache_control",
            Self::Cloudflare => "cloudflare",
            Self::SurrogateControl => "surrogate_control",
        }
    }

    /// Writes lifetimes for one tier; see [`Dialect::write_all`].
    pub fn write(self, lifetimes: Lifetimes, headers: &mut HeaderMap) {
        Self::write_all(&[self], lifetimes, headers);
    }

    /// Writes lifetimes so that every tier that speaks one of `dialects` understands them; no
    /// dialect is as [`Dialect::Standard`].
    ///
    /// What the response said before is replaced whole: `Cache-Control`, `Expires` and each field
    /// that some CDN would prefer to them. Lifetimes are written with their seconds always, since
    /// some CDNs ignore a `stale-while-revalidate` that has none, and those of 0 seconds not at all.
    /// A response that no shared cache may keep says so in `Cache-Control` and in each dialect.
    pub fn write_all(dialects: &[Self], lifetimes: Lifetimes, headers: &mut HeaderMap) {
        headers.remove(EXPIRES);
        for field in TARGETED_FIELDS {
            headers.remove(field);
        }
        for dialect in dialects {
            let targeted = dialect
                .targeted_field()
                .zip(dialect.targeted(lifetimes).to_value());
            if let Some((field, value)) = targeted {
                headers.insert(field, value);
            }
        }
        let value = cache_control(dialects, lifetimes).to_value();
        headers.insert(CACHE_CONTROL, value.expect("every scope sets a directive"));
    }

    /// The field that this dialect has beside `Cache-Control`.
    const fn targeted_field(self) -> Option<HeaderName> {
        match self {
            Self::Standard | Self::CacheControlOnly => None,
            Self::CdnCacheControl => Some(CDN_CACHE_CONTROL),
            Self::Cloudflare => Some(CLOUDFLARE_CDN_CACHE_CONTROL),
            Self::SurrogateControl => Some(SURROGATE_CONTROL),
        }
    }

    /// What the targeted field says.
    fn targeted(self, lifetimes: Lifetimes) -> CacheControl {
        let none = CacheControl::default();
        match lifetimes.scope() {
            Scope::Shared {
                s_maxage,
                stale_while_revalidate,
                stale_if_error,
                ..
            } => CacheControl {
                max_age: Some(s_maxage),
                stale_while_revalidate: unless_zero(stale_while_revalidate),
                stale_if_error: unless_zero(stale_if_error),
                ..none
            },
            // Fastly looks for a `max-age` here, whatever stands beside it.
            Scope::Unshared | Scope::NoStore if self == Self::SurrogateControl => CacheControl {
                no_store: true,
                max_age: Some(0),
                ..none
            },
            Scope::Unshared | Scope::NoStore => CacheControl {
                no_store: true,
                ..none
            },
        }
    }
}

/// What `Cache-Control` says: to browsers, and to the tiers that read no other field.
fn cache_control(dialects: &[Dialect], lifetimes: Lifetimes) -> CacheControl {
    let none = CacheControl::default();
    let is_plain = |dialect: &Dialect| dialect.targeted_field().is_none();
    let for_tiers = dialects.is_empty() || dialects.iter().any(is_plain);
    let silent_to_browsers = dialects.iter().all(|dialect| *dialect == Dialect::Standard);
    match lifetimes.scope() {
        Scope::Shared {
            s_maxage,
            stale_while_revalidate,
            stale_if_error,
            browser_max_age,
        } => {
            let max_age = match browser_max_age {
                None if silent_to_browsers => None,
                max_age => Some(max_age.unwrap_or(0)),
            };
            let browsers = CacheControl {
                public: true,
                max_age,
                ..none
            };
            if !for_tiers {
                return browsers;
            }
            CacheControl {
                s_maxage: Some(s_maxage),
                stale_while_revalidate: unless_zero(stale_while_revalidate),
                stale_if_error: unless_zero(stale_if_error),
                ..browsers
            }
        }
        Scope::Unshared => CacheControl {
            private: true,
            no_cache: true,
            ..none
        },
        Scope::NoStore => CacheControl {
            private: true,
            no_store: true,
            ..none
        },
    }
}

const fn unless_zero(seconds: u32) -> Option<u32> {
    if seconds == 0 { None } else { Some(seconds) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Every field written, as `name: value` lines in order.
    fn written(dialects: &[Dialect], lifetimes: Lifetimes) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for stale in TARGETED_FIELDS.into_iter().chain([CACHE_CONTROL, EXPIRES]) {
            headers.append(stale, HeaderValue::from_static("public, max-age=9999"));
        }
        Dialect::write_all(dialects, lifetimes, &mut headers);
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn lifetimes_are_written_as_each_tier_reads_them() {
        use Dialect::*;
        let full = Lifetimes::shared(600, 60, 30, None);
        let browser = Lifetimes::shared(600, 60, 30, Some(5));
        let plain = Lifetimes::shared(600, 60, 0, None);
        let rows: &[(&[Dialect], Lifetimes, &[&str])] = &[
            (
                &[],
                plain,
                &["cache-control: public, s-maxage=600, stale-while-revalidate=60"],
            ),
            (
                &[Standard],
                plain,
                &["cache-control: public, s-maxage=600, stale-while-revalidate=60"],
            ),
            (
                &[Standard],
                Lifetimes::shared(600, 0, 0, None),
                &["cache-control: public, s-maxage=600"],
            ),
            (
                &[Standard],
                browser,
                &[
                    "cache-control: public, max-age=5, s-maxage=600, stale-while-revalidate=60, stale-if-error=30",
                ],
            ),
            (
                &[CacheControlOnly],
                full,
                &[
                    "cache-control: public, max-age=0, s-maxage=600, stale-while-revalidate=60, stale-if-error=30",
                ],
            ),
            (
                &[CdnCacheControl],
                full,
                &[
                    "cache-control: public, max-age=0",
                    "cdn-cache-control: max-age=600, stale-while-revalidate=60, stale-if-error=30",
                ],
            ),
            (
                &[Cloudflare],
                browser,
                &[
                    "cache-control: public, max-age=5",
                    "cloudflare-cdn-cache-control: max-age=600, stale-while-revalidate=60, stale-if-error=30",
                ],
            ),
            (
                &[SurrogateControl],
                plain,
                &[
                    "cache-control: public, max-age=0",
                    "surrogate-control: max-age=600, stale-while-revalidate=60",
                ],
            ),
            (
                &[Cloudflare, CacheControlOnly],
                plain,
                &[
                    "cache-control: public, max-age=0, s-maxage=600, stale-while-revalidate=60",
                    "cloudflare-cdn-cache-control: max-age=600, stale-while-revalidate=60",
                ],
            ),
        ];
        for (dialects, lifetimes, expected) in rows {
            assert_eq!(written(dialects, *lifetimes), *expected, "for {dialects:?}");
        }
    }

    #[test]
    fn a_superseded_response_is_kept_by_nobody() {
        use Dialect::*;
        let rows: &[(Dialect, &[&str])] = &[
            (Standard, &["cache-control: private, no-store"]),
            (CacheControlOnly, &["cache-control: private, no-store"]),
            (
                CdnCacheControl,
                &[
                    "cache-control: private, no-store",
                    "cdn-cache-control: no-store",
                ],
            ),
            (
                Cloudflare,
                &[
                    "cache-control: private, no-store",
                    "cloudflare-cdn-cache-control: no-store",
                ],
            ),
            (
                SurrogateControl,
                &[
                    "cache-control: private, no-store",
                    "surrogate-control: no-store, max-age=0",
                ],
            ),
        ];
        for (dialect, expected) in rows {
            assert_eq!(written(&[*dialect], Lifetimes::superseded()), *expected);
        }
    }

    #[test]
    fn an_unshared_response_is_for_its_browser_only() {
        let lines = written(&[Dialect::CdnCacheControl], Lifetimes::unshared());
        assert_eq!(
            lines,
            [
                "cache-control: private, no-cache",
                "cdn-cache-control: no-store"
            ]
        );
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        for dialect in [
            Dialect::Standard,
            Dialect::CacheControlOnly,
            Dialect::CdnCacheControl,
        ] {
            let json = serde_json::to_string(&dialect).unwrap();
            assert_eq!(json, format!("\"{}\"", dialect.as_str()));
        }
    }
}
