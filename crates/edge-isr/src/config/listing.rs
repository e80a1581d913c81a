//! The effective configuration as a list, for whoever wants to look at it.

use serde_json::Value;

use super::keys::keys;
use super::raw::{self, Raw};
use crate::connectors::Registry;

/// One key of the effective configuration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The key with its section: `site.origin`, or `rule.0.path` for the first rule.
    pub key: String,
    /// Its value as it would be written, a secret as `***`; `null` where nothing is set.
    pub value: Value,
    /// The file or environment variable that it came from; `None` for a default.
    pub source: Option<String>,
}

/// Every key in the order of the sections, rules one after another.
pub(super) fn entries(raw: &Raw, source: impl Fn(&str) -> Option<String>) -> Vec<Entry> {
    let tree =
        serde_json::to_value(raw).expect("every key is a text and every value has a form in JSON");
    let entry = |key: String, value: &Value| Entry {
        source: source(&key),
        key,
        value: value.clone(),
    };
    let mut entries = Vec::new();
    for key in keys() {
        let (section, field) = key
            .split_once('.')
            .expect("keys are written with their section");
        match &tree[section] {
            // All fields of a rule or connector stand together: the first field brings the rest along.
            Value::Array(rules) if field == "path" => {
                let each = rules.iter().enumerate();
                entries.extend(each.flat_map(|(index, rule)| rule_entries(index, rule, &entry)));
            }
            Value::Array(connectors) if field == "kind" => {
                let each = connectors.iter().enumerate();
                let of_one = |(index, one)| connector_entries(index, one, &entry);
                entries.extend(each.flat_map(of_one));
            }
            Value::Array(_) => {}
            values => entries.push(entry(key.clone(), &values[field])),
        }
    }
    entries
}

fn rule_entries(
    index: usize,
    rule: &Value,
    entry: &impl Fn(String, &Value) -> Entry,
) -> Vec<Entry> {
    let fields = keys()
        .into_iter()
        .filter_map(|key| Some(key.strip_prefix("rule.")?.to_owned()));
    fields
        .map(|field| entry(format!("rule.{index}.{field}"), &rule[field.as_str()]))
        .collect()
}

/// What every connector has, and the options that are set, secret ones hidden.
fn connector_entries(
    index: usize,
    connector: &Value,
    entry: &impl Fn(String, &Value) -> Entry,
) -> Vec<Entry> {
    let registry = Registry::built_in();
    let kind = connector["kind"].as_str().unwrap_or_default();
    let of_all = raw::Connector::KEYS;
    let fields = connector.as_object().into_iter().flatten();
    let options = fields.filter(|(field, _)| !of_all.contains(&field.as_str()));
    let hidden = Value::from("***");
    let shown = |field: &str, value| {
        let is_file = field.ends_with("_file");
        let secret = !of_all.contains(&field) && !is_file && registry.is_secret(kind, field);
        entry(
            format!("connector.{index}.{field}"),
            if secret { &hidden } else { value },
        )
    };
    let common = of_all.iter().map(|field| shown(field, &connector[*field]));
    common
        .chain(options.map(|(field, value)| shown(field, value)))
        .collect()
}
