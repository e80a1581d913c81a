//! What a user writes in the configuration.

use std::time::Duration;

use http::HeaderValue;
use isr_core::options::{at_most_minutes, positive};
use isr_core::{InvalidOption, Secret};
use reqwest::Url;
use serde::Deserialize;

/// The longest that any duration may be set to, in minutes.
const LONGEST: u64 = 5;
/// Fastly's own API.
const API: &str = "https://api.fastly.com";
/// How long a response may still be on its way into a cache.
const SETTLING_TIME: Duration = Duration::from_secs(2);
/// The same where one Fastly cache fills itself from another, which may be purged after it.
const SETTLING_TIME_SHIELDED: Duration = Duration::from_secs(5);

/// The options of a connector of kind `fastly`. `service` and `token` are required.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The ID of the service, such as `SU1Z0isxPaozGVKXdv0eY`: not its name.
    pub service: String,
    /// An API token with the scope `purge_select`, and `purge_all` where everything is to be purged.
    pub token: Secret,
    /// Where Fastly's API is. Default: `https://api.fastly.com`.
    pub api_base: String,
    /// A name for the Fastly account, where several are in use: connectors of one account share its
    /// rate limits. Letters, digits, `-` and `_`. Default: `default`, so that all are of one account.
    pub account: String,
    /// Whether copies become stale rather than being removed, where that is asked for. Default: true,
    /// and false with `shielding`; with both, the service's VCL has to forbid the shield to answer with
    /// stale copies.
    pub soft: Option<bool>,
    /// Whether the service has a shield, so that one Fastly cache fills itself from another. Default:
    /// false.
    pub shielding: bool,
    /// How long after its last byte a response may still be stored: at most 5 minutes. Default: 2 s, and
    /// 5 s with `shielding`, since edge and shield are not purged at the same moment.
    #[serde(with = "humantime_serde")]
    pub settling_time: Option<Duration>,
    /// How long connecting may take: more than 0, at most 5 minutes. Default: 3 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a whole call may take, connecting included: more than 0, at most 5 minutes. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            service: String::new(),
            token: Secret::new(""),
            api_base: API.to_owned(),
            account: "default".to_owned(),
            soft: None,
            shielding: false,
            settling_time: None,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
        }
    }
}

/// Options that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) service: String,
    pub(crate) token: HeaderValue,
    /// Without a slash at its end.
    pub(crate) api_base: String,
    pub(crate) account: String,
    pub(crate) soft: bool,
    pub(crate) settling_time: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
}

impl Options {
    /// Looks whether the options can be used.
    pub(crate) fn check(self) -> Result<Settings, InvalidOption> {
        let shielded = self.shielding;
        let default_settling_time = if shielded {
            SETTLING_TIME_SHIELDED
        } else {
            SETTLING_TIME
        };
        let settling_time = self.settling_time.unwrap_or(default_settling_time);
        let in_time =
            |key, span| at_most_minutes(key, span, LONGEST).and_then(|span| positive(key, span));
        Ok(Settings {
            service: service(self.service)?,
            token: token(&self.token)?,
            api_base: api_base(&self.api_base)?,
            account: account(self.account)?,
            soft: self.soft.unwrap_or(!shielded),
            settling_time: at_most_minutes("settling_time", settling_time, LONGEST)?,
            connect_timeout: in_time("connect_timeout", self.connect_timeout)?,
            timeout: in_time("timeout", self.timeout)?,
        })
    }
}

fn service(id: String) -> Result<String, InvalidOption> {
    let fault = if id.is_empty() {
        "is missing: give the ID of the service to purge"
    } else if id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(id);
    } else {
        "is no service ID: copy it from beside the service's name; it has letters and digits only"
    };
    Err(InvalidOption::new("service", fault))
}

fn account(name: String) -> Result<String, InvalidOption> {
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || !name.bytes().all(well_formed) {
        let fault = "is no name: use letters, digits, - and _";
        return Err(InvalidOption::new("account", fault));
    }
    Ok(name)
}

fn token(token: &Secret) -> Result<HeaderValue, InvalidOption> {
    let invalid = |fault: &str| InvalidOption::new("token", fault);
    if token.expose().is_empty() {
        return Err(invalid(
            "is missing: give an API token with the scope purge_select",
        ));
    }
    let mut value = HeaderValue::try_from(token.expose())
        .map_err(|_| invalid("has a character that no token has: copy it anew"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn api_base(text: &str) -> Result<String, InvalidOption> {
    let usable = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if !usable {
        let fault = "is no URL to put paths behind: write it as https://host";
        return Err(InvalidOption::new("api_base", fault));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: &str) -> Options {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_least_that_is_needed_is_a_service_and_a_token() {
        let settings = options(r#"{"service": "SU1Z0", "token": "T0K3N"}"#)
            .check()
            .unwrap();
        assert_eq!(settings.api_base, "https://api.fastly.com");
        assert!(settings.soft);
        assert_eq!(settings.settling_time, Duration::from_secs(2));
        assert!(!format!("{settings:?}").contains("T0K3N"));
    }

    #[test]
    fn behind_a_shield_purges_are_hard_unless_asked_otherwise() {
        let with = |more: &str| {
            let json = format!(r#"{{"service": "S", "token": "T", "shielding": true{more}}}"#);
            options(&json).check().unwrap()
        };
        assert!(!with("").soft);
        assert_eq!(with("").settling_time, Duration::from_secs(5));
        assert!(with(r#", "soft": true"#).soft);
        let longer = with(r#", "settling_time": "30s""#).settling_time;
        assert_eq!(longer, Duration::from_secs(30));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let rows = [
            ("{}", "service"),
            (r#"{"service": "S/../x", "token": "T0K3N"}"#, "service"),
            (r#"{"service": "S"}"#, "token"),
            (r#"{"service": "S", "token": "T0K3N\n"}"#, "token"),
            (
                r#"{"service": "S", "token": "T0K3N", "api_base": "api.fastly.com"}"#,
                "api_base",
            ),
            (
                r#"{"service": "S", "token": "T0K3N", "api_base": "https://h/?q"}"#,
                "api_base",
            ),
            (
                r#"{"service": "S", "token": "T0K3N", "account": "a b"}"#,
                "account",
            ),
            (
                r#"{"service": "S", "token": "T0K3N", "timeout": "0s"}"#,
                "timeout",
            ),
            (
                r#"{"service": "S", "token": "T0K3N", "connect_timeout": "6m"}"#,
                "connect_timeout",
            ),
            (
                r#"{"service": "S", "token": "T0K3N", "settling_time": "1h"}"#,
                "settling_time",
            ),
        ];
        for (json, key) in rows {
            let fault = options(json).check().unwrap_err();
            assert_eq!(fault.key, key, "{json}");
            assert!(!fault.to_string().contains("T0K3N"), "{fault}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<Options>(r#"{"service_id": "S"}"#).is_err());
    }
}
