//! What had to be seen.

use serde::Serialize;

use super::record::{Outcome, Page, Record, Visit};

/// An expectation, and whether it held.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    /// What was expected.
    pub(super) what: &'static str,
    /// Whether it was seen.
    pub(super) held: bool,
    /// What was seen instead.
    pub(super) otherwise: Vec<String>,
}

/// Compares what was seen with what had to be.
pub(super) fn check(record: &Record) -> Vec<Check> {
    let Record {
        old_title,
        new_title,
        added_title,
        lists,
        ..
    } = record;
    let is_listed = |page: &Page| lists.contains(&page.path);
    vec![
        every(
            record,
            "the first visit to each page goes to the site",
            |page| {
                of(
                    &page.cold,
                    page.cold.outcome == Outcome::Miss && page.cold.status == 200,
                )
            },
        ),
        every(
            record,
            "the second visit to each page is answered from the cache",
            |page| of(&page.warm, page.warm.outcome == Outcome::Hit),
        ),
        every(
            record,
            "right after the edit, pages that show the post are served stale",
            |page| {
                let old = page.after_edit.body.contains(old_title.as_str())
                    && !page.after_edit.body.contains(new_title.as_str());
                of(
                    &page.after_edit,
                    !page.shows_the_post || (page.after_edit.outcome == Outcome::Stale && old),
                )
            },
        ),
        every(record, "all other pages stay fresh", |page| {
            of(
                &page.after_edit,
                page.shows_the_post || page.after_edit.outcome == Outcome::Hit,
            )
        }),
        every(
            record,
            "once warmed, every page is fresh, and shows the edit where it shows the post",
            |page| {
                let shows = page.after_warm_up.body.contains(new_title.as_str());
                of(
                    &page.after_warm_up,
                    page.after_warm_up.outcome == Outcome::Hit && shows == page.shows_the_post,
                )
            },
        ),
        every(
            record,
            "the edit had exactly the pages that show the post rendered again, once each",
            |page| rendered(page.renders_by_edit, 1 + u64::from(page.shows_the_post)),
        ),
        every(
            record,
            "the new post appears on the lists it belongs on, and every page is fresh",
            |page| {
                let shows = page.after_new_post.body.contains(added_title.as_str());
                of(
                    &page.after_new_post,
                    page.after_new_post.outcome == Outcome::Hit && shows == is_listed(page),
                )
            },
        ),
        every(
            record,
            "the new post had exactly those lists rendered again, once each",
            |page| {
                rendered(
                    page.renders_in_all,
                    page.renders_by_edit + u64::from(is_listed(page)),
                )
            },
        ),
        settled(record),
    ]
}

/// An expectation of every page; `otherwise` says what was seen where it did not hold.
fn every(
    record: &Record,
    what: &'static str,
    otherwise: impl Fn(&Page) -> Option<String>,
) -> Check {
    let seen = |page: &Page| otherwise(page).map(|seen| format!("{}: {seen}", page.path));
    let otherwise: Vec<String> = record.pages.iter().filter_map(seen).collect();
    Check {
        what,
        held: otherwise.is_empty(),
        otherwise,
    }
}

fn of(visit: &Visit, held: bool) -> Option<String> {
    let seen = || {
        format!(
            "{} (status {}, Cache-Status: {})",
            visit.outcome.word(),
            visit.status,
            visit.cache_status
        )
    };
    (!held).then(seen)
}

fn rendered(times: u64, expected: u64) -> Option<String> {
    (times != expected).then(|| format!("rendered {times} times, not {expected}"))
}

fn settled(record: &Record) -> Check {
    let unsettled = |receipt: &crate::admin::ReceiptView| {
        let good = receipt.phase == "done" && receipt.settled && receipt.warm.failed == 0;
        (!good).then(|| {
            format!(
                "{}: {}, settled: {}",
                receipt.id, receipt.phase, receipt.settled
            )
        })
    };
    let otherwise: Vec<String> = [&record.edit, &record.addition]
        .into_iter()
        .filter_map(unsettled)
        .collect();
    Check {
        what: "both revalidations settled: nothing older can appear any more",
        held: otherwise.is_empty(),
        otherwise,
    }
}
