//! The configuration after it was checked: every value has the type it is used as.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use isr_core::{Policy, RevalidateOptions, Secret, SiteOrigin, UrlRules};

use super::warm_key::WarmKeySource;

/// A checked configuration. Every field and its default is described in `docs/configuration.md`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Which site this is.
    pub site: SiteConfig,
    /// Where the program listens.
    pub listen: ListenConfig,
    /// What remembers pages, tags and revalidations.
    pub store: StoreConfig,
    /// The built-in cache.
    pub edge: EdgeConfig,
    /// What the site's owner says about pages whose origin says nothing, in order.
    pub rules: Vec<RuleConfig>,
    /// Which URLs are one page.
    pub urls: UrlRules,
    /// What a revalidation does when its caller chooses nothing.
    pub revalidate: RevalidateOptions,
    /// How long after its last byte a response may still be stored by a tier: a page bound without a
    /// generation is purged again after it.
    pub settling_time: Duration,
    /// The crawler.
    pub warm: WarmConfig,
    /// Who carries revalidations out.
    pub worker: WorkerConfig,
    /// The admin API.
    pub admin: AdminConfig,
}

impl Config {
    /// Takes note of the address that the edge got where the configuration asks for any free port.
    /// A site without hosts of its own is then visited there.
    pub fn listens_on(&mut self, edge: SocketAddr) {
        if self.site.hosts == [address_as_origin(self.listen.edge)] {
            self.site.hosts = vec![address_as_origin(edge)];
        }
        self.listen.edge = edge;
    }

    /// Where workers reach this process's edge, as `http://host:port`.
    #[must_use]
    pub fn edge_reached_at(&self) -> String {
        let reached_at = self.listen.edge_reached_at.clone();
        reached_at
            .unwrap_or_else(|| address_as_origin(self.listen.edge))
            .as_str()
            .to_owned()
    }
}

/// The origin by which somebody on this machine reaches an address.
pub(super) fn address_as_origin(address: SocketAddr) -> SiteOrigin {
    let text = match address.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}", address.port()),
        _ => format!("http://{address}"),
    };
    SiteOrigin::parse(&text).expect("an IP address and a port are an origin")
}

/// Which site this is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SiteConfig {
    /// Its name in the store.
    pub name: String,
    /// Where pages come from; `None` where nothing is fetched, as in an application with the layer.
    pub origin: Option<SiteOrigin>,
    /// The origins that visitors see. Never empty: without any it is the edge's own address.
    pub hosts: Vec<SiteOrigin>,
}

/// Where the program listens.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListenConfig {
    /// For visitors.
    pub edge: SocketAddr,
    /// Where the workers of all machines reach the edge; `None` where that is the same address.
    pub edge_reached_at: Option<SiteOrigin>,
    /// For the admin API.
    pub admin: SocketAddr,
}

/// What remembers pages, tags and revalidations.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StoreConfig {
    /// This process's memory.
    Memory,
    /// A file on disk.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A Redis server or cluster.
    Redis {
        /// Its URL, which may hold a password.
        url: Secret,
        /// Parts that the pages are split into.
        partitions: NonZeroU16,
    },
}

impl StoreConfig {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite { .. } => "sqlite",
            Self::Redis { .. } => "redis",
        }
    }
}

/// The built-in cache.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EdgeConfig {
    /// Bytes that stored responses may take.
    pub memory: u64,
    /// Bytes of the largest body that is stored.
    pub largest_body: u64,
    /// How long after it last knew itself up to date anything is called fresh.
    pub max_lag: Duration,
    /// How long a visitor waits for another's request to the origin.
    pub collapse_wait: Duration,
    /// How long connecting to the origin may take.
    pub connect_timeout: Duration,
    /// How long the origin may take to begin its response.
    pub response_timeout: Duration,
    /// The longest shared lifetime of a page that could not be bound.
    pub degraded_lifetime: Duration,
    /// Who may send `PURGE` requests.
    pub purge_from: Vec<IpAddr>,
    /// Whether visitors see the tag headers.
    pub keep_tag_headers: bool,
}

/// What the site's owner says about the pages whose path matches a pattern.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RuleConfig {
    /// The pattern.
    pub path: String,
    /// Tags, in which `{1}` stands for what the first wildcard matched.
    pub tags: Vec<String>,
    /// Opts the pages in; `None` when the rule gives no lifetime.
    pub policy: Option<Policy>,
    /// Cookies that say nothing about the page; `*` alone stands for all.
    pub ignore_cookies: Vec<String>,
}

/// The crawler.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WarmConfig {
    /// What signs its requests.
    pub key: WarmKeySource,
    /// Requests at once.
    pub concurrency: NonZeroU16,
    /// Requests a second.
    pub rate: NonZeroU32,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often one page is tried.
    pub attempts: NonZeroU32,
}

/// Who carries revalidations out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Whether this process does.
    pub enabled: bool,
    /// Revalidations worked on at once.
    pub concurrency: NonZeroU16,
    /// How long a worker that says nothing keeps its claim.
    pub lease: Duration,
    /// How often a revalidation is tried without progress before it is given up on.
    pub attempts: NonZeroU32,
}

/// The admin API.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AdminConfig {
    /// What its callers must know; `None` only where it can be reached from this machine alone.
    pub token: Option<Secret>,
    /// Bytes of the largest request body.
    pub largest_body: usize,
}
