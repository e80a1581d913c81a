//! The origins that a service answers for.

use http::header::HOST;
use http::{HeaderMap, Uri};
use isr_core::SiteOrigin;

/// The public origins that a service answers for, as its configuration states them.
///
/// A page's URL is built from one of these and never from what a request says. With a single origin
/// the request's `Host` plays no part at all; with several it selects among them, and a request whose
/// host is none of them is for no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    first: SiteOrigin,
    others: Vec<SiteOrigin>,
}

impl Site {
    /// A site with one origin.
    #[must_use]
    pub const fn new(origin: SiteOrigin) -> Self {
        Self {
            first: origin,
            others: Vec::new(),
        }
    }

    /// The same site with one more origin.
    #[must_use]
    pub fn and(mut self, origin: SiteOrigin) -> Self {
        if self.first != origin && !self.others.contains(&origin) {
            self.others.push(origin);
        }
        self
    }

    /// The origin that a request is for. The authority of its target goes before `Host`
    /// (RFC 9110 §7.2).
    pub(crate) fn origin_of(&self, uri: &Uri, headers: &HeaderMap) -> Option<&SiteOrigin> {
        if self.others.is_empty() {
            return Some(&self.first);
        }
        let host = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => headers.get(HOST)?.to_str().ok()?,
        };
        let mut origins = std::iter::once(&self.first).chain(&self.others);
        origins.find(|origin| {
            // Parsed under each origin's scheme, because the default port depends on it.
            let asked = SiteOrigin::parse(&format!("{}://{host}", origin.scheme()));
            asked.is_ok_and(|asked| asked == **origin)
        })
    }
}

impl From<SiteOrigin> for Site {
    fn from(origin: SiteOrigin) -> Self {
        Self::new(origin)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn origin(text: &str) -> SiteOrigin {
        SiteOrigin::parse(text).unwrap()
    }

    fn selected<'a>(site: &'a Site, uri: &str, host: Option<&str>) -> Option<&'a str> {
        let host = host.map(|host| (HOST, HeaderValue::from_str(host).unwrap()));
        let headers: HeaderMap = host.into_iter().collect();
        site.origin_of(&uri.parse().unwrap(), &headers)
            .map(SiteOrigin::as_str)
    }

    #[test]
    fn a_single_origin_is_taken_whatever_the_request_says() {
        let site = Site::from(origin("https://a.example"));
        for host in [
            None,
            Some("a.example"),
            Some("evil.example"),
            Some("a b"),
            Some(""),
        ] {
            assert_eq!(
                selected(&site, "/", host),
                Some("https://a.example"),
                "{host:?}"
            );
        }
    }

    #[test]
    fn among_several_origins_the_host_selects_and_never_names_another() {
        let site = Site::new(origin("https://a.example"))
            .and(origin("https://b.example"))
            .and(origin("http://c.example:8080"));
        let rows = [
            (Some("a.example"), Some("https://a.example")),
            (Some("B.Example"), Some("https://b.example")),
            (Some("b.example:443"), Some("https://b.example")),
            (Some("b.example:80"), None),
            (Some("c.example:8080"), Some("http://c.example:8080")),
            (Some("c.example"), None),
            (Some("evil.example"), None),
            (Some("a.example/x"), None),
            (Some("user@a.example"), None),
            (Some(""), None),
            (None, None),
        ];
        for (host, expected) in rows {
            assert_eq!(selected(&site, "/", host), expected, "{host:?}");
        }
        let absolute = selected(&site, "http://b.example/x", Some("a.example"));
        assert_eq!(absolute, Some("https://b.example"));
    }
}
