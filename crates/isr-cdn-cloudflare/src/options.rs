//! What a user configures, and what becomes of it when it is checked.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use isr_core::options::{is_loopback, positive};
use isr_core::{Dialect, InvalidOption, Secret};
use reqwest::Url;
use serde::Deserialize;

/// Where Cloudflare's API is.
const API: &str = "https://api.cloudflare.com/client/v4";

/// What purging by URL takes in one call on every plan, and has taken since long: Cloudflare's own
/// documentation said 30 until 2026-08-20, and there may be accounts for which it still holds.
const SAFE_URLS: u32 = 30;

/// The longest name of an account's buckets, in bytes.
const LONGEST_ACCOUNT: usize = 64;

/// The keys of a connector with `kind = "cloudflare"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The zone's ID: 32 hexadecimal digits. Required.
    pub zone: String,
    /// An API token with the permission "Zone, Cache Purge, Purge" for the zone. Required.
    pub token: Option<Secret>,
    /// The plan of the zone, which says how often the account may purge. Default: `"free"`.
    pub plan: Plan,
    /// The most URLs of one call, those with the headers of a variant included: 1 to 100, with the plan
    /// `"enterprise"` 1 to 500. Default: 30, which every account takes.
    pub batch_urls: Option<u32>,
    /// The most tags, prefixes or hosts of one call: 1 to 100. Default: 100.
    pub batch_items: Option<u32>,
    /// A name for the account: connectors with the same one keep to the account's limits together.
    /// 1 to 64 letters, digits, `-`, `_` and `.`. Default: a fingerprint of the token, so that zones
    /// purged by one token need no name.
    pub account: Option<String>,
    /// Whether a soft revalidation marks copies as stale, by the endpoint `invalidate_cache`, instead
    /// of removing them. Default: true.
    pub soft: bool,
    /// The field in which responses tell Cloudflare how long to keep them: `"cloudflare"` for
    /// `Cloudflare-CDN-Cache-Control`, which it removes, or `"cdn_cache_control"` for
    /// `CDN-Cache-Control`, which it hands on to caches behind it. Default: `"cloudflare"`.
    pub dialect: Dialect,
    /// Request headers by which Cloudflare keeps variants of one URL apart, because the zone's cache
    /// key has them: a list of tables, each with all the headers of one variant. Each URL is then
    /// purged once plainly and once for each table, and counts as that many. Default: none.
    pub variant_headers: Vec<BTreeMap<String, String>>,
    /// Where the API is. Default: `https://api.cloudflare.com/client/v4`.
    pub api_base: String,
    /// How long connecting may take. More than zero. Default: 3 seconds.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a whole call may take. More than zero. Default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long after its last byte a response may still be stored. Default: 5 seconds, since with
    /// tiered caching a response passes two of Cloudflare's data centres.
    #[serde(with = "humantime_serde")]
    pub settling_time: Duration,
}

/// A plan of Cloudflare's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Free.
    #[default]
    Free,
    /// Pro.
    Pro,
    /// Business.
    Business,
    /// Enterprise.
    Enterprise,
}

/// Options that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) zone: String,
    pub(crate) token: Secret,
    pub(crate) plan: Plan,
    pub(crate) batch_urls: NonZeroU32,
    pub(crate) batch_items: NonZeroU32,
    pub(crate) account: String,
    pub(crate) soft: bool,
    pub(crate) dialect: Dialect,
    pub(crate) variant_headers: Vec<BTreeMap<String, String>>,
    pub(crate) api_base: Url,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) settling_time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            zone: String::new(),
            token: None,
            plan: Plan::default(),
            batch_urls: None,
            batch_items: None,
            account: None,
            soft: true,
            dialect: Dialect::Cloudflare,
            variant_headers: Vec::new(),
            api_base: API.to_owned(),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            settling_time: Duration::from_secs(5),
        }
    }
}

impl Plan {
    /// The most URLs of one call, as documented: see `capabilities.rs`.
    const fn most_urls(self) -> u32 {
        match self {
            Self::Free | Self::Pro | Self::Business => 100,
            Self::Enterprise => 500,
        }
    }
}

impl Options {
    /// Looks at every option, without asking anybody.
    pub(crate) fn check(self) -> Result<Settings, InvalidOption> {
        let token = check_token(self.token)?;
        let most_urls = self.plan.most_urls();
        let batch_urls = size(
            "batch_urls",
            self.batch_urls.unwrap_or(SAFE_URLS),
            most_urls,
        )?;
        let variants = self.variant_headers.len() + 1;
        if variants > batch_urls.get() as usize {
            let fault = format!(
                "makes {variants} items of each URL, and a call has {batch_urls} at most: name \
                 fewer variants, or raise batch_urls"
            );
            return Err(InvalidOption::new("variant_headers", fault));
        }
        for (name, value) in self.variant_headers.iter().flatten() {
            check_header(name, value)?;
        }
        Ok(Settings {
            zone: check_zone(&self.zone)?,
            plan: self.plan,
            batch_urls,
            batch_items: size("batch_items", self.batch_items.unwrap_or(100), 100)?,
            account: check_account(self.account, &token)?,
            token,
            soft: self.soft,
            dialect: check_dialect(self.dialect)?,
            variant_headers: self.variant_headers,
            api_base: check_api_base(&self.api_base)?,
            connect_timeout: positive("connect_timeout", self.connect_timeout)?,
            timeout: positive("timeout", self.timeout)?,
            settling_time: self.settling_time,
        })
    }
}

fn check_zone(zone: &str) -> Result<String, InvalidOption> {
    let is_id = zone.len() == 32 && zone.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        return Ok(zone.to_ascii_lowercase());
    }
    let what = if zone.is_empty() {
        "is missing".to_owned()
    } else if zone.contains('.') {
        format!("is `{zone}`, which is the zone's name and not its ID")
    } else {
        format!("is `{zone}`, which is no ID of a zone")
    };
    let fault = format!(
        "{what}: set the 32 hexadecimal digits that Cloudflare's dashboard shows as \"Zone ID\" on \
         the overview page of the domain"
    );
    Err(InvalidOption::new("zone", fault))
}

fn check_token(token: Option<Secret>) -> Result<Secret, InvalidOption> {
    let Some(token) = token.filter(|token| !token.expose().is_empty()) else {
        let fault = "is missing: create an API token with the permission \"Zone, Cache Purge, \
                     Purge\" in Cloudflare's dashboard, and name a file that holds it in token_file";
        return Err(InvalidOption::new("token", fault));
    };
    if token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(token)
    } else {
        let fault = "holds spaces or characters that no API token has: copy it again";
        Err(InvalidOption::new("token", fault))
    }
}

/// The name of the account's buckets, which everybody who can read the store may see: so it must
/// not tell the token, and a hash of one, which nobody can guess, does not.
fn check_account(account: Option<String>, token: &Secret) -> Result<String, InvalidOption> {
    let Some(account) = account else {
        let context = "edge-isr 2026-11-22 bucket of the account behind a Cloudflare token";
        let hash = blake3::derive_key(context, token.expose().as_bytes());
        let digits = blake3::Hash::from_bytes(hash).to_hex();
        return Ok(digits[..16].to_owned());
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=LONGEST_ACCOUNT).contains(&account.len()) && account.bytes().all(fits) {
        return Ok(account);
    }
    let fault = format!("has to be 1 to {LONGEST_ACCOUNT} letters, digits, `-`, `_` and `.`");
    Err(InvalidOption::new("account", fault))
}

fn check_dialect(dialect: Dialect) -> Result<Dialect, InvalidOption> {
    match dialect {
        Dialect::Cloudflare | Dialect::CdnCacheControl => Ok(dialect),
        other => {
            let fault = format!(
                "is `{}`, in which stale-while-revalidate is lost at Cloudflare: choose \
                 `cloudflare` or `cdn_cache_control`",
                other.as_str()
            );
            Err(InvalidOption::new("dialect", fault))
        }
    }
}

fn check_header(name: &str, value: &str) -> Result<(), InvalidOption> {
    let valid = HeaderName::try_from(name).is_ok() && HeaderValue::from_str(value).is_ok();
    valid.then_some(()).ok_or_else(|| {
        let fault = format!("has `{name}`, which with its value is no header field");
        InvalidOption::new("variant_headers", fault)
    })
}

/// The token goes there, so nobody may listen in between.
fn check_api_base(text: &str) -> Result<Url, InvalidOption> {
    let invalid = |fault: &str| Err(InvalidOption::new("api_base", fault));
    let Ok(url) = Url::parse(text.trim_end_matches('/')) else {
        return invalid("is no URL: begin it with https://");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("holds a user name or password: set the token as `token`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return invalid("has a query or fragment: end it with the path, such as /client/v4");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(url),
        "http" => invalid("would send the token unencrypted: begin it with https://"),
        _ => invalid("is no URL of the web: begin it with https://"),
    }
}

fn size(key: &'static str, size: u32, most: u32) -> Result<NonZeroU32, InvalidOption> {
    NonZeroU32::new(size)
        .filter(|size| size.get() <= most)
        .ok_or_else(|| {
            let fault = format!("is {size}, and Cloudflare takes 1 to {most} on this plan");
            InvalidOption::new(key, fault)
        })
}

#[cfg(test)]
mod tests;
