//! Page URLs: the identity of a page.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::excerpt::excerpt;
use crate::query_filter::QueryFilter;
use crate::url_rules::UrlRules;

/// The URL of a page in its canonical spelling.
///
/// Scheme and host are in lower case, the scheme's default port is dropped, the path begins with `/`
/// and has no dot segments (RFC 3986 §5.2.4), percent-encoding is in normal form (§6.2.2), there is
/// no fragment, and the parameters of the query are sorted by name. Which parameters count is up to
/// [`UrlRules`]. What normalising cannot make equal without knowing the site stays different: a
/// trailing slash, `%2F`, `+` and `%20`, an empty path segment.
///
/// A URL has at most [`PageUrl::MAX_LEN`] bytes, all ASCII, and at most [`PageUrl::MAX_SEGMENTS`]
/// path segments. A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageUrl(Arc<str>);

/// Why a text is not a [`PageUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("URL `{input}` {fault}")]
pub struct InvalidUrl {
    input: String,
    fault: UrlFault,
}

/// What is wrong with a text that is not a [`PageUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// It does not begin with `http://` or `https://`.
    #[error("is not absolute: begin it with http:// or https://")]
    Scheme,
    /// A path and query that does not begin with `/`.
    #[error("is not a path: begin it with /")]
    Path,
    /// User name or password before the host.
    #[error("holds a user name or password: remove it")]
    UserInfo,
    /// No host, or one that is no host name and no IP address.
    #[error("has no valid host: check what stands between // and the next /")]
    Host,
    /// A port that is no number from 0 to 65535.
    #[error("has no valid port: use a number up to 65535")]
    Port,
    /// A control character (0x00 to 0x1f, 0x7f).
    #[error("holds a control character: remove it")]
    Control,
    /// A `%` without two hexadecimal digits after it (RFC 3986 §2.1).
    #[error("holds a % without two hexadecimal digits: write %25 for a percent sign")]
    Percent,
    /// More than [`PageUrl::MAX_LEN`] bytes.
    #[error("is too long: a page URL has at most {} bytes", PageUrl::MAX_LEN)]
    TooLong,
    /// More than [`PageUrl::MAX_SEGMENTS`] path segments.
    #[error(
        "is too deep: a page URL has at most {} path segments",
        PageUrl::MAX_SEGMENTS
    )]
    TooDeep,
    /// A path, query or fragment where only scheme, host and port may stand.
    #[error("holds more than scheme, host and port: remove the rest")]
    NotAnOrigin,
}

impl InvalidUrl {
    pub(crate) fn new(input: &str, fault: UrlFault) -> Self {
        Self {
            input: excerpt(input),
            fault,
        }
    }

    /// The text that was refused, escaped and shortened to what a log line bears.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> UrlFault {
        self.fault
    }
}

impl PageUrl {
    /// The longest page URL, in bytes: 8 KiB.
    pub const MAX_LEN: usize = 8 * 1024;

    /// The most path segments of a page URL. It bounds what is looked up for one page.
    pub const MAX_SEGMENTS: usize = 64;

    /// Brings an absolute URL into its canonical spelling by the default [`UrlRules`].
    ///
    /// # Errors
    ///
    /// Refused are URLs of other schemes than `http` and `https`, with user information, without a
    /// valid host, with control characters or broken percent-encoding, and ones beyond the limits.
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        UrlRules::default()
            .normalise(url)
            .map(|normalised| normalised.url)
    }

    /// Reads a URL that was a page URL when it was written down, whatever the rules were then: it
    /// is checked, and every parameter is kept.
    ///
    /// # Errors
    ///
    /// As [`PageUrl::parse`].
    pub fn from_stored(url: &str) -> Result<Self, InvalidUrl> {
        UrlRules::new(QueryFilter::KeepAll)
            .normalise(url)
            .map(|normalised| normalised.url)
    }

    /// Takes a text that is canonical already.
    pub(crate) fn from_canonical(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        if self.0.starts_with("https") {
            "https"
        } else {
            "http"
        }
    }

    /// The host, with its port when that is not the scheme's default: `example.com:8080`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0[self.host_start()..self.path_start()]
    }

    /// Scheme and host: `https://example.com`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0[..self.path_start()]
    }

    /// The path; it begins with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0[self.path_start()..self.path_end()]
    }

    /// The query without its `?`, when there is one. It is never empty.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.0.get(self.path_end() + 1..)
    }

    /// Path and query, as they stand in a request.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.0[self.path_start()..]
    }

    /// The same page without its query.
    #[must_use]
    pub fn without_query(&self) -> Self {
        let end = self.path_end();
        if end == self.0.len() {
            self.clone()
        } else {
            Self(self.0[..end].into())
        }
    }

    /// Every URL prefix that covers this page, shortest first: what a purge by prefix is compared with.
    ///
    /// A prefix ends where a path segment ends, with or without the slash that follows, and holds
    /// no query. So `https://h/a` covers `/a`, `/a?x`, `/a/` and `/a/b` but never `/ab`, and
    /// `https://h/a/` covers `/a/` and `/a/b` but not `/a`. There are at most twice
    /// [`PageUrl::MAX_SEGMENTS`] of them.
    ///
    /// ```
    /// use isr_core::PageUrl;
    ///
    /// let page = PageUrl::parse("https://h/a/b?x=1")?;
    /// let prefixes: Vec<&str> = page.ancestors().collect();
    /// assert_eq!(prefixes, ["https://h/", "https://h/a", "https://h/a/", "https://h/a/b"]);
    /// # Ok::<(), isr_core::InvalidUrl>(())
    /// ```
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        let (start, end) = (self.path_start(), self.path_end());
        let path = &self.0[start..end];
        let slashes = path.match_indices('/').map(|(slash, _)| slash);
        slashes
            .flat_map(move |slash| {
                let closes_segment = !path[..slash].ends_with('/') && slash > 0;
                [closes_segment.then_some(slash), Some(slash + 1)]
            })
            .flatten()
            .chain((!path.ends_with('/')).then_some(path.len()))
            .map(move |end| &self.0[..start + end])
    }

    fn host_start(&self) -> usize {
        self.scheme().len() + "://".len()
    }

    fn path_start(&self) -> usize {
        let start = self.host_start();
        let host = self.0[start..]
            .find('/')
            .expect("a canonical URL has a path");
        start + host
    }

    fn path_end(&self) -> usize {
        self.0.find('?').unwrap_or(self.0.len())
    }
}

impl FromStr for PageUrl {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Self::parse(url)
    }
}

impl AsRef<str> for PageUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PageUrl {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageUrl({})", self.0)
    }
}

impl Serialize for PageUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Reads what was written as by [`PageUrl::from_stored`].
impl<'de> Deserialize<'de> for PageUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_stored(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
