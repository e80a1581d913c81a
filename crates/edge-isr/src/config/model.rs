//! The configuration after it was checked: every value has the type it is used as.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use isr_core::{
    Dialect, Escalation, HostPatterns, Policy, RevalidateOptions, Secret, SiteOrigin, Tag,
    TagHeader, UrlRules, WarmupKey,
};
use isr_edge::{HttpOriginOptions, IpNet, ServeOptions, UnknownHost};
use isr_pipeline::{OnHistoryLost, Thresholds};
use isr_tower::IsrOptions;

use crate::connectors::Section;

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
    /// How that behaves.
    pub store_options: StoreOptions,
    /// The built-in cache.
    pub edge: EdgeConfig,
    /// The layer of an application.
    pub layer: LayerConfig,
    /// The tiers beyond the built-in edge.
    pub connectors: Vec<ConnectorConfig>,
    /// What the site's owner says about pages whose origin says nothing, in order.
    pub rules: Vec<RuleConfig>,
    /// Which URLs are one page.
    pub urls: UrlRules,
    /// What a revalidation does when its caller chooses nothing.
    pub revalidate: RevalidateOptions,
    /// Above how many pages a revalidation is held until somebody releases it, or carried out soft.
    pub thresholds: Thresholds,
    /// How long after its last byte a response may still be stored by a tier: a page bound without a
    /// generation is purged again after it.
    pub settling_time: Duration,
    /// How long a purge call is kept open for other revalidations to join.
    pub coalesce: Duration,
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
    /// The tag of the build that is running.
    pub build: Option<Tag>,
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
    /// How long a visitor may be silent within the body of his request.
    pub body_timeout: Duration,
    /// How visitors' connections are served.
    pub serve: ServeOptions,
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
        /// Whether it is a Redis Cluster.
        cluster: bool,
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

/// What an acknowledged change survives in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of any process.
    Process,
    /// A crash of the machine too.
    Machine,
    /// The end of the Redis server, when one of so many replicas takes its place.
    Replicated {
        /// How many have each change before it is acknowledged.
        replicas: NonZeroU16,
    },
}

/// How the store behaves. What means nothing to the store that was chosen is left at its default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Revalidations remembered for those who follow them.
    pub history: NonZeroU32,
    /// Revalidations that may wait, and pages.
    pub queue: NonZeroU32,
    /// How long receipts of finished revalidations are kept.
    pub keep_receipts: Duration,
    /// What an acknowledged change survives.
    pub durability: Durability,
    /// Bytes that the file on disk may grow to; `None` for as many as there are.
    pub max_bytes: Option<NonZeroU64>,
    /// Bytes of memory that the writer of the file takes.
    pub cache: usize,
    /// How many may read the file at once.
    pub readers: NonZeroUsize,
    /// Connections to the Redis server.
    pub connections: usize,
    /// How long connecting to it may take.
    pub connect_timeout: Duration,
    /// How long it may take to answer.
    pub response_timeout: Duration,
    /// Whether a Redis server that restarted with its log is taken to have lost nothing.
    pub trust_restarts: bool,
    /// What becomes of other tiers' copies when revalidations may be lost.
    pub on_history_lost: OnHistoryLost,
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
    /// How long the origin may take to begin its response.
    pub response_timeout: Duration,
    /// How long the origin may be silent within its response.
    pub idle_timeout: Duration,
    /// How long the store may take for a bind.
    pub bind_timeout: Duration,
    /// The longest shared lifetime of a page that could not be bound.
    pub degraded_lifetime: Duration,
    /// The longest lifetime that a rule gives to redirects, 404 and 410.
    pub negative_lifetime: Duration,
    /// How long it is remembered that nobody else could have a page's last response.
    pub uncacheable_lifetime: Duration,
    /// Variants kept of one page.
    pub variants_per_page: usize,
    /// Whether a visitor's `no-cache` reaches the origin.
    pub honour_no_cache: bool,
    /// Whether a request of an unsafe method that succeeds invalidates its page.
    pub invalidate_on_write: bool,
    /// Who may send `PURGE` requests; nobody when it is empty.
    pub purge_from: Vec<IpNet>,
    /// Proxies whose `Forwarded`, `X-Forwarded-For` and the like are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether a request for no host of the site's is taken as one for the first; `None` when that
    /// depends on whether there are others.
    pub default_host: Option<bool>,
    /// What such a request is answered with otherwise.
    pub unknown_host: UnknownHost,
    /// How lifetimes are told to the tiers in front of the cache.
    pub dialects: Vec<Dialect>,
    /// Whether visitors see the tag headers.
    pub keep_tag_headers: bool,
    /// Requests under way at the origin at once.
    pub origin_concurrency: usize,
    /// How the origin is reached.
    pub origin: HttpOriginOptions,
}

/// The layer of an application.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LayerConfig {
    /// How lifetimes are told to the tiers in front of the application.
    pub dialects: Vec<Dialect>,
    /// The fields in which those tiers look for tags.
    pub tag_headers: Vec<TagHeader>,
    /// How the layer behaves.
    pub options: IsrOptions,
}

/// A tier beyond the built-in edge.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectorConfig {
    /// Which kind of service it is.
    pub kind: String,
    /// The hosts whose pages it keeps.
    pub hosts: HostPatterns,
    /// When more may be purged than was asked for.
    pub escalation: Option<Escalation>,
    /// Its name, and the options of its kind.
    pub section: Section,
}

impl ConnectorConfig {
    /// The name of its tier, unless it names several machines, each of which is a tier.
    #[must_use]
    pub fn name(&self) -> &str {
        self.section.name()
    }
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
    /// What signs its requests; `None` where the store's own secret does.
    pub key: Option<WarmupKey>,
    /// Requests to one host at once, at most.
    pub concurrency: NonZeroU16,
    /// Whether it follows how the host fares how many of those there are.
    pub adaptive: bool,
    /// Requests a second, after the burst.
    pub rate: NonZeroU32,
    /// Requests that may begin at once after a rest.
    pub burst: NonZeroU32,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often one page is tried.
    pub attempts: NonZeroU32,
    /// The longest delay before the second attempt.
    pub backoff: Duration,
    /// The longest delay before any attempt.
    pub longest_backoff: Duration,
    /// What a `Retry-After` is cut to.
    pub longest_retry_after: Duration,
    /// Bytes of the largest body that is read.
    pub largest_body: u64,
    /// The `Accept-Encoding` of the requests.
    pub accept_encoding: String,
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
    /// How often the queue is looked at when nobody says that there is something in it.
    pub poll: Duration,
    /// How often a revalidation is tried without progress before it is given up on.
    pub attempts: NonZeroU32,
    /// The longest delay after the first failed attempt.
    pub backoff: Duration,
    /// The longest delay after any.
    pub longest_backoff: Duration,
}

/// The admin API.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AdminConfig {
    /// What its callers must know; `None` only where it can be reached from this machine alone.
    pub token: Option<Secret>,
    /// Connections of callers at once.
    pub connections: usize,
    /// Bytes of the largest request body.
    pub largest_body: usize,
}
