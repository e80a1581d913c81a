//! The table of metrics as a page of documentation.

use std::fmt::Write as _;

use crate::declaration::{Declaration, Label, Values};
use crate::declarations::{ALL, BUCKETS, OTHER};

/// The page `docs/metrics.md`, made from the [`declarations`](crate::declarations).
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    for declaration in ALL {
        row(&mut page, declaration);
    }
    let buckets: Vec<String> = BUCKETS.iter().map(ToString::to_string).collect();
    line(
        &mut page,
        format_args!(
            "\nHistograms count in buckets up to {} seconds.",
            buckets.join(", ")
        ),
    );
    page
}

const INTRODUCTION: &str = "# Metrics

<!-- Written by `UPDATE_DOCS=1 cargo test -p isr-metrics`; edit crates/isr-metrics/src/declarations.rs. -->

What a scrape of `/metrics` finds, in Prometheus' text format. Every series is there from the start,
at zero, and no request can add one: each label has the values listed here and no others. Times are
in seconds, sizes in bytes.

| metric | kind | labels | what it measures |
| --- | --- | --- | --- |
";

fn row(page: &mut String, declaration: &Declaration) {
    let labels: Vec<String> = declaration.labels.iter().map(label).collect();
    line(
        page,
        format_args!(
            "| `{}` | {} | {} | {} |",
            declaration.name,
            declaration.kind.as_str(),
            labels.join("; "),
            declaration.help,
        ),
    );
}

fn label(label: &Label) -> String {
    let values = match label.values {
        Values::Closed(values) => {
            let quoted: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            quoted.join(", ")
        }
        Values::Connectors => format!("the configured names, `{OTHER}`"),
        Values::Version => "that of the build".to_owned(),
    };
    format!("`{}`: {values}", label.name)
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes all that is written to it");
}
