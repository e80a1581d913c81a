//! What a user configures, and what becomes of it when it is checked.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use isr_core::options::{header_name, is_loopback, positive, within};
use isr_core::{Dialect, InvalidOption, Secret, TagHeader, TagHeaderLimits, TagSeparator};
use reqwest::Url;
use serde::Deserialize;

/// The shortest secret, in bytes: what is shorter can be guessed by trying.
const SHORTEST_SECRET: usize = 16;

/// What a call holds at most, whatever is configured.
const MOST_ITEMS: usize = 10_000;
const LEAST_BYTES: usize = 1024;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The keys of a connector with `kind = "webhook"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where calls are posted to. It is kept out of logs, as it may hold a secret. Required.
    pub url: Option<Secret>,
    /// What calls are signed with: at least 16 bytes, which the receiver has too. Required.
    pub secret: Option<Secret>,
    /// Whether `url` may begin with `http://` though it is another machine's: whoever is in between
    /// can then read and hold back what is purged. Default: false.
    pub insecure: bool,
    /// The kinds of targets that the receiver takes, at least one of `"tag"`, `"url"`, `"prefix"`,
    /// `"host"` and `"everything"`. Default: `["tag", "url"]`.
    pub kinds: Vec<Kind>,
    /// Whether the receiver can mark copies as stale: only then does it see the mode `"soft"`.
    /// Default: false.
    pub soft: bool,
    /// The most targets of one call: 1 to 10,000. Default: 100.
    pub batch_items: usize,
    /// About how many bytes the body of a call has at most: 1,024 to 16,777,216. A single target that is
    /// longer is sent all the same. Default: 65,536.
    pub batch_bytes: usize,
    /// Calls that may be under way at once: 1 to 100. Default: 1.
    pub concurrency: usize,
    /// Calls in a second, on average: more than 0, at most 1,000, and less than 1 for one in several
    /// seconds. All processes that share a store keep to it together. Default: no limit.
    pub calls_per_second: Option<f64>,
    /// How many calls may follow each other at once after a pause: 1 to 1,000. Needs
    /// `calls_per_second`. Default: 1.
    pub burst: Option<u32>,
    /// The response header field in which the purged cache looks for tags, such as `"Cache-Tag"`. Needs
    /// `"tag"` among `kinds`. Default: none, so that pages that need one are not told by tags.
    pub tag_header: Option<String>,
    /// What stands between tags in that field: `"comma"` or `"space"`. Default: what it is where the
    /// field is a known one (`Cache-Tag`, `Surrogate-Key`, `Edge-Cache-Tag`, `xkey`, `Cache-Groups`),
    /// and otherwise `"comma"`.
    pub tag_separator: Option<Separator>,
    /// The most bytes of that field. At least 1. Default: that of a known field, otherwise 8,192.
    pub tag_header_bytes: Option<usize>,
    /// The most tags of that field. At least 1. Default: that of a known field, otherwise 50.
    pub tags_per_response: Option<usize>,
    /// Whether whoever is purged removes the field, so that visitors do not see it. Default: false.
    pub tag_header_stripped: bool,
    /// How responses say for how long they may be kept there: `"standard"`, `"cache_control_only"`,
    /// `"cdn_cache_control"`, `"cloudflare"` or `"surrogate_control"`. Default: `"standard"`.
    pub dialect: Dialect,
    /// How long connecting may take. More than zero. Default: 3 seconds.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a whole call may take. More than zero. Default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long after its last byte a response may still be stored. Default: 2 seconds.
    #[serde(with = "humantime_serde")]
    pub settling_time: Duration,
}

/// A kind of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A tag.
    Tag,
    /// A page by its URL.
    Url,
    /// A path and what is beneath it.
    Prefix,
    /// A host.
    Host,
    /// Everything.
    Everything,
}

/// What stands between tags in a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Separator {
    /// A comma.
    Comma,
    /// A space.
    Space,
}

/// Options that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) secret: Secret,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) soft: bool,
    pub(crate) batch_items: NonZeroUsize,
    pub(crate) batch_bytes: NonZeroUsize,
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) rate: Option<Rate>,
    pub(crate) tags: Option<Tags>,
    pub(crate) dialect: Dialect,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) settling_time: Duration,
}

/// Where calls go, of which only the origin is ever shown.
#[derive(Clone)]
pub(crate) struct Endpoint(pub(crate) Url);

/// How often may be called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) burst: NonZeroU32,
    pub(crate) interval: Duration,
}

/// How responses name their tags.
#[derive(Clone, Debug)]
pub(crate) struct Tags {
    pub(crate) header: TagHeader,
    pub(crate) limits: TagHeaderLimits,
    pub(crate) stripped: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: None,
            secret: None,
            insecure: false,
            kinds: vec![Kind::Tag, Kind::Url],
            soft: false,
            batch_items: 100,
            batch_bytes: 64 * 1024,
            concurrency: 1,
            calls_per_second: None,
            burst: None,
            tag_header: None,
            tag_separator: None,
            tag_header_bytes: None,
            tags_per_response: None,
            tag_header_stripped: false,
            dialect: Dialect::default(),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            settling_time: Duration::from_secs(2),
        }
    }
}

impl Options {
    /// Looks at every option, without asking anybody.
    pub(crate) fn check(self) -> Result<Settings, InvalidOption> {
        let rate = self.rate()?;
        let tags = self.tags()?;
        if self.kinds.is_empty() {
            let fault = "is empty: name what the receiver takes, such as \"tag\" and \"url\"";
            return Err(InvalidOption::new("kinds", fault));
        }
        Ok(Settings {
            endpoint: check_url(self.url.as_ref(), self.insecure)?,
            secret: check_secret(self.secret)?,
            kinds: self.kinds,
            soft: self.soft,
            batch_items: within("batch_items", self.batch_items, 1, MOST_ITEMS)?,
            batch_bytes: within("batch_bytes", self.batch_bytes, LEAST_BYTES, MOST_BYTES)?,
            concurrency: within("concurrency", self.concurrency, 1, 100)?,
            rate,
            tags,
            dialect: self.dialect,
            connect_timeout: positive("connect_timeout", self.connect_timeout)?,
            timeout: positive("timeout", self.timeout)?,
            settling_time: self.settling_time,
        })
    }

    fn rate(&self) -> Result<Option<Rate>, InvalidOption> {
        let Some(per_second) = self.calls_per_second else {
            let fault = "says how far a rate may be exceeded, and there is none: set \
                         calls_per_second too";
            let alone = self.burst.map(|_| InvalidOption::new("burst", fault));
            return alone.map_or(Ok(None), Err);
        };
        if !(0.001..=1000.0).contains(&per_second) {
            let fault = format!("is {per_second}, and has to be from 0.001 to 1000");
            return Err(InvalidOption::new("calls_per_second", fault));
        }
        let burst = self.burst.unwrap_or(1);
        let burst = NonZeroU32::new(burst).filter(|burst| burst.get() <= 1000);
        let interval = Duration::from_secs_f64(per_second.recip());
        match burst {
            Some(burst) => Ok(Some(Rate { burst, interval })),
            None => Err(InvalidOption::new("burst", "has to be from 1 to 1000")),
        }
    }

    fn tags(&self) -> Result<Option<Tags>, InvalidOption> {
        let Some(name) = &self.tag_header else {
            let given = [
                ("tag_separator", self.tag_separator.is_some()),
                ("tag_header_bytes", self.tag_header_bytes.is_some()),
                ("tags_per_response", self.tags_per_response.is_some()),
                ("tag_header_stripped", self.tag_header_stripped),
            ];
            let alone = given.into_iter().find(|(_, given)| *given);
            return alone.map_or(Ok(None), |(key, _)| {
                let fault = "is about a header field that is not named: set tag_header too";
                Err(InvalidOption::new(key, fault))
            });
        };
        if !self.kinds.contains(&Kind::Tag) {
            let fault = "names tags to a receiver that takes none: add \"tag\" to kinds";
            return Err(InvalidOption::new("tag_header", fault));
        }
        let header = header(name, self.tag_separator)?;
        let known = header.limits();
        let limit = |key, given: Option<usize>, known: usize| match given {
            Some(0) => Err(InvalidOption::new(
                key,
                "is zero: leave out tag_header instead",
            )),
            given => Ok(given.unwrap_or(known)),
        };
        Ok(Some(Tags {
            limits: TagHeaderLimits {
                bytes: limit("tag_header_bytes", self.tag_header_bytes, known.bytes)?,
                tags: limit("tags_per_response", self.tags_per_response, known.tags)?,
                ..known
            },
            header,
            stripped: self.tag_header_stripped,
        }))
    }
}

/// A known field has a grammar of its own, unless another separator is asked for.
fn header(name: &str, separator: Option<Separator>) -> Result<TagHeader, InvalidOption> {
    let name = header_name("tag_header", name)?;
    let mut known = TagHeader::KNOWN.into_iter();
    Ok(
        match (known.find(|known| known.name() == name), separator) {
            (Some(known), None) => known,
            (_, separator) => TagHeader::Custom {
                name,
                separator: match separator {
                    Some(Separator::Space) => TagSeparator::Space,
                    Some(Separator::Comma) | None => TagSeparator::Comma,
                },
            },
        },
    )
}

fn check_url(url: Option<&Secret>, insecure: bool) -> Result<Endpoint, InvalidOption> {
    let invalid = |fault: &str| Err(InvalidOption::new("url", fault));
    let Some(url) = url else {
        return invalid("is missing: set the address that calls are posted to");
    };
    let Ok(url) = Url::parse(url.expose()) else {
        return invalid("is no URL: begin it with https://");
    };
    match url.scheme() {
        "https" => Ok(Endpoint(url)),
        "http" if insecure || url.host_str().is_some_and(is_loopback) => Ok(Endpoint(url)),
        "http" => invalid(
            "would be called unencrypted: begin it with https://, or set insecure = true if nobody \
             can be in between",
        ),
        _ => invalid("is no URL of the web: begin it with https://"),
    }
}

fn check_secret(secret: Option<Secret>) -> Result<Secret, InvalidOption> {
    match secret {
        Some(secret) if secret.expose().len() >= SHORTEST_SECRET => Ok(secret),
        Some(_) => {
            let fault = format!("is too short: use at least {SHORTEST_SECRET} bytes, at random");
            Err(InvalidOption::new("secret", fault))
        }
        None => {
            let fault = "is missing: make one at random, such as with `openssl rand -hex 32`, give it \
                         to the receiver too, and name a file that holds it in secret_file";
            Err(InvalidOption::new("secret", fault))
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self}/…)")
    }
}

#[cfg(test)]
mod tests;
