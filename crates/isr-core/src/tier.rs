//! A tier as the site's owner has configured it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Capabilities, CdnConnector, PageUrl, Target};

/// A connector, and what the site's owner says about it.
#[derive(Clone, Debug)]
pub struct Tier {
    /// What it is purged with.
    pub connector: Arc<dyn CdnConnector>,
    /// The name that all machines of one connector have in common: its own in the configuration. They read
    /// the same header fields, so what one was not told of a page none of them was.
    pub group: String,
    /// The hosts whose pages it keeps.
    pub hosts: HostPatterns,
    /// When to purge more than was asked for, rather than very many pages one by one; `None` never.
    pub escalation: Option<Escalation>,
}

impl Tier {
    /// A tier that keeps every page, and is never purged by more than was asked for.
    #[must_use]
    pub fn new(connector: Arc<dyn CdnConnector>) -> Self {
        Self {
            group: connector.name().to_owned(),
            connector,
            hosts: HostPatterns::default(),
            escalation: None,
        }
    }

    /// The connector's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.connector.name()
    }

    /// What the connector can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.connector.capabilities()
    }

    /// Whether a target can be aimed at anything that the tier keeps. A tag may be on any host.
    #[must_use]
    pub fn may_keep(&self, target: &Target) -> bool {
        match target {
            Target::Url(page) | Target::Prefix(page) => self.hosts.serve(page.host()),
            Target::Host(host) => self.hosts.serve(host),
            Target::Tag(_) | Target::Everything => true,
        }
    }
}

/// What to purge instead of more than a number of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// The most pages of one target that are purged one by one.
    pub above: u64,
    /// What is purged instead.
    pub to: EscalateTo,
}

/// What is purged instead of very many pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EscalateTo {
    /// The longest path that all of them are beneath, on each host.
    Prefix,
    /// Everything that the tier keeps.
    Everything,
}

/// The hosts that a tier serves. None at all means every host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPatterns(Vec<HostPattern>);

impl HostPatterns {
    /// Patterns; an empty list serves every host.
    #[must_use]
    pub fn new(patterns: impl IntoIterator<Item = HostPattern>) -> Self {
        Self(patterns.into_iter().collect())
    }

    /// Whether a host, written as [`PageUrl::host`] gives it, is served.
    #[must_use]
    pub fn serve(&self, host: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(host))
    }

    /// Whether a page's host is served.
    #[must_use]
    pub fn serve_page(&self, page: &PageUrl) -> bool {
        self.serve(page.host())
    }
}

/// A host such as `www.example.com`, or with `*.` in front every host beneath it, at any depth.
///
/// A pattern without a port matches the host at every port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    beneath: bool,
}

/// A text that is not a [`HostPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no host: write www.example.com, or *.example.com for all hosts beneath it, without a scheme or path"
)]
pub struct InvalidHostPattern(String);

impl HostPattern {
    /// Whether a host, written as [`PageUrl::host`] gives it, matches.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        self.matches_exactly(host) || without_port(host).is_some_and(|h| self.matches_exactly(h))
    }

    fn matches_exactly(&self, host: &str) -> bool {
        if self.beneath {
            host.strip_suffix(&self.host)
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty())
        } else {
            host == self.host
        }
    }
}

/// A host without its port, if it has one.
fn without_port(host: &str) -> Option<&str> {
    let (host, port) = host.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && (!host.contains(':') || host.ends_with(']'))).then_some(host)
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (beneath, host) = match text.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, text),
        };
        let invalid = || InvalidHostPattern(text.to_owned());
        // As page URLs have it: in lower case, and in ASCII.
        let url = PageUrl::parse(&format!("http://{host}/")).map_err(|_| invalid())?;
        if url.path() != "/" || url.query().is_some() || host.contains(['/', '?', '#', '@', '*']) {
            return Err(invalid());
        }
        Ok(Self {
            host: url.host().to_owned(),
            beneath,
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.beneath { "*." } else { "" }, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serves(patterns: &[&str], host: &str) -> bool {
        HostPatterns::new(patterns.iter().map(|pattern| pattern.parse().unwrap())).serve(host)
    }

    #[test]
    fn hosts_are_matched_whole() {
        assert!(serves(&[], "any.example"));
        assert!(serves(&["www.example.com"], "www.example.com"));
        assert!(serves(&["WWW.Example.com"], "www.example.com"));
        assert!(serves(&["www.example.com"], "www.example.com:8080"));
        assert!(!serves(&["www.example.com:8080"], "www.example.com"));
        assert!(serves(&["127.0.0.1:8080"], "127.0.0.1:8080"));
        assert!(serves(&["[::1]"], "[::1]:8080"));
        assert!(!serves(&["example.com"], "www.example.com"));
        assert!(!serves(&["www.example.com"], "xwww.example.com"));
    }

    #[test]
    fn a_wildcard_stands_for_hosts_beneath_and_not_for_the_host_itself() {
        assert!(serves(&["*.shop.example.com"], "a.shop.example.com"));
        assert!(serves(&["*.shop.example.com"], "a.b.shop.example.com:81"));
        assert!(!serves(&["*.shop.example.com"], "shop.example.com"));
        assert!(!serves(&["*.shop.example.com"], "workshop.example.com"));
        assert!(!serves(&["*.shop.example.com"], "ashop.example.com"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "a.example/x",
            "https://a.example",
            "a.*.example",
            "a@b",
            "a b",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text:?}");
        }
    }
}
