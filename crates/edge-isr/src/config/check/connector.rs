//! Checks what every `[[connector]]` has; the rest is for its kind to check.

use isr_core::{EscalateTo, Escalation, HostPattern, HostPatterns};

use super::Faults;
use crate::config::model::ConnectorConfig;
use crate::config::raw;
use crate::connectors::Section;

/// The tier that is always there.
const EDGE: &str = "edge";

pub(super) fn connectors(raw: &[raw::Connector], faults: &mut Faults) -> Vec<ConnectorConfig> {
    let mut known: Vec<ConnectorConfig> = Vec::new();
    for (index, connector) in raw.iter().enumerate() {
        let checked = check(index, connector, faults);
        if checked.name() == EDGE || known.iter().any(|other| other.name() == checked.name()) {
            let message = format!(
                "is `{}`, as another tier is: give each connector a name of its own",
                checked.name()
            );
            faults.push(format!("connector.{index}.name"), message);
        }
        known.push(checked);
    }
    known
}

fn check(index: usize, raw: &raw::Connector, faults: &mut Faults) -> ConnectorConfig {
    let key = |field: &str| format!("connector.{index}.{field}");
    if raw.kind.is_empty() {
        faults.push(key("kind"), "is missing: say what kind of service this is");
    }
    let name = raw.name.as_ref().unwrap_or(&raw.kind);
    let good = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    let is_name = (1..=64).contains(&name.len()) && name.bytes().all(good);
    if !is_name && !raw.kind.is_empty() {
        faults.push(
            key("name"),
            "has to be 1 to 64 of a-z, 0-9, `-`, `_` and `.`",
        );
    }
    let mut hosts: Vec<HostPattern> = Vec::new();
    for host in &raw.hosts {
        match host.parse() {
            Ok(host) => hosts.push(host),
            Err(fault) => faults.push(key("hosts"), format!("cannot be used: {fault}")),
        }
    }
    ConnectorConfig {
        kind: raw.kind.clone(),
        hosts: HostPatterns::new(hosts),
        escalation: escalation(index, raw, faults),
        section: Section::new(name.clone(), raw.options.clone()),
    }
}

fn escalation(index: usize, raw: &raw::Connector, faults: &mut Faults) -> Option<Escalation> {
    let to = raw.escalate_to.map(|to| match to {
        raw::EscalateTo::Prefix => EscalateTo::Prefix,
        raw::EscalateTo::Everything => EscalateTo::Everything,
    });
    match (raw.escalate_above, to) {
        (Some(above), Some(to)) => Some(Escalation { above, to }),
        (None, None) => None,
        (Some(_), None) => {
            let message = "is missing: say what may be purged instead, or remove `escalate_above`";
            faults.push(format!("connector.{index}.escalate_to"), message);
            None
        }
        (None, Some(_)) => {
            let message = "is missing: say above how many pages, or remove `escalate_to`";
            faults.push(format!("connector.{index}.escalate_above"), message);
            None
        }
    }
}
