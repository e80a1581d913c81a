//! `[[connector]]` as it is written.

use figment::value::Dict;
use serde::{Deserialize, Serialize};

/// One connector. What is no key of every connector is an option of its kind.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(in super::super) struct Connector {
    pub(in super::super) kind: String,
    pub(in super::super) name: Option<String>,
    pub(in super::super) hosts: Vec<String>,
    pub(in super::super) escalate_above: Option<u64>,
    pub(in super::super) escalate_to: Option<EscalateTo>,
    #[serde(flatten)]
    pub(in super::super) options: Dict,
}

impl Connector {
    /// The keys that every connector has.
    pub(in super::super) const KEYS: &'static [&'static str] =
        &["kind", "name", "hosts", "escalate_above", "escalate_to"];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum EscalateTo {
    Prefix,
    Everything,
}
