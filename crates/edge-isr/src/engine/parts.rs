//! What each part is told, from the configuration.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Clock, Front, Fronting, Recorder, SenderOptions, SenderRole, Store, TagGraph, Tier, WarmupKey,
};
use isr_edge::{Downstream, EdgeOptions, PurgeAccess};
use isr_pipeline::WorkerOptions;
use isr_tower::Site;
use isr_warm::{Crawler, CrawlerError, CrawlerOptions};
use uuid::Uuid;

use super::{StartError, rules, word};
use crate::config::{Config, LayerConfig};

/// A name that no other process of the site has.
pub(super) fn name(role: SenderRole) -> String {
    format!("{}-{}", word(role), Uuid::now_v7().simple())
}

pub(super) fn graph(store: &Arc<dyn Store>) -> Arc<dyn TagGraph> {
    Arc::clone(store) as Arc<dyn TagGraph>
}

pub(super) fn crawler(
    config: &Config,
    key: &WarmupKey,
    clock: &Arc<dyn Clock>,
    recorder: &Arc<dyn Recorder>,
) -> Result<Arc<Crawler>, CrawlerError> {
    let warm = &config.warm;
    let options = CrawlerOptions {
        allowed: config.site.hosts.clone(),
        concurrency: usize::from(warm.concurrency.get()),
        adaptive: warm.adaptive,
        rate: Some(warm.rate.get()),
        burst: warm.burst.get(),
        connect_timeout: warm.connect_timeout,
        page_timeout: warm.timeout,
        attempts: warm.attempts.get(),
        backoff: warm.backoff,
        longest_backoff: warm.longest_backoff,
        longest_retry_after: warm.longest_retry_after,
        largest_body: warm.largest_body,
        accept_encoding: warm.accept_encoding.clone(),
    };
    let crawler = Crawler::new(
        options,
        key.clone(),
        Arc::clone(clock),
        Arc::clone(recorder),
    )?;
    Ok(Arc::new(crawler))
}

pub(super) fn sender_options(
    config: &Config,
    tiers: &[Tier],
    edge_address: Option<String>,
) -> SenderOptions {
    let foreign = || {
        tiers
            .iter()
            .map(Tier::capabilities)
            .filter(|can| can.foreign)
    };
    let slowest = foreign()
        .map(|can| can.settling_time)
        .max()
        .unwrap_or(Duration::ZERO);
    SenderOptions {
        role: if edge_address.is_some() {
            SenderRole::Edge
        } else {
            SenderRole::Application
        },
        address: edge_address,
        tracks: foreign().next().is_some(),
        settling_time: slowest.max(config.settling_time),
        max_lag: config.edge.max_lag,
        ..SenderOptions::default()
    }
}

pub(super) fn worker_options(config: &Config) -> WorkerOptions {
    WorkerOptions {
        concurrency: usize::from(config.worker.concurrency.get()),
        coalesce: config.coalesce,
        second_purge: config.revalidate.second_purge,
        thresholds: config.thresholds,
        lease: config.worker.lease,
        idle_poll: config.worker.poll,
        attempts: config.worker.attempts.get(),
        first_delay: config.worker.backoff,
        longest_delay: config.worker.longest_backoff,
        ..WorkerOptions::new(format!("worker-{}", Uuid::now_v7().simple()))
    }
}

pub(super) fn edge_options(config: &Config, tiers: &[Tier]) -> Result<EdgeOptions, StartError> {
    let hosts = config.site.hosts.clone();
    let mut options = EdgeOptions::new(hosts).expect("a checked configuration has a host");
    options.url_rules = config.urls.clone();
    options.rules = config
        .rules
        .iter()
        .map(rules::rule)
        .collect::<Result<_, _>>()?;
    let edge = &config.edge;
    if let Some(default_host) = edge.default_host {
        options.default_host = default_host;
    }
    options.unknown_host = edge.unknown_host;
    options.memory_bytes = edge.memory;
    options.largest_body = edge.largest_body;
    options.variants_per_page = edge.variants_per_page;
    options.collapse_wait = edge.collapse_wait;
    options.origin_concurrency = edge.origin_concurrency;
    options.head_timeout = edge.response_timeout;
    options.idle_timeout = edge.idle_timeout;
    options.upload_timeout = config.listen.body_timeout;
    options.bind_timeout = edge.bind_timeout;
    options.degraded_lifetime = edge.degraded_lifetime;
    options.negative_lifetime = edge.negative_lifetime;
    options.uncacheable_lifetime = edge.uncacheable_lifetime;
    options.build_tag.clone_from(&config.site.build);
    options.honour_no_cache = edge.honour_no_cache;
    options.invalidate_on_write = edge.invalidate_on_write;
    options.revalidate = config.revalidate.clone();
    options.purge_from = match edge.purge_from.as_slice() {
        [] => PurgeAccess::Disabled,
        networks => PurgeAccess::From(networks.to_vec()),
    };
    options.trusted_proxies.clone_from(&edge.trusted_proxies);
    options.downstream = Downstream {
        fronting: Fronting::of(tiers).and(edge.dialects.iter().copied().map(Front::speaking)),
        keep_tags: edge.keep_tag_headers,
    };
    Ok(options)
}

/// What pages of an application say to the tiers in front of it.
pub(super) fn layer_fronting(config: &LayerConfig, tiers: &[Tier]) -> Fronting {
    let dialects = config.dialects.iter().copied().map(Front::speaking);
    let headers = config.tag_headers.iter().cloned();
    Fronting::of(tiers)
        .and(dialects)
        .and(headers.map(|header| Front::reading(header.clone(), header.limits())))
}

pub(super) fn site(config: &Config) -> Site {
    let mut hosts = config.site.hosts.iter().cloned();
    let first = hosts.next().expect("a checked configuration has a host");
    hosts.fold(Site::new(first), Site::and)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_own_defaults_are_those_of_the_configuration() {
        let site = "[site]\norigin = \"http://127.0.0.1:3000\"\nhosts = [\"https://a.example\"]\n";
        let config = crate::config::parse(site).unwrap().config;
        let configured = edge_options(&config, &[]).unwrap();
        let own = EdgeOptions::new(config.site.hosts.clone()).unwrap();
        assert_eq!(format!("{configured:#?}"), format!("{own:#?}"));
    }
}
