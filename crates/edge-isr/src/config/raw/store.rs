//! `[store]` as it is written.

use serde::{Deserialize, Serialize};

use super::{HiddenText, Size, Span};

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct Store {
    pub(in super::super) kind: StoreKind,
    pub(in super::super) history: u32,
    pub(in super::super) queue: u32,
    pub(in super::super) keep_receipts: Span,
    pub(in super::super) path: String,
    pub(in super::super) durability: Durability,
    pub(in super::super) max_bytes: Option<Size>,
    pub(in super::super) cache: Size,
    pub(in super::super) readers: u16,
    pub(in super::super) url: Option<HiddenText>,
    pub(in super::super) url_file: Option<String>,
    pub(in super::super) partitions: u16,
    pub(in super::super) connections: u16,
    pub(in super::super) connect_timeout: Span,
    pub(in super::super) response_timeout: Span,
    pub(in super::super) cluster: bool,
    pub(in super::super) replicas: u16,
    pub(in super::super) trust_restarts: bool,
    pub(in super::super) on_history_lost: OnHistoryLost,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::Sqlite,
            history: 100_000,
            queue: 1_000_000,
            keep_receipts: Span::seconds(86_400),
            path: "edge-isr-data/store.sqlite3".into(),
            durability: Durability::Process,
            max_bytes: None,
            cache: Size::mebibytes(64),
            readers: 4,
            url: None,
            url_file: None,
            partitions: 1,
            connections: 4,
            connect_timeout: Span::seconds(2),
            response_timeout: Span::seconds(2),
            cluster: false,
            replicas: 1,
            trust_restarts: false,
            on_history_lost: OnHistoryLost::AgeOut,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum StoreKind {
    Memory,
    Sqlite,
    Redis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Durability {
    Process,
    Machine,
    Replicated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum OnHistoryLost {
    AgeOut,
    PurgeAll,
}
