//! What a user writes in the configuration, and what becomes of it.

use std::num::NonZeroUsize;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use isr_core::options::{header_name, positive, within};
use isr_core::{InvalidOption, Machine, Secret};
use serde::Deserialize;

/// The options of a `[[connector]]` of kind `varnish`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Every Varnish there is, each as `http://10.0.0.1:6081`: scheme, host and port. At least one; each
    /// is purged, and retried, by itself.
    pub machines: Vec<String>,
    /// Whether the VCL purges by tag, by the method `PURGEKEYS`. Default: true.
    pub xkey: bool,
    /// Whether the VCL bans, by the method `BAN`: it takes prefixes, hosts, and everything. Default: true.
    pub ban: bool,
    /// Whether the VCL can make pages and tags stale instead of removing them. Default: true.
    pub soft: bool,
    /// The most bytes of tags in one request, from 300 to 65,536. Default: 7,500, since Varnish takes header
    /// lines of 8 KiB (`http_req_hdr_len`).
    pub key_bytes: usize,
    /// The most requests to one machine at once, from 1 to 256. Default: 8.
    pub concurrency: usize,
    /// A secret that the VCL compares with the header [`HeaderNames::secret`]. Default: none.
    pub secret: Option<Secret>,
    /// What the header fields are called that the connector and the VCL talk by.
    pub headers: HeaderNames,
    /// How long connecting may take, such as `"3s"`, which is the default. More than zero.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long one request may take altogether. More than zero; default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long after its last byte a response may still be stored. Default: 2 seconds.
    #[serde(with = "humantime_serde")]
    pub settling_time: Duration,
    /// Where these machines stand between the origin and visitors, 0 being nearest the origin: what is
    /// nearer is purged first. Default: 5, before the CDNs' 10.
    pub distance: u8,
}

/// What the header fields are called that the connector and the VCL talk by. The defaults are those of
/// `docs/connectors/varnish.vcl`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderNames {
    /// The answer's number of copies, by which the connector knows that the VCL answered. Default:
    /// `x-purged`. Empty for a VCL that sends none: then whoever answers 200 or 404 is believed.
    pub count: String,
    /// Says `soft` where a page is to become stale. Default: `x-purge-mode`.
    pub mode: String,
    /// The tags to remove. Default: `xkey-purge`.
    pub xkey_purge: String,
    /// The tags to make stale. Default: `xkey-softpurge`.
    pub xkey_softpurge: String,
    /// The host that a ban is about. Default: `x-ban-host`.
    pub ban_host: String,
    /// The regular expression for the path that a ban is about. Default: `x-ban-url`.
    pub ban_url: String,
    /// Says `yes` where a ban is about everything. Default: `x-ban-everything`.
    pub ban_everything: String,
    /// The secret, where there is one. Default: `x-purge-secret`.
    pub secret: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            machines: Vec::new(),
            xkey: true,
            ban: true,
            soft: true,
            key_bytes: 7_500,
            concurrency: 8,
            secret: None,
            headers: HeaderNames::default(),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            settling_time: Duration::from_secs(2),
            distance: 5,
        }
    }
}

impl Default for HeaderNames {
    fn default() -> Self {
        Self {
            count: "x-purged".to_owned(),
            mode: "x-purge-mode".to_owned(),
            xkey_purge: "xkey-purge".to_owned(),
            xkey_softpurge: "xkey-softpurge".to_owned(),
            ban_host: "x-ban-host".to_owned(),
            ban_url: "x-ban-url".to_owned(),
            ban_everything: "x-ban-everything".to_owned(),
            secret: "x-purge-secret".to_owned(),
        }
    }
}

/// Options that have been checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) machines: Vec<Machine>,
    pub(crate) xkey: bool,
    pub(crate) ban: bool,
    pub(crate) soft: bool,
    pub(crate) key_bytes: NonZeroUsize,
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) headers: Headers,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) settling_time: Duration,
    pub(crate) distance: u8,
}

/// Names of header fields, and the secret one itself.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    pub(crate) count: Option<HeaderName>,
    pub(crate) mode: HeaderName,
    pub(crate) xkey_purge: HeaderName,
    pub(crate) xkey_softpurge: HeaderName,
    pub(crate) ban_host: HeaderName,
    pub(crate) ban_url: HeaderName,
    pub(crate) ban_everything: HeaderName,
    /// The value is marked as sensitive, so that it is not shown.
    pub(crate) secret: Option<(HeaderName, HeaderValue)>,
}

impl Options {
    /// Checks everything that can be known without calling anybody.
    pub(crate) fn check(self) -> Result<Settings, InvalidOption> {
        let headers = self.headers.check(self.secret.as_ref())?;
        Ok(Settings {
            machines: Machine::list(&self.machines, "Varnish", "http://10.0.0.1:6081")?,
            xkey: self.xkey,
            ban: self.ban,
            soft: self.soft,
            key_bytes: within("key_bytes", self.key_bytes, 300, 65_536)?,
            concurrency: within("concurrency", self.concurrency, 1, 256)?,
            headers,
            connect_timeout: positive("connect_timeout", self.connect_timeout)?,
            timeout: positive("timeout", self.timeout)?,
            settling_time: self.settling_time,
            distance: self.distance,
        })
    }
}

impl HeaderNames {
    fn check(&self, secret: Option<&Secret>) -> Result<Headers, InvalidOption> {
        let secret = secret.map(|secret| {
            let mut value = HeaderValue::from_str(secret.expose())
                .ok()
                .filter(|value| !value.is_empty())
                .ok_or_else(|| {
                    InvalidOption::new("secret", "is no header value: use printable ASCII")
                })?;
            value.set_sensitive(true);
            Ok((header_name("headers.secret", &self.secret)?, value))
        });
        let count = (!self.count.is_empty()).then(|| header_name("headers.count", &self.count));
        Ok(Headers {
            count: count.transpose()?,
            mode: header_name("headers.mode", &self.mode)?,
            xkey_purge: header_name("headers.xkey_purge", &self.xkey_purge)?,
            xkey_softpurge: header_name("headers.xkey_softpurge", &self.xkey_softpurge)?,
            ban_host: header_name("headers.ban_host", &self.ban_host)?,
            ban_url: header_name("headers.ban_url", &self.ban_url)?,
            ban_everything: header_name("headers.ban_everything", &self.ban_everything)?,
            secret: secret.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str) -> Result<Settings, String> {
        let options: Options = toml::from_str(toml).map_err(|error| error.to_string())?;
        options.check().map_err(|error| error.to_string())
    }

    #[test]
    fn machines_are_enough() {
        let settings = check("machines = ['http://10.0.0.1:6081']").unwrap();
        assert_eq!(settings.machines[0].label(), "10.0.0.1:6081");
        assert!(settings.xkey && settings.ban && settings.soft);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_key() {
        let machine = "machines = ['http://a']\n";
        let rows = [
            ("", "machines is empty: list every Varnish"),
            ("machines = ['10.0.0.1:6081']", "machines holds"),
            ("machines = ['http://user:hunter2@a']", "machines holds `a`"),
            (&format!("{machine}key_bytes = 299"), "key_bytes is 299"),
            (&format!("{machine}concurrency = 0"), "concurrency is 0"),
            (&format!("{machine}timeout = '0s'"), "timeout is zero"),
            (
                &format!("{machine}secret = \"a\\nb\""),
                "secret is no header value",
            ),
            (
                &format!("{machine}secret = ''"),
                "secret is no header value",
            ),
            (
                &format!("{machine}headers.mode = 'a b'"),
                "headers.mode names `a b`",
            ),
            (&format!("{machine}x = 1"), "unknown field"),
        ];
        for (toml, expected) in rows {
            let error = check(toml).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
            assert!(!error.contains("hunter2"));
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let settings = check("machines = ['http://a']\nsecret = 'hunter2'").unwrap();
        assert!(settings.headers.secret.is_some());
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
