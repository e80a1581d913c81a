//! What the cache is told: checked values, each with its default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use isr_core::{Fronting, RevalidateOptions, SiteOrigin, Tag, UrlRules};

use crate::rule::Rule;

/// How the cache behaves.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    hosts: Vec<SiteOrigin>,
    /// Whether a request for a host that is not the site's, or for none at all (HTTP/1.0), is taken
    /// as one for the first of the hosts. Default: when there is exactly one.
    pub default_host: bool,
    /// What a request for an unknown host is answered with otherwise. Default: 421.
    pub unknown_host: UnknownHost,
    /// How request targets become page URLs. Default: [`UrlRules::default`].
    pub url_rules: UrlRules,
    /// What is said about pages whose origin says nothing, in order. Default: nothing.
    pub rules: Vec<Rule>,
    /// Bytes of memory for stored responses. A quarter as many more are for bodies on their way there:
    /// what finds no room among those is not stored that time. Default: 256 MiB.
    pub memory_bytes: u64,
    /// The largest body that is stored, in bytes, and never more than an eighth of
    /// `memory_bytes`. Larger ones pass through. Default: 8 MiB.
    pub largest_body: u64,
    /// Variants kept of one page, the newest; at least 1. Default: 16.
    pub variants_per_page: usize,
    /// How long a request waits for another's response before it asks the origin itself, and for that
    /// when as many are under way there as are allowed.
    /// Default: 5 s.
    pub collapse_wait: Duration,
    /// Requests under way at the origin at once, whoever they are for; at least 1. One counts until
    /// the body of its response has ended, or until it speaks another protocol. Beyond it a visitor
    /// waits for up to `collapse_wait`; then he gets something stale where that may stand in for an
    /// origin that fails, else 503. Background requests take at most half of it, and do not wait.
    /// Default: 256.
    pub origin_concurrency: usize,
    /// How long the origin may be silent before the head of its response has come. Default: 30 s.
    pub head_timeout: Duration,
    /// How long the origin may be silent within the body of its response. Default: 60 s.
    pub idle_timeout: Duration,
    /// How long a visitor may be silent within the body of his request. Default: 30 s.
    pub upload_timeout: Duration,
    /// How long the store may take for a bind before the response is sent without. Default: 1 s.
    pub bind_timeout: Duration,
    /// The shared lifetime of responses that could not be bound, and the age at which stored ones are
    /// asked for again while the store is away. Default: 10 s.
    pub degraded_lifetime: Duration,
    /// The longest lifetime that a rule's policy gives to redirects, 404 and 410. Default: 60 s.
    pub negative_lifetime: Duration,
    /// How long it is remembered that nobody but one visitor could have a page's last response, so that
    /// requests for the page do not wait for one another. Default: 30 s.
    pub uncacheable_lifetime: Duration,
    /// A tag for every page, by which a deployment can revalidate what the build before it made; see
    /// [`isr_core::build_tag`]. Default: none.
    pub build_tag: Option<Tag>,
    /// Whether a visitor's `Cache-Control: no-cache` or `max-age=0` reaches the origin (RFC 9111
    /// §5.2.1.4). Default: no, as visitors could keep a busy page from ever being answered here.
    pub honour_no_cache: bool,
    /// Whether a request of an unsafe method that succeeds invalidates its URL (RFC 9111 §4.4), on
    /// routes that a rule opts in. Default: yes.
    pub invalidate_on_write: bool,
    /// What revalidations do that successful writes cause, and those that `PURGE` requests ask for;
    /// the latter have a mode of their own. Default: [`RevalidateOptions::default`].
    pub revalidate: RevalidateOptions,
    /// From where `PURGE` requests are taken. Behind one of the `trusted_proxies` it is the visitor
    /// whom that names who counts; whoever comes through any other proxy is refused. Default: this
    /// machine.
    pub purge_from: PurgeAccess,
    /// Proxies whose `Forwarded`, `X-Forwarded-*`, `X-Original-URL`, `X-Rewrite-URL` and `X-Real-IP` are
    /// believed and passed on. From anybody else these are dropped. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// What is in front of this cache. Default: nothing but visitors.
    pub downstream: Downstream,
}

/// What a request for an unknown host is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownHost {
    /// 421 Misdirected Request (RFC 9110 §15.5.20).
    #[default]
    Misdirected,
    /// 404 Not Found.
    NotFound,
}

/// From where `PURGE` requests are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeAccess {
    /// From nowhere: the method is answered with 405.
    Disabled,
    /// From these networks; anybody else is answered with 403.
    From(Vec<IpNet>),
}

impl Default for PurgeAccess {
    fn default() -> Self {
        let local = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        Self::From(local.map(IpNet::from).to_vec())
    }
}

impl PurgeAccess {
    pub(crate) fn allows(&self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Self::From(networks), Some(peer)) => contains(networks, peer),
            _ => false,
        }
    }
}

/// Whether an address is in one of the networks, an IPv4 address in IPv6 clothing included.
pub(crate) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// What is in front of the cache.
#[derive(Clone, Debug, Default)]
pub struct Downstream {
    /// The tiers in front; none means that nothing but visitors is there, or tiers that nobody purges,
    /// unless the sender follows what is in flight to them. Default: none.
    pub fronting: Fronting,
    /// Whether the origin's tag headers are passed on, for tiers that somebody else purges by tag.
    /// Default: no.
    pub keep_tags: bool,
}

/// A site without hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the site has no host: name at least one origin such as https://example.com")]
pub struct NoHosts;

impl EdgeOptions {
    /// The defaults, for a site with these public origins.
    ///
    /// # Errors
    ///
    /// An empty list is refused: URLs are never made from what a request says its host is.
    pub fn new(hosts: Vec<SiteOrigin>) -> Result<Self, NoHosts> {
        if hosts.is_empty() {
            return Err(NoHosts);
        }
        Ok(Self {
            default_host: hosts.len() == 1,
            hosts,
            unknown_host: UnknownHost::default(),
            url_rules: UrlRules::default(),
            rules: Vec::new(),
            memory_bytes: 256 * 1024 * 1024,
            largest_body: 8 * 1024 * 1024,
            variants_per_page: 16,
            collapse_wait: Duration::from_secs(5),
            origin_concurrency: 256,
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(1),
            upload_timeout: Duration::from_secs(30),
            bind_timeout: Duration::from_secs(1),
            degraded_lifetime: Duration::from_secs(10),
            negative_lifetime: Duration::from_mins(1),
            uncacheable_lifetime: Duration::from_secs(30),
            build_tag: None,
            honour_no_cache: false,
            invalidate_on_write: true,
            revalidate: RevalidateOptions::default(),
            purge_from: PurgeAccess::default(),
            trusted_proxies: Vec::new(),
            downstream: Downstream::default(),
        })
    }

    /// The site's public origins, at least one.
    #[must_use]
    pub fn hosts(&self) -> &[SiteOrigin] {
        &self.hosts
    }

    /// The site that a request's `Host` names; `None` when it is to be refused.
    pub(crate) fn site(&self, host: Option<&str>) -> Option<&SiteOrigin> {
        let named = host.and_then(|host| {
            let host = host.trim();
            self.hosts.iter().find(|origin| is_host_of(host, origin))
        });
        named.or_else(|| self.default_host.then(|| &self.hosts[0]))
    }
}

/// Whether a `Host` field names an origin; the scheme's default port may be left out or stated.
fn is_host_of(host: &str, origin: &SiteOrigin) -> bool {
    let default_port = if origin.scheme() == "https" {
        ":443"
    } else {
        ":80"
    };
    let short = host.strip_suffix(default_port).unwrap_or(host);
    short.eq_ignore_ascii_case(origin.host()) || host.eq_ignore_ascii_case(origin.host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(hosts: &[&str]) -> EdgeOptions {
        EdgeOptions::new(
            hosts
                .iter()
                .map(|host| SiteOrigin::parse(host).unwrap())
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn a_request_only_ever_selects_one_of_the_sites_hosts() {
        let two = options(&["https://a.example", "http://b.example:8080"]);
        let rows = [
            (Some("a.example"), Some("https://a.example")),
            (Some("A.Example"), Some("https://a.example")),
            (Some("a.example:443"), Some("https://a.example")),
            (Some("a.example:80"), None),
            (Some("b.example:8080"), Some("http://b.example:8080")),
            (Some("b.example"), None),
            (Some("evil.example"), None),
            (Some(""), None),
            (None, None),
        ];
        for (host, expected) in rows {
            assert_eq!(two.site(host).map(SiteOrigin::as_str), expected, "{host:?}");
        }
        let one = options(&["https://a.example"]);
        assert_eq!(
            one.site(Some("evil.example")).unwrap().as_str(),
            "https://a.example"
        );
        assert_eq!(one.site(None).unwrap().as_str(), "https://a.example");
    }

    #[test]
    fn purges_are_taken_from_this_machine_unless_told_otherwise() {
        let address = |text: &str| Some(text.parse().unwrap());
        let rows = [
            (address("127.0.0.1"), true),
            (address("::1"), true),
            (address("::ffff:127.0.0.1"), true),
            (address("10.0.0.1"), false),
            (None, false),
        ];
        for (peer, expected) in rows {
            assert_eq!(PurgeAccess::default().allows(peer), expected, "{peer:?}");
            assert!(!PurgeAccess::Disabled.allows(peer));
        }
    }

    #[test]
    fn the_defaults_are_as_documented() {
        let options = options(&["https://a.example"]);
        assert_eq!(
            (options.memory_bytes, options.largest_body),
            (268_435_456, 8_388_608)
        );
        assert_eq!(options.collapse_wait, Duration::from_secs(5));
        assert_eq!(options.degraded_lifetime, Duration::from_secs(10));
        assert!(!options.honour_no_cache && options.invalidate_on_write);
    }
}
