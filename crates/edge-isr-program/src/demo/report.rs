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
        "once warmed",
        "post 7 added",
    ];
    let mut columns: Vec<Column> = heads.into_iter().map(Column::Text).collect();
    columns.push(Column::Number("renders"));
    let pages = table(&columns, record.pages.iter().map(|page| row(page, record)));
    let mut text = Lines::default();
    text.line("");
    text.line(output.heading("What happened to each page"));
    text.gap();
    text.block(&pages, 1);
    text.gap();
    text.line(output.faint(
        "  A miss comes from the site, a hit from the cache, fresh; stale is served from the cache",
    ));
    text.line(output.faint(
        "  while the site renders the page anew. Renders count how often it did so in all.",
    ));
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
    // As it was called, so that the lines can be copied.
    let program = std::env::args().next().unwrap_or_else(|| "edge-isr".into());
    let mut text = Lines::default();
    text.line("");
    text.line(output.heading("It stays up"));
    text.gap();
    text.line(format!("  the blog      {edge}/"));
    text.line(format!("  write a post  {edge}/posts/new"));
    text.line(format!("  metrics       {admin}/metrics"));
    text.line(format!("  ask it        {program} status --server {admin}"));
    text.line(format!(
        "                {program} revalidate post:3 --wait --server {admin}"
    ));
    text.gap();
    text.line("  Ctrl-C ends it.");
    text.into_text()
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
