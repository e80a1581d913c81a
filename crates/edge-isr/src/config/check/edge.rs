//! Checks `[edge]` and `[layer]`.

use std::net::IpAddr;
use std::time::Duration;

use isr_core::{CookieNames, RevalidateOptions, TagHeader};
use isr_edge::{HttpOriginOptions, IpNet, UnknownHost};
use isr_tower::IsrOptions;

use super::{DAY, Faults, HOUR, MILLISECOND, MINUTE, SECOND};
use crate::config::model::{EdgeConfig, LayerConfig};
use crate::config::raw::{self, Raw, Size};

/// Checks `[edge]`. The certificates of its origin's authority are added when they have been read.
pub(super) fn edge(raw: &raw::Edge, faults: &mut Faults) -> EdgeConfig {
    if raw.largest_body.0 > raw.memory.0 {
        faults.push(
            "edge.largest_body",
            "is larger than `edge.memory`: such a body could never be stored",
        );
    }
    let mut within = |key: &str, given, range| faults.within(&format!("edge.{key}"), given, range);
    EdgeConfig {
        memory: raw.memory.0,
        largest_body: raw.largest_body.0,
        max_lag: within("max_lag", raw.max_lag, 50 * MILLISECOND..=MINUTE),
        collapse_wait: within("collapse_wait", raw.collapse_wait, Duration::ZERO..=MINUTE),
        response_timeout: within(
            "response_timeout",
            raw.response_timeout,
            10 * MILLISECOND..=HOUR,
        ),
        idle_timeout: within("idle_timeout", raw.idle_timeout, 10 * MILLISECOND..=HOUR),
        bind_timeout: within("bind_timeout", raw.bind_timeout, 10 * MILLISECOND..=MINUTE),
        degraded_lifetime: within(
            "degraded_lifetime",
            raw.degraded_lifetime,
            Duration::ZERO..=HOUR,
        ),
        negative_lifetime: within("negative_lifetime", raw.negative_lifetime, SECOND..=DAY),
        uncacheable_lifetime: within(
            "uncacheable_lifetime",
            raw.uncacheable_lifetime,
            Duration::ZERO..=HOUR,
        ),
        origin: origin(raw, faults),
        origin_concurrency: faults.number(
            "edge.origin_concurrency",
            usize::try_from(raw.origin_concurrency).unwrap_or(usize::MAX),
            1..=65_536,
        ),
        variants_per_page: faults.number(
            "edge.variants_per_page",
            usize::from(raw.variants_per_page),
            1..=1000,
        ),
        honour_no_cache: raw.honour_no_cache,
        invalidate_on_write: raw.invalidate_on_write,
        purge_from: networks("edge.purge_from", &raw.purge_from, faults),
        trusted_proxies: networks("edge.trusted_proxies", &raw.trusted_proxies, faults),
        default_host: raw.default_host,
        unknown_host: match raw.unknown_host {
            raw::UnknownHost::Misdirected => UnknownHost::Misdirected,
            raw::UnknownHost::NotFound => UnknownHost::NotFound,
        },
        dialects: raw.dialects.clone(),
        keep_tag_headers: raw.keep_tag_headers,
    }
}

/// How the origin is reached.
fn origin(raw: &raw::Edge, faults: &mut Faults) -> HttpOriginOptions {
    HttpOriginOptions {
        connect_timeout: faults.within(
            "edge.connect_timeout",
            raw.connect_timeout,
            10 * MILLISECOND..=MINUTE,
        ),
        keep_idle: faults.within(
            "edge.origin_keep_alive",
            raw.origin_keep_alive,
            Duration::ZERO..=HOUR,
        ),
        most_idle: faults.number(
            "edge.origin_connections",
            usize::try_from(raw.origin_connections).unwrap_or(usize::MAX),
            0..=100_000,
        ),
        head_bytes: faults.memory(
            "edge.origin_largest_head",
            raw.origin_largest_head,
            Size::kibibytes(8)..=Size::mebibytes(1),
        ),
        most_fields: faults.number(
            "edge.origin_most_fields",
            usize::from(raw.origin_most_fields),
            16..=4096,
        ),
        http2: raw.origin_http2,
        ..HttpOriginOptions::default()
    }
}

/// Networks such as `10.0.0.0/8`, and single addresses.
fn networks(key: &str, texts: &[String], faults: &mut Faults) -> Vec<IpNet> {
    let mut read = |text: &String| {
        let network = text.parse::<IpNet>().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        if network.is_none() {
            faults.push(
                key,
                format!(
                    "names `{text}`, which is no IP address and no network: \
                     write 192.0.2.1 or 192.0.2.0/24"
                ),
            );
        }
        network
    };
    texts.iter().filter_map(&mut read).collect()
}

/// Checks `[layer]`. What the layer has in common with the edge it takes from there.
pub(super) fn layer(
    raw: &Raw,
    edge: &EdgeConfig,
    revalidate: RevalidateOptions,
    faults: &mut Faults,
) -> LayerConfig {
    // Where connectors name the fields that they read, nobody else need be told tags.
    let tag_headers = match &raw.layer.tag_headers {
        Some(names) => tag_headers(names, faults),
        None if raw.connector.is_empty() => vec![TagHeader::CacheTag],
        None => Vec::new(),
    };
    let raw = &raw.layer;
    let ignored_cookies = CookieNames::new(raw.ignore_cookies.iter().cloned());
    if let Err(fault) = &ignored_cookies {
        faults.push("layer.ignore_cookies", format!("cannot be used: {fault}"));
    }
    let warmup_wait = faults.within(
        "layer.warmup_wait",
        raw.warmup_wait,
        Duration::ZERO..=MINUTE,
    );
    let largest_hashed_body = faults.size(
        "layer.largest_hashed_body",
        raw.largest_hashed_body,
        Size(0)..=Size::gibibytes(1),
    );
    LayerConfig {
        dialects: raw.dialects.clone(),
        tag_headers,
        options: IsrOptions {
            negative_lifetime: edge.negative_lifetime,
            degraded_lifetime: edge.degraded_lifetime,
            bind_timeout: edge.bind_timeout,
            warmup_wait,
            largest_hashed_body,
            trust_edge: raw.behind_edge,
            tiers_normalise_urls: raw.tiers_normalise_urls,
            ignored_cookies: ignored_cookies.unwrap_or_default(),
            revalidate,
        },
    }
}

fn tag_headers(names: &[String], faults: &mut Faults) -> Vec<TagHeader> {
    let mut headers = Vec::new();
    for name in names {
        let known = TagHeader::KNOWN
            .into_iter()
            .find(|header| header.name().as_str().eq_ignore_ascii_case(name));
        match known {
            Some(header) if headers.contains(&header) => {
                faults.push("layer.tag_headers", format!("names {name} twice"));
            }
            Some(header) => headers.push(header),
            None => {
                let known = TagHeader::KNOWN.map(|header| header.name().to_string());
                let message = format!("names `{name}`: use some of {}", known.join(", "));
                faults.push("layer.tag_headers", message);
            }
        }
    }
    headers
}
