//! The documentation of the metrics is what the table of declarations says.

use std::path::Path;

const UPDATE: &str = "UPDATE_DOCS";

#[test]
fn the_documented_metrics_are_the_declared_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let declared = isr_metrics::reference();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &declared).unwrap();
    }
    let documented = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        documented == declared,
        "docs/metrics.md is out of date: run `{UPDATE}=1 cargo test -p isr-metrics` and commit it"
    );
}
