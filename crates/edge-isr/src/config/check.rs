//! From what was written to what is used. Nothing here touches a file or the network.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderValue;
use isr_core::{
    ModeChoice, QueryFilter, RevalidateOptions, SiteOrigin, UrlRules, WarmupKey, build_tag,
};
use isr_edge::ServeOptions;
use isr_pipeline::Thresholds;

use super::model::{
    AdminConfig, Config, ListenConfig, RuleConfig, SiteConfig, WarmConfig, WorkerConfig,
    address_as_origin,
};
use super::raw::{self, Raw, Size, Span};
use super::secrets::KeyFault;

mod connector;
mod edge;
mod rule;
mod store;

/// Checks every value, and reports all that are wrong, each with its key.
pub(super) fn check(raw: &Raw) -> Result<Config, Vec<KeyFault>> {
    let mut faults = Faults::default();
    let store = store::place(&raw.store, &mut faults);
    let listen = listen(&raw.listen, &mut faults);
    let edge = edge::edge(&raw.edge, &mut faults);
    let replica_lag = faults.within(
        "site.replica_lag",
        raw.site.replica_lag,
        Duration::ZERO..=HOUR,
    );
    let revalidate = RevalidateOptions {
        replica_lag: Some(replica_lag).filter(|lag| !lag.is_zero()),
        ..revalidate(&raw.revalidate)
    };
    let config = Config {
        site: site(&raw.site, listen.edge, &mut faults),
        store_options: store::options(&raw.store, &mut faults),
        layer: edge::layer(raw, &edge, revalidate.clone(), &mut faults),
        connectors: connector::connectors(&raw.connector, &mut faults),
        rules: rules(&raw.rule, &mut faults),
        urls: urls(&raw.urls, &mut faults),
        revalidate,
        thresholds: thresholds(&raw.revalidate, &mut faults),
        settling_time: faults.within(
            "revalidate.settling_time",
            raw.revalidate.settling_time,
            Duration::ZERO..=HOUR,
        ),
        coalesce: faults.within(
            "revalidate.coalesce",
            raw.revalidate.coalesce,
            Duration::ZERO..=10 * SECOND,
        ),
        warm: warm(&raw.warm, &mut faults),
        worker: worker(&raw.worker, &mut faults),
        admin: admin(&raw.admin, listen.admin, &mut faults),
        listen,
        store,
        edge,
    };
    if faults.0.is_empty() {
        Ok(config)
    } else {
        Err(faults.0)
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What is wrong so far. A value at fault is replaced by a good one, so that the rest is checked too.
#[derive(Debug, Default)]
struct Faults(Vec<KeyFault>);

impl Faults {
    fn push(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push((key.into(), message.into()));
    }

    /// A duration that has to be within a range.
    fn within(&mut self, key: &str, given: Span, range: RangeInclusive<Duration>) -> Duration {
        self.ranged(key, given, Span(*range.start())..=Span(*range.end()))
            .0
    }

    /// A size that has to be within a range, in bytes.
    fn size(&mut self, key: &str, given: Size, range: RangeInclusive<Size>) -> u64 {
        self.ranged(key, given, range).0
    }

    /// The same for what is held in memory.
    fn memory(&mut self, key: &str, given: Size, range: RangeInclusive<Size>) -> usize {
        usize::try_from(self.size(key, given, range)).unwrap_or(usize::MAX)
    }

    /// A number that has to be within a range, every number of which the result can hold.
    fn number<N, T>(&mut self, key: &str, given: N, range: RangeInclusive<N>) -> T
    where
        N: Copy + Ord + fmt::Display,
        T: TryFrom<N, Error: fmt::Debug>,
    {
        T::try_from(self.ranged(key, given, range)).expect("the result holds the whole range")
    }

    fn ranged<N: Copy + Ord + fmt::Display>(
        &mut self,
        key: &str,
        given: N,
        range: RangeInclusive<N>,
    ) -> N {
        let (least, most) = range.into_inner();
        if given < least || given > most {
            self.push(key, format!("is {given}: use {least} to {most}"));
        }
        given.clamp(least, most)
    }
}

fn site(raw: &raw::Site, edge: SocketAddr, faults: &mut Faults) -> SiteConfig {
    let good = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    if raw.name.is_empty() || raw.name.len() > 64 || !raw.name.bytes().all(good) {
        faults.push(
            "site.name",
            "has to be 1 to 64 of a-z, 0-9, `-`, `_` and `.`",
        );
    }
    let origin = raw
        .origin
        .as_deref()
        .and_then(|origin| match SiteOrigin::parse(origin) {
            Ok(origin) => Some(origin),
            Err(fault) => {
                faults.push("site.origin", format!("cannot be used: {fault}"));
                None
            }
        });
    let mut hosts: Vec<SiteOrigin> = Vec::new();
    for host in &raw.hosts {
        match SiteOrigin::parse(host) {
            Ok(host) if hosts.contains(&host) => {
                faults.push("site.hosts", format!("names {} twice", host.as_str()));
            }
            Ok(host) => hosts.push(host),
            Err(fault) => faults.push("site.hosts", format!("cannot be used: {fault}")),
        }
    }
    if hosts.is_empty() {
        hosts.push(address_as_origin(edge));
    }
    if raw.build.as_deref().is_some_and(str::is_empty) {
        faults.push("site.build", "is empty: name the build, or remove this");
    }
    SiteConfig {
        name: raw.name.clone(),
        origin,
        hosts,
        build: raw.build.as_deref().map(build_tag),
    }
}

fn listen(raw: &raw::Listen, faults: &mut Faults) -> ListenConfig {
    let mut address = |key: &str, text: &str| {
        text.parse().unwrap_or_else(|_| {
            faults.push(
                key,
                format!("is `{text}`: expected an IP address and a port such as 127.0.0.1:8080"),
            );
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    };
    let (edge, admin): (SocketAddr, SocketAddr) = (
        address("listen.edge", &raw.edge),
        address("listen.admin", &raw.admin),
    );
    if edge == admin && edge.port() != 0 {
        faults.push(
            "listen.admin",
            "is the address of `listen.edge` too: give it a port of its own",
        );
    }
    let edge_reached_at = raw.edge_reached_at.as_deref().and_then(|text| {
        let parsed = SiteOrigin::parse(text);
        if let Err(fault) = &parsed {
            faults.push("listen.edge_reached_at", format!("cannot be used: {fault}"));
        }
        parsed.ok()
    });
    ListenConfig {
        edge,
        edge_reached_at,
        admin,
        body_timeout: faults.within(
            "listen.body_timeout",
            raw.body_timeout,
            10 * MILLISECOND..=HOUR,
        ),
        serve: serve(raw, faults),
    }
}

fn serve(raw: &raw::Listen, faults: &mut Faults) -> ServeOptions {
    let spans = 10 * MILLISECOND..=HOUR;
    ServeOptions {
        most_connections: faults.number(
            "listen.connections",
            usize::try_from(raw.connections).unwrap_or(usize::MAX),
            1..=1_000_000,
        ),
        head_timeout: faults.within("listen.head_timeout", raw.head_timeout, spans.clone()),
        send_timeout: faults.within("listen.send_timeout", raw.send_timeout, spans),
        head_bytes: faults.memory(
            "listen.largest_head",
            raw.largest_head,
            Size::kibibytes(8)..=Size::mebibytes(1),
        ),
        grace: faults.within("listen.grace", raw.grace, Duration::ZERO..=HOUR),
    }
}

fn rules(raw: &[raw::Rule], faults: &mut Faults) -> Vec<RuleConfig> {
    raw.iter()
        .enumerate()
        .map(|(index, rule)| rule::check(index, rule, faults))
        .collect()
}

fn urls(raw: &raw::Urls, faults: &mut Faults) -> UrlRules {
    let filter = match (&raw.query_allow, &raw.query_deny) {
        (Some(_), Some(_)) => {
            faults.push(
                "urls.query_deny",
                "cannot be given beside `urls.query_allow`: remove one of them",
            );
            return UrlRules::default();
        }
        (None, None) => return UrlRules::default(),
        (Some(allow), None) if allow.is_empty() => Ok(QueryFilter::DropAll),
        (Some(allow), None) => {
            QueryFilter::allow(allow).map_err(|fault| ("urls.query_allow", fault))
        }
        (None, Some(deny)) if deny.is_empty() => Ok(QueryFilter::KeepAll),
        (None, Some(deny)) => QueryFilter::deny(deny).map_err(|fault| ("urls.query_deny", fault)),
    };
    let filter = filter.unwrap_or_else(|(key, fault)| {
        faults.push(key, format!("cannot be used: {fault}"));
        QueryFilter::default()
    });
    UrlRules::new(filter)
}

fn revalidate(raw: &raw::Revalidate) -> RevalidateOptions {
    let mode = match raw.mode {
        raw::Mode::Soft => isr_core::Mode::Soft,
        raw::Mode::Hard => isr_core::Mode::Hard,
    };
    let second_purge = raw
        .second_purge
        .map(|span| span.0)
        .filter(|delay| !delay.is_zero());
    RevalidateOptions {
        mode: ModeChoice::usual(mode),
        warm: raw.warm,
        second_purge,
        ..RevalidateOptions::default()
    }
}

fn thresholds(raw: &raw::Revalidate, faults: &mut Faults) -> Thresholds {
    let mut within = |key: &str, given: Option<u64>| {
        let key = format!("revalidate.{key}");
        given.map(|pages| faults.number(&key, pages, 0..=Thresholds::MOST))
    };
    let (hold, soften) = (
        within("hold_above", raw.hold_above),
        within("soft_above", raw.soft_above),
    );
    if soften.is_some() && raw.mode == raw::Mode::Soft {
        faults.push(
            "revalidate.soft_above",
            "changes nothing, since `revalidate.mode` is \"soft\": leave it out, or set that to \"hard\"",
        );
    }
    Thresholds { hold, soften }
}

fn warm(raw: &raw::Warm, faults: &mut Faults) -> WarmConfig {
    let mut unusable = |fault| faults.push("warm.key", format!("cannot be used: {fault}"));
    let key = (raw.key.as_ref())
        .and_then(|key| WarmupKey::new(key.0.clone()).map_err(&mut unusable).ok());
    if HeaderValue::from_str(&raw.accept_encoding).is_err() {
        faults.push(
            "warm.accept_encoding",
            "is no header field: write codings such as gzip, br",
        );
    }
    let largest_body = Size::kibibytes(1)..=Size::gibibytes(1024);
    let mut within = |key: &str, given, range| faults.within(&format!("warm.{key}"), given, range);
    WarmConfig {
        key,
        connect_timeout: within(
            "connect_timeout",
            raw.connect_timeout,
            10 * MILLISECOND..=MINUTE,
        ),
        timeout: within("timeout", raw.timeout, 10 * MILLISECOND..=10 * MINUTE),
        backoff: within("backoff", raw.backoff, MILLISECOND..=MINUTE),
        longest_backoff: within(
            "longest_backoff",
            raw.longest_backoff,
            MILLISECOND..=10 * MINUTE,
        ),
        longest_retry_after: within(
            "longest_retry_after",
            raw.longest_retry_after,
            Duration::ZERO..=HOUR,
        ),
        concurrency: faults.number("warm.concurrency", raw.concurrency, 1..=256),
        adaptive: raw.adaptive,
        rate: faults.number("warm.rate", raw.rate, 1..=10_000),
        burst: faults.number("warm.burst", raw.burst, 1..=1000),
        attempts: faults.number("warm.attempts", raw.attempts, 1..=10),
        largest_body: faults.size("warm.largest_body", raw.largest_body, largest_body),
        accept_encoding: raw.accept_encoding.clone(),
    }
}

fn worker(raw: &raw::Worker, faults: &mut Faults) -> WorkerConfig {
    WorkerConfig {
        enabled: raw.enabled,
        concurrency: faults.number("worker.concurrency", raw.concurrency, 1..=4096),
        lease: faults.within("worker.lease", raw.lease, SECOND..=HOUR),
        poll: faults.within("worker.poll", raw.poll, 10 * MILLISECOND..=MINUTE),
        backoff: faults.within("worker.backoff", raw.backoff, 10 * MILLISECOND..=HOUR),
        longest_backoff: faults.within(
            "worker.longest_backoff",
            raw.longest_backoff,
            10 * MILLISECOND..=DAY,
        ),
        attempts: faults.number("worker.attempts", raw.attempts, 1..=1000),
    }
}

fn admin(raw: &raw::Admin, address: SocketAddr, faults: &mut Faults) -> AdminConfig {
    let token = raw.token.as_ref().map(|token| token.0.clone());
    match &token {
        None if !address.ip().is_loopback() => faults.push(
            "admin.token",
            format!("is missing, and `listen.admin` is {address}, which other machines can reach: set admin.token or admin.token_file"),
        ),
        Some(token) if token.expose().len() < 16 => faults.push("admin.token", "has fewer than 16 bytes: choose a longer one"),
        Some(token) if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) => {
            faults.push("admin.token", "holds something else than printable ASCII without spaces: choose another");
        }
        _ => {}
    }
    let largest_body = usize::try_from(raw.largest_body.0).unwrap_or(usize::MAX);
    if largest_body == 0 {
        faults.push("admin.largest_body", "is 0: use at least 1");
    }
    AdminConfig {
        token,
        connections: faults.number(
            "admin.connections",
            usize::try_from(raw.connections).unwrap_or(usize::MAX),
            1..=100_000,
        ),
        largest_body,
    }
}
