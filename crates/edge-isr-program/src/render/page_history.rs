//! What has happened to a page, so that somebody understands it who has never heard of generations.

use edge_isr::core::Timestamp;

use super::{mode, remarks, seconds, target};
use crate::admin::{ConcerningView, PageHistoryView, PageJobView};
use crate::output::{Column, Lines, Output, table};

/// The longest list of tags in one line.
const TAGS: usize = 12;

/// What has happened to a page.
pub(crate) fn page_history(history: &PageHistoryView, output: Output) -> String {
    let when = When::new(history);
    let mut text = Lines::default();
    text.line(output.heading(&history.url));
    for line in conclusion(history, output) {
        text.line(format!("  {line}"));
    }
    text.gap();
    for (name, value) in facts(history, &when, output) {
        text.line(format!("  {name:<10} {value}"));
    }
    if !history.revalidations.is_empty() {
        text.gap();
        text.line(output.heading("  revalidations that concerned it, newest first"));
        text.block(&revalidations(history, &when), 2);
    }
    if !history.whole {
        text.line("  older ones are remembered, and were not looked through");
    }
    if !history.tiers.is_empty() {
        text.gap();
        text.line(output.heading("  what each tier has made of the newest of them"));
        text.block(&tiers(history), 2);
    }
    text.into_text()
}

/// Times, as how long before now they are.
struct When {
    now: Option<Timestamp>,
}

impl When {
    fn new(history: &PageHistoryView) -> Self {
        let now = history.now.parse().ok();
        Self { now }
    }

    fn ago(&self, time: &str) -> Option<String> {
        let (now, time): (Timestamp, Timestamp) = (self.now?, time.parse().ok()?);
        Some(format!("{} ago", seconds(now.since(time).as_secs())))
    }

    fn ahead(&self, time: &str) -> String {
        let ahead = self.now.and_then(|now| {
            let time: Timestamp = time.parse().ok()?;
            Some(format!(
                "in {} ({time})",
                seconds(time.since(now).as_secs())
            ))
        });
        ahead.unwrap_or_else(|| time.to_owned())
    }
}

/// What it all comes to.
fn conclusion(history: &PageHistoryView, output: Output) -> Vec<String> {
    let newest = history.revalidations.first();
    let unsettled = newest.is_some_and(|newest| newest.settled == Some(false));
    match history.verdict.as_deref() {
        None => vec![
            output.notable("NOT KNOWN: no copy that is still kept anywhere was bound for this page"),
            "it was never rendered here, took no part in caching, or its copies have ended; \
             tags do not lead to it"
                .to_owned(),
        ],
        Some("current") if unsettled => vec![
            output.notable("RENDERED ANEW, and older copies may still be served"),
            "its last render has seen every revalidation that concerned it; the newest of these has not \
             settled, so a tier may have an older copy: see below"
                .to_owned(),
        ],
        Some("current") => vec![
            output.good("CURRENT: its last render has seen every revalidation that concerned it"),
        ],
        Some(verdict) => {
            let what = match verdict {
                "stale" => "STALE: its last render is older than a revalidation that concerned it",
                _ => "EXPIRED: its last render is older than a hard revalidation that concerned it",
            };
            let served = match verdict {
                "stale" => "copies of it may be served while, and only while, the page is rendered anew",
                _ => "copies of it are not served by edges; a CDN has to have been purged of them",
            };
            vec![output.bad(what), served.to_owned(), why_not_anew(history)]
        }
    }
}

/// Why nobody has rendered it since, as far as that is known.
fn why_not_anew(history: &PageHistoryView) -> String {
    let newest = history.revalidations.first();
    let phase = newest.and_then(|newest| newest.phase.as_deref());
    let job = history.job.as_ref().map(|job| job.state.as_str());
    match (job, phase) {
        (Some("dead"), _) => {
            "a worker has given up on rendering it anew: edge-isr dead-letters replay"
        }
        (Some(_), _) => "a worker is to purge and warm it: see below",
        (None, Some("queued")) => "no worker has begun the newest of them: does one run?",
        (None, Some("held")) => {
            "the newest of them is held, and nothing is warmed until it is released: edge-isr release"
        }
        (None, Some("failed")) => {
            "the newest of them was given up on: edge-isr dead-letters replay"
        }
        (None, Some("purging" | "warming")) => "the newest of them is being carried out",
        _ => "it has not been visited since, or what was rendered since could not be bound",
    }
    .to_owned()
}

fn facts(history: &PageHistoryView, when: &When, output: Output) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(generation) = &history.generation {
        let number = generation.rsplit('-').next().unwrap_or(generation);
        facts.push((
            "rendered",
            format!("{} (generation {number})", rendered(history, when)),
        ));
    }
    if history.verdict.is_some() {
        facts.push(("tags", tags(history)));
    }
    if let Some(job) = &history.job {
        facts.push(("to be done", to_be_done(job, output)));
    }
    if let Some(warmed) = &history.warmed {
        let at = warmed.at.as_deref().and_then(|at| when.ago(at));
        let after = at.unwrap_or_else(|| "some time ago".to_owned());
        let mut told = format!("after the revalidation of {after}");
        for failed in &warmed.not_warmed {
            let via = failed.via.as_deref().unwrap_or("its own host");
            told = format!(
                "{told}; {}",
                output.bad(&format!("not by {via}: {}", failed.detail))
            );
        }
        facts.push(("warmed", told));
    }
    for planned in &history.scheduled {
        facts.push((
            "planned",
            format!("{} by {}", when.ahead(&planned.at), planned.id),
        ));
    }
    facts
}

fn rendered(history: &PageHistoryView, when: &When) -> String {
    let [after, before] = [&history.rendered_after, &history.rendered_before]
        .map(|time| time.as_deref().and_then(|time| when.ago(time)));
    match (after, before) {
        (Some(after), Some(before)) if after == before => format!("begun {after}"),
        (Some(after), Some(before)) => format!("begun between {after} and {before}"),
        (Some(after), None) => format!("begun after the revalidation of {after}"),
        (None, Some(before)) => format!("begun before {before}"),
        (None, None) => "when is not known: no receipt of that time is kept".to_owned(),
    }
}

fn tags(history: &PageHistoryView) -> String {
    let mut names: Vec<&str> = history.tags.iter().map(|tag| &*tag.tag).collect();
    let more = names.len().saturating_sub(TAGS);
    names.truncate(TAGS);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

fn to_be_done(job: &PageJobView, output: Output) -> String {
    let why = match job.reason.as_str() {
        "superseded" => "a response was overtaken by a revalidation while it was rendered",
        _ => "a response was on its way while tiers were purged",
    };
    let left = job.milliseconds.unwrap_or_default().div_ceil(1000);
    let state = match job.state.as_str() {
        "waiting" if left == 0 => "waits for a worker".to_owned(),
        "waiting" => format!("waits, due in {}", seconds(left)),
        "claimed" => "a worker is at it".to_owned(),
        _ => {
            let error = job.error.as_deref().unwrap_or_default();
            output.bad(&format!(
                "given up on after {} attempts: {error}",
                job.attempts
            ))
        }
    };
    format!("purge and warm it once more, since {why}; {state}")
}

fn revalidations(history: &PageHistoryView, when: &When) -> String {
    let columns = [
        "when",
        "aimed at",
        "mode",
        "asked by",
        "phase",
        "settled",
        "last render",
        "revalidation",
    ]
    .map(Column::Text);
    let row = |one: &ConcerningView| {
        let at = one.at.as_deref().and_then(|at| when.ago(at));
        let targets: Vec<String> = one.targets.iter().map(target).collect();
        let or_gone = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
        vec![
            or_gone(at),
            targets.join(", "),
            mode(one.mode).to_owned(),
            or_gone(one.source.as_ref().map(|source| source.replace('_', " "))),
            or_gone(one.phase.clone()),
            or_gone(
                one.settled
                    .map(|settled| if settled { "yes" } else { "no" }.to_owned()),
            ),
            if one.missed {
                "is older"
            } else {
                "has seen it"
            }
            .to_owned(),
            one.id.clone(),
        ]
    };
    table(&columns, history.revalidations.iter().map(row))
}

fn tiers(history: &PageHistoryView) -> String {
    let columns = ["tier", "state", "remarks"].map(Column::Text);
    let row = |tier: &crate::admin::TierView| {
        vec![
            tier.tier.clone(),
            tier.state.clone(),
            remarks([&tier.error, &tier.escalated]),
        ]
    };
    table(&columns, history.tiers.iter().map(row))
}
