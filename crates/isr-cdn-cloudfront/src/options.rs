//! What a user writes in the configuration.

#[cfg(test)]
mod tests;

use std::time::Duration;

use http::{HeaderName, Uri};
use isr_core::options::{at_most_minutes, positive};
use isr_core::{InvalidOption, Secret};
use serde::Deserialize;

/// The longest that any duration may be set to, in minutes.
const LONGEST: u64 = 5;
/// The shortest pause between two polls.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

/// The options of a connector of kind `cloudfront`. One of `distribution` and `tenant` is required.
///
/// Credentials are looked for as every AWS tool does it: environment, shared configuration files, web
/// identity, container and instance metadata. `access_key_id` and `secret_access_key` take their place.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The ID of the distribution, such as `EDFDVBD6EXAMPLE`. All its hosts share their paths: purging
    /// `/a` of one purges `/a` of all.
    pub distribution: Option<String>,
    /// The ID of the distribution tenant, such as `dt_2wjMUbg3NHZEQ7OfoalP5zi1AB3`, in place of a
    /// distribution.
    pub tenant: Option<String>,
    /// The response field in which the distribution looks for tags, as its `CacheTagConfig` names it.
    /// Without it nothing is purged by tag: the pages of a tag are purged by their paths.
    pub tag_header: Option<String>,
    /// The profile of the shared configuration files that is used, instead of `AWS_PROFILE` or
    /// `default`. A profile may name a role to assume.
    pub profile: Option<String>,
    /// The ID of an access key, instead of credentials that are looked for.
    pub access_key_id: Option<Secret>,
    /// The secret of that access key.
    pub secret_access_key: Option<Secret>,
    /// The session token that goes with a temporary access key.
    pub session_token: Option<Secret>,
    /// Where CloudFront's API is, for tests and private endpoints. Default: Amazon's own address.
    pub endpoint_url: Option<String>,
    /// How long connecting may take: more than 0, at most 5 minutes. Default: 3 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a whole call may take, connecting included: more than 0, at most 5 minutes. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long to wait before asking again whether an invalidation is complete: 10 ms to 5 minutes.
    /// Default: 5 s. Most are within 25 s (AWS, "What's New" of April 2026, read 2026-11-22).
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// How long after its last byte a response may still be stored by an edge location: at most 5
    /// minutes. Default: 5 s, because regional edge caches stand between edge and origin.
    #[serde(with = "humantime_serde")]
    pub settling_time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            distribution: None,
            tenant: None,
            tag_header: None,
            profile: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            endpoint_url: None,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            poll_interval: Duration::from_secs(5),
            settling_time: Duration::from_secs(5),
        }
    }
}

/// Options that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) scope: Scope,
    pub(crate) tag_header: Option<HeaderName>,
    pub(crate) credentials: Credentials,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) settling_time: Duration,
}

/// What is invalidated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A distribution, by its ID.
    Distribution(String),
    /// A tenant of a distribution that has many, by its own ID.
    Tenant(String),
}

/// Where credentials come from.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// From wherever the SDK finds them.
    Chain {
        /// The profile in the shared configuration files.
        profile: Option<String>,
    },
    /// From the options.
    Key {
        id: Secret,
        secret: Secret,
        session_token: Option<Secret>,
    },
}

impl Options {
    /// Looks whether the options can be used.
    pub(crate) fn check(self) -> Result<Settings, InvalidOption> {
        let in_time =
            |key, span| at_most_minutes(key, span, LONGEST).and_then(|span| positive(key, span));
        if self.poll_interval < SHORTEST_POLL {
            return Err(InvalidOption::new("poll_interval", "is less than 10ms"));
        }
        Ok(Settings {
            scope: scope(self.distribution, self.tenant)?,
            tag_header: self.tag_header.as_deref().map(tag_header).transpose()?,
            credentials: credentials(
                self.profile,
                self.access_key_id,
                self.secret_access_key,
                self.session_token,
            )?,
            endpoint_url: self.endpoint_url.map(endpoint_url).transpose()?,
            connect_timeout: in_time("connect_timeout", self.connect_timeout)?,
            timeout: in_time("timeout", self.timeout)?,
            poll_interval: at_most_minutes("poll_interval", self.poll_interval, LONGEST)?,
            settling_time: at_most_minutes("settling_time", self.settling_time, LONGEST)?,
        })
    }
}

fn scope(distribution: Option<String>, tenant: Option<String>) -> Result<Scope, InvalidOption> {
    match (distribution, tenant) {
        (Some(id), None) => id_of("distribution", id).map(Scope::Distribution),
        (None, Some(id)) => id_of("tenant", id).map(Scope::Tenant),
        (None, None) => Err(InvalidOption::new(
            "distribution",
            "is missing: give the ID of the distribution to purge, or a tenant's as `tenant`",
        )),
        (Some(_), Some(_)) => Err(InvalidOption::new(
            "tenant",
            "stands beside distribution: keep one of them; a tenant belongs to its distribution already",
        )),
    }
}

fn id_of(key: &'static str, id: String) -> Result<String, InvalidOption> {
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if id.is_empty() || !id.bytes().all(well_formed) {
        let fault = "is no ID: copy it from CloudFront's console; it has letters and digits only";
        return Err(InvalidOption::new(key, fault));
    }
    Ok(id)
}

fn tag_header(name: &str) -> Result<HeaderName, InvalidOption> {
    HeaderName::try_from(name).map_err(|_| {
        let fault =
            "is no name of a header field: write it as the distribution's CacheTagConfig has it";
        InvalidOption::new("tag_header", fault)
    })
}

fn credentials(
    profile: Option<String>,
    id: Option<Secret>,
    secret: Option<Secret>,
    session_token: Option<Secret>,
) -> Result<Credentials, InvalidOption> {
    let invalid = |key: &'static str, fault: &str| Err(InvalidOption::new(key, fault));
    match (id, secret) {
        (Some(_), Some(_)) if profile.is_some() => {
            invalid("profile", "stands beside access_key_id: keep one of them")
        }
        (Some(id), Some(secret)) => Ok(Credentials::Key {
            id,
            secret,
            session_token,
        }),
        (Some(_), None) => invalid("secret_access_key", "is missing: access_key_id needs it"),
        (None, Some(_)) => invalid("access_key_id", "is missing: secret_access_key needs it"),
        (None, None) if session_token.is_some() => {
            invalid("access_key_id", "is missing: session_token needs it")
        }
        (None, None) => Ok(Credentials::Chain { profile }),
    }
}

fn endpoint_url(url: String) -> Result<String, InvalidOption> {
    let parsed: Option<Uri> = url.parse().ok();
    let usable = parsed.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
    });
    if !usable {
        let fault = "is no URL: write it as https://host";
        return Err(InvalidOption::new("endpoint_url", fault));
    }
    Ok(url)
}
