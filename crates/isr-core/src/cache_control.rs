//! `Cache-Control` and its relatives: reading and writing (RFC 9111 §5.2, RFC 5861, RFC 8246).

mod grammar;
mod targeted;
#[cfg(test)]
mod tests;

pub(crate) use targeted::TARGETED_FIELDS;
pub use targeted::{CDN_CACHE_CONTROL, CLOUDFLARE_CDN_CACHE_CONTROL, SURROGATE_CONTROL};

use std::fmt;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};

/// The directives of a request's or response's `Cache-Control`; all of them absent by default.
///
/// Reading is tolerant and errs on the side of not caching. Of repeated and conflicting directives
/// the most restrictive counts (RFC 9111 §4.2.1). A lifetime that is no number of seconds counts as
/// 0, so the response is stale (§4.2.1), and one too large counts as 2^31 seconds (§1.2.2).
/// `private` and `no-cache` with field names count as if they had none (§5.2.2.4, §5.2.2.7).
/// Unknown directives are dropped. All lifetimes are in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a directive of its own in the standard"
)]
pub struct CacheControl {
    /// `public` (§5.2.2.9); never together with `private` or `no-store` when read.
    pub public: bool,
    /// `private` (§5.2.2.7).
    pub private: bool,
    /// `no-store` (§5.2.1.5, §5.2.2.5).
    pub no_store: bool,
    /// `no-cache` (§5.2.1.4, §5.2.2.4).
    pub no_cache: bool,
    /// `max-age` (§5.2.1.1, §5.2.2.1).
    pub max_age: Option<u32>,
    /// `s-maxage` (§5.2.2.10).
    pub s_maxage: Option<u32>,
    /// `stale-while-revalidate` (RFC 5861 §3).
    pub stale_while_revalidate: Option<u32>,
    /// `stale-if-error` (RFC 5861 §4).
    pub stale_if_error: Option<u32>,
    /// `must-revalidate` (§5.2.2.2).
    pub must_revalidate: bool,
    /// `proxy-revalidate` (§5.2.2.8).
    pub proxy_revalidate: bool,
    /// `must-understand` (§5.2.2.3).
    pub must_understand: bool,
    /// `no-transform` (§5.2.1.6, §5.2.2.6).
    pub no_transform: bool,
    /// `immutable` (RFC 8246 §2).
    pub immutable: bool,
    /// `max-stale` of a request (§5.2.1.2).
    pub max_stale: Option<MaxStale>,
    /// `min-fresh` of a request (§5.2.1.3); of several the largest counts, and an invalid one not.
    pub min_fresh: Option<u32>,
    /// `only-if-cached` of a request (§5.2.1.7).
    pub only_if_cached: bool,
}

/// How stale a response a request will accept (RFC 9111 §5.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MaxStale {
    /// One of any age: the directive without a value.
    Any,
    /// One that has been stale for at most so many seconds.
    Seconds(u32),
}

/// What stands after the `=` of a directive.
#[derive(Clone, Copy)]
enum Argument {
    Absent,
    Seconds(u32),
    /// Anything that is no number of seconds.
    Other,
}

impl CacheControl {
    /// The largest number of seconds, 2^31, as which larger ones are read (RFC 9111 §1.2.2).
    pub const MOST_SECONDS: u32 = 1 << 31;

    /// Reads every `Cache-Control` line of a request or response.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        Self::parse(
            headers
                .get_all(CACHE_CONTROL)
                .iter()
                .map(HeaderValue::as_bytes),
        )
    }

    /// Reads the values of all lines of the field. Never fails: see the type for how.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut read = Self::default();
        for member in lines.into_iter().flat_map(grammar::members) {
            let (name, argument) = grammar::directive(member);
            read.apply(name, argument);
        }
        read.settled()
    }

    /// For how long a shared cache may hold the response fresh by these directives, in seconds:
    /// `s-maxage`, else `max-age` (§4.2.1). `None` when neither is there.
    #[must_use]
    pub const fn shared_freshness(&self) -> Option<u32> {
        match self.s_maxage {
            Some(seconds) => Some(seconds),
            None => self.max_age,
        }
    }

    /// Whether no directive is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The value of a field that says this; `None` when there is nothing to say, because an empty
    /// field is worse than none (RFC 9213 §2.1).
    #[must_use]
    pub fn to_value(&self) -> Option<HeaderValue> {
        let text = self.to_string();
        (!text.is_empty())
            .then(|| HeaderValue::try_from(text).expect("directives are visible ASCII"))
    }

    /// Takes one directive in; unknown names change nothing.
    fn apply(&mut self, name: &[u8], argument: Argument) {
        let mut lower = [0; LONGEST_NAME];
        let Some(lower) = lower.get_mut(..name.len()) else {
            return;
        };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match &*lower {
            b"public" => self.public = true,
            b"private" => self.private = true,
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"max-age" => shorten(&mut self.max_age, argument),
            b"s-maxage" => shorten(&mut self.s_maxage, argument),
            b"stale-while-revalidate" => shorten(&mut self.stale_while_revalidate, argument),
            b"stale-if-error" => shorten(&mut self.stale_if_error, argument),
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"no-transform" => self.no_transform = true,
            b"immutable" => self.immutable = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"max-stale" => self.apply_max_stale(argument),
            b"min-fresh" => {
                if let Argument::Seconds(seconds) = argument {
                    self.min_fresh = self.min_fresh.max(Some(seconds));
                }
            }
            _ => {}
        }
    }

    fn apply_max_stale(&mut self, argument: Argument) {
        if matches!(argument, Argument::Absent) {
            self.max_stale.get_or_insert(MaxStale::Any);
            return;
        }
        let mut least = match self.max_stale {
            Some(MaxStale::Seconds(seconds)) => Some(seconds),
            Some(MaxStale::Any) | None => None,
        };
        shorten(&mut least, argument);
        self.max_stale = least.map(MaxStale::Seconds);
    }

    /// Leaves the most restrictive of conflicting directives.
    const fn settled(mut self) -> Self {
        self.public = self.public && !self.private && !self.no_store;
        self
    }

    fn flags(&self) -> [(bool, &'static str); 10] {
        [
            (self.public, "public"),
            (self.private, "private"),
            (self.no_store, "no-store"),
            (self.no_cache, "no-cache"),
            (self.must_revalidate, "must-revalidate"),
            (self.proxy_revalidate, "proxy-revalidate"),
            (self.must_understand, "must-understand"),
            (self.no_transform, "no-transform"),
            (self.immutable, "immutable"),
            (self.only_if_cached, "only-if-cached"),
        ]
    }

    fn lifetimes(&self) -> [(Option<u32>, &'static str); 6] {
        let max_stale = match self.max_stale {
            Some(MaxStale::Seconds(seconds)) => Some(seconds),
            Some(MaxStale::Any) | None => None,
        };
        [
            (self.max_age, "max-age"),
            (self.s_maxage, "s-maxage"),
            (self.stale_while_revalidate, "stale-while-revalidate"),
            (self.stale_if_error, "stale-if-error"),
            (max_stale, "max-stale"),
            (self.min_fresh, "min-fresh"),
        ]
    }
}

/// The length of `stale-while-revalidate`.
const LONGEST_NAME: usize = 22;

/// Sets a lifetime, or shortens the one there is; what is no number of seconds counts as 0.
fn shorten(lifetime: &mut Option<u32>, argument: Argument) {
    let given = match argument {
        Argument::Seconds(seconds) => seconds,
        Argument::Absent | Argument::Other => 0,
    };
    *lifetime = Some(lifetime.map_or(given, |known| known.min(given)));
}

/// Writes the directives as a field value: lifetimes always with their seconds, and all of it a
/// structured dictionary too, so that it also fits targeted fields (RFC 9213 §2.1).
impl fmt::Display for CacheControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let flags = self.flags();
        let (who, how) = flags.split_at(4);
        for (_, name) in who.iter().filter(|(set, _)| *set) {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        for (seconds, name) in self.lifetimes() {
            if let Some(seconds) = seconds {
                write!(f, "{separator}{name}={seconds}")?;
                separator = ", ";
            }
        }
        if self.max_stale == Some(MaxStale::Any) {
            write!(f, "{separator}max-stale")?;
            separator = ", ";
        }
        for (_, name) in how.iter().filter(|(set, _)| *set) {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        Ok(())
    }
}
