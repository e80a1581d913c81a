//! The configuration as it is written: every section and key, with its default.
//!
//! Types here check nothing but their own notation; [`check`](super::check) does the rest.

use serde::{Deserialize, Serialize};

pub(super) use self::connector::{Connector, EscalateTo};
pub(super) use self::edge::{Edge, Layer, UnknownHost};
pub(super) use self::store::{Durability, OnHistoryLost, Store, StoreKind};
pub(super) use self::units::{HiddenText, Size, Span};

mod connector;
mod edge;
mod store;
mod units;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) site: Site,
    pub(super) listen: Listen,
    pub(super) store: Store,
    pub(super) edge: Edge,
    pub(super) layer: Layer,
    pub(super) connector: Vec<Connector>,
    pub(super) rule: Vec<Rule>,
    pub(super) urls: Urls,
    pub(super) revalidate: Revalidate,
    pub(super) warm: Warm,
    pub(super) worker: Worker,
    pub(super) admin: Admin,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Site {
    pub(super) name: String,
    pub(super) origin: Option<String>,
    pub(super) hosts: Vec<String>,
    pub(super) build: Option<String>,
    pub(super) replica_lag: Span,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            name: "default".into(),
            origin: None,
            hosts: Vec::new(),
            build: None,
            replica_lag: Span::seconds(0),
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) edge: String,
    pub(super) edge_reached_at: Option<String>,
    pub(super) admin: String,
    pub(super) connections: u32,
    pub(super) head_timeout: Span,
    pub(super) body_timeout: Span,
    pub(super) send_timeout: Span,
    pub(super) largest_head: Size,
    pub(super) grace: Span,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            edge: "127.0.0.1:8080".into(),
            edge_reached_at: None,
            admin: "127.0.0.1:8081".into(),
            connections: 10_000,
            head_timeout: Span::seconds(30),
            body_timeout: Span::seconds(30),
            send_timeout: Span::seconds(60),
            largest_head: Size::kibibytes(64),
            grace: Span::seconds(30),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) path: String,
    pub(super) tags: Vec<String>,
    pub(super) s_maxage: Option<Span>,
    pub(super) stale_while_revalidate: Option<Span>,
    pub(super) stale_if_error: Option<Span>,
    pub(super) browser_max_age: Option<Span>,
    pub(super) vary: Vec<String>,
    pub(super) ignore_cookies: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Urls {
    pub(super) query_allow: Option<Vec<String>>,
    pub(super) query_deny: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Revalidate {
    pub(super) mode: Mode,
    pub(super) warm: bool,
    pub(super) second_purge: Option<Span>,
    pub(super) hold_above: Option<u64>,
    pub(super) soft_above: Option<u64>,
    pub(super) settling_time: Span,
    pub(super) coalesce: Span,
}

impl Default for Revalidate {
    fn default() -> Self {
        Self {
            mode: Mode::Soft,
            warm: true,
            second_purge: None,
            hold_above: None,
            soft_above: None,
            settling_time: Span::seconds(2),
            coalesce: Span::millis(100),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    Soft,
    Hard,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Warm {
    pub(super) key: Option<HiddenText>,
    pub(super) key_file: Option<String>,
    pub(super) concurrency: u16,
    pub(super) adaptive: bool,
    pub(super) rate: u32,
    pub(super) burst: u32,
    pub(super) connect_timeout: Span,
    pub(super) timeout: Span,
    pub(super) attempts: u32,
    pub(super) backoff: Span,
    pub(super) longest_backoff: Span,
    pub(super) longest_retry_after: Span,
    pub(super) largest_body: Size,
    pub(super) accept_encoding: String,
}

impl Default for Warm {
    fn default() -> Self {
        Self {
            key: None,
            key_file: None,
            concurrency: 8,
            adaptive: true,
            rate: 50,
            burst: 10,
            connect_timeout: Span::seconds(3),
            timeout: Span::seconds(30),
            attempts: 3,
            backoff: Span::millis(250),
            longest_backoff: Span::seconds(10),
            longest_retry_after: Span::seconds(30),
            largest_body: Size::mebibytes(64),
            accept_encoding: "gzip, deflate, br, zstd".into(),
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Worker {
    pub(super) enabled: bool,
    pub(super) concurrency: u16,
    pub(super) lease: Span,
    pub(super) poll: Span,
    pub(super) attempts: u32,
    pub(super) backoff: Span,
    pub(super) longest_backoff: Span,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            enabled: true,
            concurrency: 64,
            lease: Span::seconds(30),
            poll: Span::millis(250),
            attempts: 8,
            backoff: Span::seconds(1),
            longest_backoff: Span::seconds(300),
        }
    }
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) token: Option<HiddenText>,
    pub(super) token_file: Option<String>,
    pub(super) connections: u32,
    pub(super) largest_body: Size,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            token: None,
            token_file: None,
            connections: 100,
            largest_body: Size::mebibytes(1),
        }
    }
}
