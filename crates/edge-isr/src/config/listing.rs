//! The effective configuration as a list, for whoever wants to look at it.

use serde_json::Value;

use super::keys::keys;
use super::raw::Raw;

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
            Value::Array(rules) if section == "rule" => {
                // All fields of a rule stand together: the first field brings the rest along.
                if field == "path" {
                    entries.extend(
                        rules
                            .iter()
                            .enumerate()
                            .flat_map(|(index, rule)| rule_entries(index, rule, &entry)),
                    );
                }
            }
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
