//! What each part is told, from the configuration.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    CdnConnector, Clock, Recorder, SenderOptions, SenderRole, Store, TagGraph, WarmupKey,
};
use isr_edge::{Downstream, EdgeOptions, HttpOriginOptions, IpNet, PurgeAccess};
use isr_pipeline::WorkerOptions;
use isr_tower::Site;
use isr_warm::{Crawler, CrawlerError, CrawlerOptions};
use uuid::Uuid;

use super::{StartError, rules, word};
use crate::config::Config;

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
    let options = CrawlerOptions {
        allowed: config.site.hosts.clone(),
        concurrency: usize::from(config.warm.concurrency.get()),
        rate: Some(config.warm.rate.get()),
        page_timeout: config.warm.timeout,
        attempts: config.warm.attempts.get(),
        ..CrawlerOptions::default()
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
    tiers: &[Arc<dyn CdnConnector>],
    edge_address: Option<String>,
) -> SenderOptions {
    let foreign = || {
        tiers
            .iter()
            .map(|tier| tier.capabilities())
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
        lease: config.worker.lease,
        attempts: config.worker.attempts.get(),
        ..WorkerOptions::new(format!("worker-{}", Uuid::now_v7().simple()))
    }
}

pub(super) fn origin_options(config: &Config) -> HttpOriginOptions {
    HttpOriginOptions {
        connect_timeout: config.edge.connect_timeout,
        ..HttpOriginOptions::default()
    }
}

pub(super) fn edge_options(config: &Config) -> Result<EdgeOptions, StartError> {
    let hosts = config.site.hosts.clone();
    let mut options = EdgeOptions::new(hosts).expect("a checked configuration has a host");
    options.url_rules = config.urls.clone();
    options.rules = config
        .rules
        .iter()
        .map(rules::rule)
        .collect::<Result<_, _>>()?;
    options.memory_bytes = config.edge.memory;
    options.largest_body = config.edge.largest_body;
    options.collapse_wait = config.edge.collapse_wait;
    options.head_timeout = config.edge.response_timeout;
    options.degraded_lifetime = config.edge.degraded_lifetime;
    options.purge_from = match config.edge.purge_from.as_slice() {
        [] => PurgeAccess::Disabled,
        addresses => PurgeAccess::From(addresses.iter().copied().map(IpNet::from).collect()),
    };
    options.downstream = Downstream {
        keep_tags: config.edge.keep_tag_headers,
        ..Downstream::default()
    };
    Ok(options)
}

pub(super) fn site(config: &Config) -> Site {
    let mut hosts = config.site.hosts.iter().cloned();
    let first = hosts.next().expect("a checked configuration has a host");
    hosts.fold(Site::new(first), Site::and)
}
