//! What the demo says.

use std::time::Duration;

use super::expectations::Check;
use super::record::{Outcome, Page, Record, Visit};
use crate::output::{Column, Lines, Output, table};

/// Before it begins.
pub(super) fn opening(site: &str, edge: &str, output: Output) -> String {
    format!(
        "{}\n\n  A blog at {site} takes 200 ms to render a page. Visitors come in at\n  {edge}, where edge-isr keeps its pages.\n",
        output.heading("edge-isr demo")
    )
}

/// One moment of the timeline.
pub(super) fn moment(at: Duration, what: &str, output: Output) -> String {
    let at = format!("{:>6.2} s", at.as_secs_f64());
    format!("  {}  {what}", output.faint(&at))
}

/// What happened to each page, and whether that was as it had to be.
pub(super) fn timeline(record: &Record, checks: &[Check], output: Output) -> String {
    let heads = [
        "page",
        "1st visit",
        "2nd visit",
        "post 3 edited",
        "then",
        "post 7 added",
        "renders",
    ];
    let rows = record.pages.iter().map(|page| row(page, record));
    let pages = table(&heads.map(Column::Text), rows);
    let mut text = Lines::default();
    text.line("");
    text.line(output.heading("What happened to each page"));
    text.gap();
    text.block(&pages, 1);
    text.gap();
    text.line(output.heading("Expectations"));
    text.gap();
    for check in checks {
        let mark = if check.held {
            output.good("yes")
        } else {
            output.bad("NO ")
        };
        text.line(format!("  {mark}  {}", check.what));
        for seen in &check.otherwise {
            text.line(format!("         {}", output.bad(seen)));
        }
    }
    text.into_text()
}

fn row(page: &Page, record: &Record) -> Vec<String> {
    let listed = record.lists.contains(&page.path);
    vec![
        page.path.clone(),
        timed(&page.cold),
        timed(&page.warm),
        edited(page),
        then(&page.after_warm_up, page.shows_the_post),
        then(&page.after_new_post, listed),
        page.renders_in_all.to_string(),
    ]
}

fn timed(visit: &Visit) -> String {
    format!("{} {}", visit.outcome.word(), milliseconds(visit.took))
}

/// What a page was right after the edit.
fn edited(page: &Page) -> String {
    match page.after_edit.outcome {
        Outcome::Stale => "stale, revalidating".into(),
        Outcome::Hit if !page.shows_the_post => "not touched, hit".into(),
        outcome => outcome.word().into(),
    }
}

/// What a page was once a revalidation was done.
fn then(visit: &Visit, concerned: bool) -> String {
    match (visit.outcome, concerned) {
        (Outcome::Hit, true) => "warmed, fresh".into(),
        (Outcome::Hit, false) => "not touched".into(),
        (outcome, _) => outcome.word().into(),
    }
}

/// What can be done while it stays up.
pub(super) fn closing(edge: &str, admin: &str, output: Output) -> String {
    format!(
        "\n{}\n\n  the blog      {edge}/\n  write a post  {edge}/posts/new\n  metrics       {admin}/metrics\n  \
         ask it        edge-isr status --server {admin}\n                edge-isr revalidate post:3 --wait --server {admin}\n\n  \
         Ctrl-C ends it.",
        output.heading("It stays up")
    )
}

/// A duration in milliseconds, with a decimal where that tells something.
pub(super) fn milliseconds(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}
