//! What is scraped, the alerts and the dashboard: Prometheus' own tool takes them, and they name only
//! metrics that there are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod promql;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use isr_core::{CacheOutcome, Event, Recorder as _};
use isr_metrics::{Kind, Metrics, Values, declarations};
use isr_testkit::promtool;
use serde_json::Value;

use crate::promql::Names;

/// What Prometheus itself says of each target, and what Grafana asks for to fill a list.
const OF_PROMETHEUS: &[&str] = &["up"];
/// Labels that Prometheus puts on whatever it scrapes, and that of buckets.
const LABELS_OF_PROMETHEUS: &[&str] = &["job", "instance", "le"];

fn documents(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/monitoring")
        .join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(documents(file)).unwrap()
}

/// What stands behind `key:` on each line that has it.
fn values_of<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    values.map(str::trim).collect()
}

/// Every query of the dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(query) if name == "expr" => found.push(query.to_owned()),
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

fn dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    // As Grafana fills them in.
    let filled = found.iter().map(|query| {
        query
            .replace("$__rate_interval", "5m")
            .replace("$job", "edge-isr")
    });
    filled.collect()
}

/// The names of every series that a scrape finds, and of what is recorded from them.
fn known() -> BTreeSet<String> {
    let rules = read("alerts.yml");
    let recorded = values_of(&rules, "record").into_iter().map(str::to_owned);
    let scraped = declarations::ALL.iter().flat_map(|declared| {
        let name = declared.name;
        match declared.kind {
            Kind::Histogram => ["_bucket", "_sum", "_count"]
                .map(|part| format!("{name}{part}"))
                .to_vec(),
            Kind::Counter | Kind::Gauge => vec![name.to_owned()],
        }
    });
    let others = OF_PROMETHEUS.iter().map(|&name| name.to_owned());
    recorded.chain(scraped).chain(others).collect()
}

/// The values that a label may have; `None` for a label that no metric has.
fn values(label: &str) -> Option<Vec<&'static str>> {
    let labels = declarations::ALL
        .iter()
        .flat_map(|declared| declared.labels);
    let mut known = None;
    for label in labels.filter(|known| known.name == label) {
        let known: &mut Vec<&str> = known.get_or_insert_default();
        if let Values::Closed(values) = label.values {
            known.extend(values);
        }
    }
    known
}

#[track_caller]
fn check_names(query: &str) {
    let names = Names::of(query);
    assert!(!names.metrics.is_empty(), "{query} names no metric");
    let known = known();
    for metric in &names.metrics {
        assert!(known.contains(metric), "there is no {metric}: {query}");
    }
    for label in &names.labels {
        let is_known = LABELS_OF_PROMETHEUS.contains(&label.as_str()) || values(label).is_some();
        assert!(is_known, "no metric has a label {label}: {query}");
    }
    for (label, wanted) in &names.matched {
        let of_prometheus = LABELS_OF_PROMETHEUS.contains(&label.as_str());
        for value in wanted.split('|').filter(|_| !of_prometheus) {
            let values = values(label).unwrap();
            assert!(values.contains(&value), "{label} is never {value}: {query}");
        }
    }
}

#[test]
fn the_alerts_name_only_metrics_labels_and_values_that_there_are() {
    let rules = read("alerts.yml");
    let queries = values_of(&rules, "expr");
    let (alerts, recorded) = (values_of(&rules, "alert"), values_of(&rules, "record"));
    assert_eq!(queries.len(), alerts.len() + recorded.len());
    assert!(alerts.len() >= 10, "{alerts:?}");
    for query in queries {
        check_names(query);
    }
}

#[test]
fn the_dashboard_names_only_metrics_labels_and_values_that_there_are() {
    for query in dashboard() {
        check_names(&query);
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    let shown: BTreeSet<String> = dashboard()
        .iter()
        .flat_map(|query| Names::of(query).metrics)
        .collect();
    // What only helps to read another.
    let left_out = ["process_virtual_memory_bytes"];
    for declared in declarations::ALL {
        let is_shown = shown.iter().any(|name| {
            let part = name.strip_prefix(declared.name);
            part.is_some_and(|part| ["", "_bucket", "_count"].contains(&part))
        });
        assert!(
            is_shown || left_out.contains(&declared.name),
            "{}",
            declared.name
        );
    }
}

#[test]
fn promtool_takes_the_alerts_and_sees_each_fire() {
    let path = |file| documents(file).to_str().unwrap().to_owned();
    promtool(&["check", "rules", &path("alerts.yml")], "").unwrap();
    promtool(&["test", "rules", &path("alerts_test.yml")], "").unwrap();
    let tests = read("alerts_test.yml");
    for alert in values_of(&read("alerts.yml"), "alert") {
        assert!(
            tests.contains(&format!("\"{alert}\"")),
            "{alert} is not tested"
        );
    }
}

#[test]
fn promtool_takes_every_query_of_the_dashboard() {
    let rule = |(index, query): (usize, &String)| {
        let query = Value::from(query.as_str());
        format!("  - record: query:{index}\n    expr: {query}\n")
    };
    let rules: Vec<String> = dashboard().iter().enumerate().map(rule).collect();
    let rules = format!("groups:\n- name: dashboard\n  rules:\n{}", rules.concat());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    fs::write(&file, rules).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "").unwrap();
}

#[test]
fn promtool_finds_no_fault_with_what_is_scraped() {
    let metrics = Metrics::new(["edge", "cdn"]);
    metrics.record(&Event::Answered {
        outcome: CacheOutcome::Hit,
        took: std::time::Duration::from_millis(3),
    });
    promtool(&["check", "metrics"], &metrics.render()).unwrap();
    let fault = "# TYPE requests counter\nrequests 1\n";
    assert!(
        promtool(&["check", "metrics"], fault).is_err(),
        "or it finds none ever"
    );
}
