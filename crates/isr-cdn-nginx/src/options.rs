//! What a user writes in the configuration, and what becomes of it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use isr_core::options::{header_name, positive, within};
use isr_core::{InvalidOption, Machine, QueryFilter};
use serde::Deserialize;

use crate::cache_path::Template;

/// The options of a `[[connector]]` of kind `nginx`. Those of the other method are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How nginx is purged; must be given.
    pub method: Option<PurgeMethod>,

    /// For `purge_location`: every nginx there is, each as `http://10.0.0.1`: scheme, host and port. At least
    /// one; each is purged, and retried, by itself.
    pub machines: Option<Vec<String>>,
    /// For `purge_location`: the path beneath which pages are purged. It begins with `/`. Default: `/purge`.
    pub purge_path: Option<String>,
    /// For `purge_location`, where the cache's key holds more of a request than its URL: request headers, a
    /// table for each variant, such as `[{ "Accept-Language" = "de" }]`. Each page is purged once with each of
    /// them, and then without any. Default: none.
    pub variant_headers: Option<Vec<BTreeMap<String, String>>>,
    /// For `purge_location`: the header field by which the connector knows that the location answered and not
    /// the origin. Default: `x-edge-isr-purge`. Empty for a configuration that sends none: then whoever
    /// answers 200, 404 or 412 is believed.
    pub answer_header: Option<String>,
    /// For `purge_location`: the most requests to one machine at once, from 1 to 256. Default: 8.
    pub concurrency: Option<usize>,
    /// For `purge_location`: how long connecting may take. More than zero; default: 3 seconds.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Option<Duration>,

    /// For `cache_path`: the folder of `proxy_cache_path`, as an absolute path.
    pub path: Option<PathBuf>,
    /// For `cache_path`: what `proxy_cache_key` says, in `$scheme`, `$host`, `$http_host`, `$proxy_host`,
    /// `$request_method`, `$request_uri` and text. Default: `$scheme://$host$request_uri`.
    pub key: Option<String>,
    /// For `cache_path`: what `$proxy_host` is where the key holds it: the host, and the port unless it is the
    /// default one, that stand in `proxy_pass`.
    pub proxy_host: Option<String>,
    /// For `cache_path`: what the site's `urls.query_allow` says, where it is given: only these parameters make a
    /// page. Default: see `query_deny`.
    pub query_allow: Option<Vec<String>>,
    /// For `cache_path`: what the site's `urls.query_deny` says, where it is given: these parameters make no
    /// page. Default: those that follow visitors around, such as `utm_*`, as in the site's configuration.
    pub query_deny: Option<Vec<String>>,
    /// For `cache_path`: the most files that are indexed, at about 150 bytes of memory each, from 1. Purges of
    /// a cache with more are refused. Default: 2,000,000.
    pub max_index_entries: Option<usize>,
    /// For `cache_path`: how often the index is brought up to date between purges, so that these have little
    /// left to do. More than zero; default: 1 second.
    #[serde(with = "humantime_serde")]
    pub refresh_interval: Option<Duration>,

    /// How long one request, or one purge of files, may take altogether. More than zero; default: 10 seconds.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long after its last byte a response may still be stored. Default: 2 seconds.
    #[serde(with = "humantime_serde")]
    pub settling_time: Duration,
    /// Where this nginx stands between the origin and visitors, 0 being nearest the origin: what is nearer is
    /// purged first. Default: 5, before the CDNs' 10.
    pub distance: u8,
}

/// How an nginx is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PurgeMethod {
    /// By a location of the module `ngx_http_cache_purge`.
    PurgeLocation,
    /// By removing files under its cache's folder.
    CachePath,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: None,
            machines: None,
            purge_path: None,
            variant_headers: None,
            answer_header: None,
            concurrency: None,
            connect_timeout: None,
            path: None,
            key: None,
            proxy_host: None,
            query_allow: None,
            query_deny: None,
            max_index_entries: None,
            refresh_interval: None,
            timeout: Duration::from_secs(10),
            settling_time: Duration::from_secs(2),
            distance: 5,
        }
    }
}

/// Options that have been checked.
#[derive(Clone, Debug)]
pub(crate) enum Settings {
    Location(LocationSettings),
    CachePath(CachePathSettings),
}

/// What purging by a location needs.
#[derive(Clone, Debug)]
pub(crate) struct LocationSettings {
    pub(crate) machines: Vec<Machine>,
    pub(crate) purge_path: String,
    pub(crate) variants: Vec<HeaderMap>,
    pub(crate) answer_header: Option<HeaderName>,
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) connect_timeout: Duration,
    pub(crate) tier: TierSettings,
}

/// What removing files needs.
#[derive(Clone, Debug)]
pub(crate) struct CachePathSettings {
    pub(crate) path: PathBuf,
    pub(crate) template: Template,
    pub(crate) most_files: NonZeroUsize,
    pub(crate) refresh_interval: Duration,
    pub(crate) tier: TierSettings,
}

/// What both need.
#[derive(Clone, Debug)]
pub(crate) struct TierSettings {
    pub(crate) timeout: Duration,
    pub(crate) settling_time: Duration,
    pub(crate) distance: u8,
}

impl Options {
    /// Checks everything that can be known without calling anybody.
    pub(crate) fn check(self) -> Result<Settings, InvalidOption> {
        match self.method {
            Some(PurgeMethod::PurgeLocation) => self.location().map(Settings::Location),
            Some(PurgeMethod::CachePath) => self.cache_path().map(Settings::CachePath),
            None => Err(InvalidOption::new(
                "method",
                "is missing: say \"purge_location\" or \"cache_path\"",
            )),
        }
    }

    fn location(self) -> Result<LocationSettings, InvalidOption> {
        let others = [
            ("path", self.path.is_some()),
            ("key", self.key.is_some()),
            ("proxy_host", self.proxy_host.is_some()),
            ("query_allow", self.query_allow.is_some()),
            ("query_deny", self.query_deny.is_some()),
            ("max_index_entries", self.max_index_entries.is_some()),
            ("refresh_interval", self.refresh_interval.is_some()),
        ];
        refuse(others, "cache_path")?;
        let variants = self.variant_headers.as_deref().unwrap_or_default();
        let field = self.answer_header.as_deref().unwrap_or("x-edge-isr-purge");
        let field = (!field.is_empty()).then(|| header_name("answer_header", field));
        Ok(LocationSettings {
            machines: Machine::list(
                self.machines.as_deref().unwrap_or_default(),
                "nginx",
                "http://10.0.0.1",
            )?,
            purge_path: purge_path(self.purge_path.as_deref().unwrap_or("/purge"))?,
            variants: variants.iter().map(headers).collect::<Result<_, _>>()?,
            answer_header: field.transpose()?,
            concurrency: within("concurrency", self.concurrency.unwrap_or(8), 1, 256)?,
            connect_timeout: positive(
                "connect_timeout",
                self.connect_timeout.unwrap_or(Duration::from_secs(3)),
            )?,
            tier: self.tier()?,
        })
    }

    fn cache_path(self) -> Result<CachePathSettings, InvalidOption> {
        let others = [
            ("machines", self.machines.is_some()),
            ("purge_path", self.purge_path.is_some()),
            ("variant_headers", self.variant_headers.is_some()),
            ("answer_header", self.answer_header.is_some()),
            ("concurrency", self.concurrency.is_some()),
            ("connect_timeout", self.connect_timeout.is_some()),
        ];
        refuse(others, "purge_location")?;
        let tier = self.tier()?;
        let query = query(self.query_allow.as_deref(), self.query_deny.as_deref())?;
        let path = self.path.filter(|path| path.is_absolute()).ok_or_else(|| {
            InvalidOption::new(
                "path",
                "is no absolute path: name the folder that nginx's `proxy_cache_path` names",
            )
        })?;
        let key = self.key.as_deref().unwrap_or("$scheme://$host$request_uri");
        let template = Template::parse(key, self.proxy_host.as_deref(), query)?;
        Ok(CachePathSettings {
            path,
            template,
            most_files: within(
                "max_index_entries",
                self.max_index_entries.unwrap_or(2_000_000),
                1,
                usize::MAX,
            )?,
            refresh_interval: positive(
                "refresh_interval",
                self.refresh_interval.unwrap_or(Duration::from_secs(1)),
            )?,
            tier,
        })
    }

    fn tier(&self) -> Result<TierSettings, InvalidOption> {
        Ok(TierSettings {
            timeout: positive("timeout", self.timeout)?,
            settling_time: self.settling_time,
            distance: self.distance,
        })
    }
}

/// An option that would be without any effect is a misunderstanding.
fn refuse(
    others: impl IntoIterator<Item = (&'static str, bool)>,
    method: &str,
) -> Result<(), InvalidOption> {
    match others.into_iter().find(|(_, is_given)| *is_given) {
        Some((key, _)) => Err(InvalidOption::new(
            key,
            format!("belongs to method = \"{method}\": leave it out, or change the method"),
        )),
        None => Ok(()),
    }
}

fn query(allow: Option<&[String]>, deny: Option<&[String]>) -> Result<QueryFilter, InvalidOption> {
    let fault = |key: &'static str| {
        move |fault| InvalidOption::new(key, format!("cannot be used: {fault}"))
    };
    match (allow, deny) {
        (None, None) => Ok(QueryFilter::default()),
        (Some([]), None) => Ok(QueryFilter::DropAll),
        (Some(allow), None) => QueryFilter::allow(allow).map_err(fault("query_allow")),
        (None, Some([])) => Ok(QueryFilter::KeepAll),
        (None, Some(deny)) => QueryFilter::deny(deny).map_err(fault("query_deny")),
        (Some(_), Some(_)) => Err(InvalidOption::new(
            "query_deny",
            "cannot be given beside `query_allow`: remove one of them",
        )),
    }
}

fn purge_path(path: &str) -> Result<String, InvalidOption> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let path = path.trim_end_matches('/');
    let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if path.starts_with('/') && path.bytes().all(is_plain) && !dots {
        return Ok(path.to_owned());
    }
    Err(InvalidOption::new(
        "purge_path",
        "is no path of letters, digits, `-`, `_`, `.` and `~` that begins with `/`",
    ))
}

fn headers(fields: &BTreeMap<String, String>) -> Result<HeaderMap, InvalidOption> {
    const KEY: &str = "variant_headers";
    if fields.is_empty() {
        return Err(InvalidOption::new(
            KEY,
            "holds an empty table: pages are purged without these headers anyway",
        ));
    }
    let fields = fields.iter().map(|(name, value)| {
        let name = header_name(KEY, name)?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| InvalidOption::new(KEY, format!("has no header's value for `{name}`")))?;
        if name == http::header::HOST {
            return Err(InvalidOption::new(KEY, "holds `host`, which is the page's"));
        }
        Ok((name, value))
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str) -> Result<Settings, String> {
        let options: Options = toml::from_str(toml).map_err(|error| error.to_string())?;
        options.check().map_err(|error| error.to_string())
    }

    #[test]
    fn each_method_needs_one_thing() {
        let location = check("method = 'purge_location'\nmachines = ['http://a', 'https://b:1']");
        let Ok(Settings::Location(location)) = location else {
            panic!("{location:?}");
        };
        let labels: Vec<&str> = location.machines.iter().map(Machine::label).collect();
        assert_eq!(labels, ["a:80", "b:1"]);
        assert_eq!(location.purge_path, "/purge");

        let files = check("method = 'cache_path'\npath = '/var/cache/nginx/pages'");
        assert!(matches!(files, Ok(Settings::CachePath(_))), "{files:?}");
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_key() {
        let location = "method = 'purge_location'\n";
        let machine = "method = 'purge_location'\nmachines = ['http://a']\n";
        let files = "method = 'cache_path'\npath = '/c'\n";
        let rows = [
            (String::new(), "method is missing"),
            ("method = 'x'".to_owned(), "unknown variant"),
            (location.to_owned(), "machines is empty: list every nginx"),
            (format!("{location}machines = ['a']"), "machines holds `a`"),
            (format!("{machine}path = '/c'"), "path belongs to"),
            (
                format!("{machine}purge_path = 'purge'"),
                "purge_path is no path",
            ),
            (
                format!("{machine}purge_path = '/a/../b'"),
                "purge_path is no path",
            ),
            (
                format!("{machine}purge_path = '/p?a'"),
                "purge_path is no path",
            ),
            (
                format!("{machine}variant_headers = [{{}}]"),
                "an empty table",
            ),
            (
                format!("{machine}variant_headers = [{{ Host = 'a' }}]"),
                "holds `host`",
            ),
            (
                format!("{machine}variant_headers = [{{ 'a b' = 'a' }}]"),
                "no header's name",
            ),
            (format!("{machine}concurrency = 257"), "concurrency is 257"),
            (format!("{machine}timeout = '0s'"), "timeout is zero"),
            (
                "method = 'cache_path'".to_owned(),
                "path is no absolute path",
            ),
            (
                "method = 'cache_path'\npath = 'c'".to_owned(),
                "path is no absolute path",
            ),
            (format!("{files}purge_path = '/p'"), "purge_path belongs to"),
            (format!("{files}key = '$uri'"), "key "),
            (
                format!("{files}query_allow = ['a']\nquery_deny = ['b']"),
                "query_deny cannot be given",
            ),
            (
                format!("{files}query_allow = ['a=b']"),
                "query_allow cannot be used: ",
            ),
            (format!("{machine}query_deny = []"), "query_deny belongs to"),
            (
                format!("{files}max_index_entries = 0"),
                "max_index_entries is 0",
            ),
            (format!("{files}x = 0"), "unknown field"),
        ];
        for (toml, expected) in rows {
            let error = check(&toml).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
    }

    #[test]
    fn a_trailing_slash_of_the_purge_path_does_not_count() {
        assert_eq!(purge_path("/a/").unwrap(), "/a");
        assert!(purge_path("/").is_err());
    }
}
