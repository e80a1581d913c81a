//! `[edge]` and `[layer]` as they are written.

use isr_core::Dialect;
use serde::{Deserialize, Serialize};

use super::{Size, Span};

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key that stands for itself"
)]
pub(in super::super) struct Edge {
    pub(in super::super) memory: Size,
    pub(in super::super) largest_body: Size,
    pub(in super::super) variants_per_page: u16,
    pub(in super::super) max_lag: Span,
    pub(in super::super) collapse_wait: Span,
    pub(in super::super) connect_timeout: Span,
    pub(in super::super) response_timeout: Span,
    pub(in super::super) idle_timeout: Span,
    pub(in super::super) bind_timeout: Span,
    pub(in super::super) degraded_lifetime: Span,
    pub(in super::super) negative_lifetime: Span,
    pub(in super::super) uncacheable_lifetime: Span,
    pub(in super::super) honour_no_cache: bool,
    pub(in super::super) invalidate_on_write: bool,
    pub(in super::super) purge_from: Vec<String>,
    pub(in super::super) trusted_proxies: Vec<String>,
    pub(in super::super) default_host: Option<bool>,
    pub(in super::super) unknown_host: UnknownHost,
    pub(in super::super) dialects: Vec<Dialect>,
    pub(in super::super) keep_tag_headers: bool,
    pub(in super::super) origin_keep_alive: Span,
    pub(in super::super) origin_concurrency: u32,
    pub(in super::super) origin_connections: u32,
    pub(in super::super) origin_largest_head: Size,
    pub(in super::super) origin_most_fields: u16,
    pub(in super::super) origin_http2: bool,
    pub(in super::super) origin_ca_file: Option<String>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            memory: Size::mebibytes(256),
            largest_body: Size::mebibytes(8),
            variants_per_page: 16,
            max_lag: Span::millis(250),
            collapse_wait: Span::seconds(5),
            connect_timeout: Span::seconds(5),
            response_timeout: Span::seconds(30),
            idle_timeout: Span::seconds(60),
            bind_timeout: Span::seconds(1),
            degraded_lifetime: Span::seconds(10),
            negative_lifetime: Span::seconds(60),
            uncacheable_lifetime: Span::seconds(30),
            honour_no_cache: false,
            invalidate_on_write: true,
            purge_from: vec!["127.0.0.1".into(), "::1".into()],
            trusted_proxies: Vec::new(),
            default_host: None,
            unknown_host: UnknownHost::Misdirected,
            dialects: Vec::new(),
            keep_tag_headers: false,
            origin_keep_alive: Span::seconds(30),
            origin_concurrency: 256,
            origin_connections: 256,
            origin_largest_head: Size::kibibytes(64),
            origin_most_fields: 100,
            origin_http2: false,
            origin_ca_file: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum UnknownHost {
    Misdirected,
    NotFound,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Layer {
    pub(in super::super) behind_edge: bool,
    pub(in super::super) dialects: Vec<Dialect>,
    pub(in super::super) tag_headers: Option<Vec<String>>,
    pub(in super::super) tiers_normalise_urls: bool,
    pub(in super::super) ignore_cookies: Vec<String>,
    pub(in super::super) largest_hashed_body: Size,
    pub(in super::super) warmup_wait: Span,
}

impl Default for Layer {
    fn default() -> Self {
        Self {
            behind_edge: false,
            dialects: Vec::new(),
            tag_headers: None,
            tiers_normalise_urls: false,
            ignore_cookies: Vec::new(),
            largest_hashed_body: Size::mebibytes(1),
            warmup_wait: Span::millis(250),
        }
    }
}
