//! The rules by which a site's URLs become page URLs.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::{fmt, str::FromStr};

use url::Host;

use crate::page_url::{InvalidUrl, PageUrl, UrlFault};
use crate::query_filter::QueryFilter;
use crate::url_canonical::{Buffer, push_path_and_query, text};

/// The rules by which a site's URLs become page URLs.
///
/// Two URLs that come out the same are one page: it is fetched once and stored once. Whoever stores
/// a response under a page URL must therefore have fetched it by that URL, and not by the spelling
/// the visitor used, which the origin may answer differently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlRules {
    query: QueryFilter,
}

/// A page URL, and whether it was spelled that way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalisedUrl {
    /// The page.
    pub url: PageUrl,
    /// Whether the input was the canonical spelling already. A CDN stores a page under the URL as
    /// the visitor wrote it, so any other spelling is an alias that a purge of the page's URL misses.
    pub canonical: bool,
}

impl UrlRules {
    /// Rules with this filter for the query; [`UrlRules::default`] drops what tracks visitors.
    #[must_use]
    pub const fn new(query: QueryFilter) -> Self {
        Self { query }
    }

    /// Which parameters of the query count.
    #[must_use]
    pub const fn query(&self) -> &QueryFilter {
        &self.query
    }

    /// Brings an absolute URL into its canonical spelling.
    ///
    /// # Errors
    ///
    /// As [`PageUrl::parse`].
    pub fn normalise(&self, url: &str) -> Result<NormalisedUrl, InvalidUrl> {
        self.normalised(url)
            .map_err(|fault| InvalidUrl::new(url, fault))
    }

    /// The page at a path and query of a site: what a request's target means.
    ///
    /// The origin comes from the configuration and never from a request's `Host`, so no visitor
    /// can name a page of another site. Allocates the result and nothing else, unless the URL is
    /// longer than 512 bytes or has more than 16 parameters.
    ///
    /// # Errors
    ///
    /// Refused are targets that do not begin with `/` (such as the `*` of `OPTIONS`), with control
    /// characters or broken percent-encoding, and ones beyond the limits of a [`PageUrl`].
    pub fn page(
        &self,
        origin: &SiteOrigin,
        path_and_query: &str,
    ) -> Result<NormalisedUrl, InvalidUrl> {
        let invalid = |fault| InvalidUrl::new(path_and_query, fault);
        if !path_and_query.starts_with('/') {
            return Err(invalid(UrlFault::Path));
        }
        let mut out = Buffer::from_slice(origin.as_str().as_bytes());
        push_path_and_query(&mut out, path_and_query, &self.query).map_err(invalid)?;
        let canonical = &out[origin.as_str().len()..] == path_and_query.as_bytes();
        Ok(NormalisedUrl {
            url: PageUrl::from_canonical(text(&out)),
            canonical,
        })
    }

    fn normalised(&self, url: &str) -> Result<NormalisedUrl, UrlFault> {
        let (scheme, authority, rest) = split(url)?;
        let mut out = Buffer::new();
        push_origin(&mut out, scheme, authority)?;
        push_path_and_query(&mut out, rest, &self.query)?;
        let canonical = out.as_slice() == url.as_bytes();
        Ok(NormalisedUrl {
            url: PageUrl::from_canonical(text(&out)),
            canonical,
        })
    }
}

/// Scheme, host and port of a site, as its configuration states them: `https://example.com`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteOrigin(Arc<str>);

impl SiteOrigin {
    /// Reads an origin; a single `/` after it is allowed and dropped.
    ///
    /// # Errors
    ///
    /// Refused are other schemes than `http` and `https`, user information, an invalid host or
    /// port, and anything after the port.
    pub fn parse(origin: &str) -> Result<Self, InvalidUrl> {
        let read = || {
            let (scheme, authority, rest) = split(origin)?;
            if !matches!(rest, "" | "/") {
                return Err(UrlFault::NotAnOrigin);
            }
            let mut out = Buffer::new();
            push_origin(&mut out, scheme, authority)?;
            Ok(Self(text(&out).into()))
        };
        read().map_err(|fault| InvalidUrl::new(origin, fault))
    }

    /// The whole origin: `https://example.com:8443`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.parts().0
    }

    /// The host, with its port when that is not the scheme's default.
    #[must_use]
    pub fn host(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once("://").expect("an origin has a scheme")
    }
}

impl FromStr for SiteOrigin {
    type Err = InvalidUrl;

    fn from_str(origin: &str) -> Result<Self, Self::Err> {
        Self::parse(origin)
    }
}

impl fmt::Display for SiteOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SiteOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiteOrigin({})", self.0)
    }
}

/// The schemes that pages have.
#[derive(Clone, Copy)]
enum Scheme {
    Http,
    Https,
}

/// Splits an absolute URL into scheme, authority, and everything after it.
fn split(url: &str) -> Result<(Scheme, &str, &str), UrlFault> {
    if url.len() > PageUrl::MAX_LEN {
        return Err(UrlFault::TooLong);
    }
    let (scheme, rest) = url.split_once("://").ok_or(UrlFault::Scheme)?;
    let scheme = match scheme {
        scheme if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
        scheme if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        _ => return Err(UrlFault::Scheme),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.contains('@') {
        Err(UrlFault::UserInfo)
    } else {
        Ok((scheme, authority, rest))
    }
}

/// Appends scheme, host in lower case (an internationalised one as ASCII), and a port that is not
/// the scheme's default (RFC 3986 §6.2.2.1, §6.2.3).
fn push_origin(out: &mut Buffer, scheme: Scheme, authority: &str) -> Result<(), UrlFault> {
    let (name, default_port) = match scheme {
        Scheme::Http => ("http://", 80),
        Scheme::Https => ("https://", 443),
    };
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => {
            (&authority[..colon], &authority[colon + 1..])
        }
        _ => (authority, ""),
    };
    let port = match port {
        "" => default_port,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse::<u16>().map_err(|_| UrlFault::Port)?
        }
        _ => return Err(UrlFault::Port),
    };
    out.extend_from_slice(name.as_bytes());
    push_host(out, host)?;
    if port != default_port {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    Ok(())
}

/// Whether a domain is made of what names of hosts are made of. The URL Standard lets more through, also
/// the `*` that would mean any host to somebody further on.
fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty()
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    domain
        .strip_suffix('.')
        .unwrap_or(domain)
        .split('.')
        .all(is_label)
}

fn push_host(out: &mut Buffer, host: &str) -> Result<(), UrlFault> {
    let spelled = match Host::parse(host).map_err(|_| UrlFault::Host)? {
        Host::Domain(domain) if is_host_name(&domain) => domain,
        Host::Domain(_) => return Err(UrlFault::Host),
        Host::Ipv4(address) => Ipv4Addr::to_string(&address),
        Host::Ipv6(address) => format!("[{}]", Ipv6Addr::to_string(&address)),
    };
    out.extend_from_slice(spelled.as_bytes());
    Ok(())
}
