//! What happens in the demo, step by step.

use std::time::{Duration, Instant};

use super::record::{Outcome, Page, Record, Visit};
use super::report::milliseconds;
use super::site::{RENDER_TIME, Site};
use super::visitor::Visitor;
use crate::admin::{ReceiptList, ReceiptView, TagView};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// The pages of the site.
const PATHS: [&str; 11] = [
    "/",
    "/posts/1",
    "/posts/2",
    "/posts/3",
    "/posts/4",
    "/posts/5",
    "/posts/6",
    "/categories/1",
    "/categories/2",
    "/categories/3",
    "/about",
];

/// The pages that show something of post 3, which is edited.
const SHOW_THE_POST: [&str; 3] = ["/", "/posts/3", "/categories/2"];

/// The pages that list the post which is added to category 2.
const LISTS: [&str; 2] = ["/", "/categories/2"];

const OLD_TITLE: &str = "How the Marigold was caulked";
const NEW_TITLE: &str = "How the Marigold was caulked, and why she leaks again";
const NEW_BODY: &str = "She held water on the right side for a week. Then the wind turned.";
const ADDED_TITLE: &str = "A new mast for the Marigold";

/// How long a revalidation may take before the demo gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// The demo under way.
#[derive(Debug)]
pub(super) struct Script<'a> {
    site: &'a Site,
    visitor: Visitor,
    client: &'a Client,
    output: Output,
    started: Instant,
}

impl<'a> Script<'a> {
    /// A demo that has not begun.
    pub(super) fn new(
        site: &'a Site,
        edge: &str,
        client: &'a Client,
        output: Output,
    ) -> Result<Self, Failure> {
        let visitor = Visitor::new(edge)?;
        Ok(Self {
            site,
            visitor,
            client,
            output,
            started: Instant::now(),
        })
    }

    /// Plays it, and answers with what was seen.
    pub(super) async fn play(mut self) -> Result<Record, Failure> {
        self.started = Instant::now();
        let cold = self
            .visit_all("visited every page; nothing was cached")
            .await?;
        let warm = self.visit_all("visited every page again").await?;

        let held = self.site.hold_renders().await;
        self.visitor
            .send("/posts/3", &[("title", NEW_TITLE), ("body", NEW_BODY)])
            .await?;
        self.note("edited post 3; the site committed that and revalidated its tag, post:3");
        self.note(&format!("invalidated: {}", self.pages_of("post:3").await?));
        let after_edit = self
            .visit_all("visited every page before any was rendered again")
            .await?;
        drop(held);
        let edit = self.revalidation_done().await?;
        let after_warm_up = self.visit_all("visited every page").await?;
        let renders_by_edit = self.site.renders();

        let new = [
            ("title", ADDED_TITLE),
            ("body", "Larch, eleven metres."),
            ("category", "2"),
        ];
        self.visitor.send("/posts", &new).await?;
        self.note(
            "added post 7 to category 2; the site revalidated posts, category:2:posts, post:7",
        );
        let addition = self.revalidation_done().await?;
        let after_new_post = self.visit_all("visited every page").await?;

        let renders = self.site.renders();
        let page = |(index, path): (usize, &&str)| Page {
            path: (*path).to_owned(),
            shows_the_post: SHOW_THE_POST.contains(path),
            cold: cold[index].clone(),
            warm: warm[index].clone(),
            after_edit: after_edit[index].clone(),
            after_warm_up: after_warm_up[index].clone(),
            after_new_post: after_new_post[index].clone(),
            renders_by_edit: renders_by_edit.get(*path).copied().unwrap_or(0),
            renders_in_all: renders.get(*path).copied().unwrap_or(0),
        };
        Ok(Record {
            pages: PATHS.iter().enumerate().map(page).collect(),
            old_title: OLD_TITLE.into(),
            new_title: NEW_TITLE.into(),
            added_title: ADDED_TITLE.into(),
            lists: LISTS.map(str::to_owned).to_vec(),
            edit,
            addition,
        })
    }

    /// Visits every page, one after another.
    async fn visit_all(&self, what: &str) -> Result<Vec<Visit>, Failure> {
        let mut visits = Vec::with_capacity(PATHS.len());
        for path in PATHS {
            visits.push(self.visitor.visit(path).await?);
        }
        self.note(&format!("{what}: {}", tally(&visits)));
        Ok(visits)
    }

    /// The paths of the pages that are bound to a tag.
    async fn pages_of(&self, tag: &str) -> Result<String, Failure> {
        let view: TagView = self.client.get(&["tags", tag], &[]).await?;
        let path = |page: &String| {
            reqwest::Url::parse(page)
                .map(|url| url.path().to_owned())
                .ok()
        };
        let mut paths: Vec<String> = view.pages.iter().filter_map(path).collect();
        paths.sort_unstable();
        Ok(paths.join(", "))
    }

    /// Waits until nothing is left to do for the newest revalidation.
    async fn revalidation_done(&self) -> Result<ReceiptView, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let newest: ReceiptList = self.client.get(&["receipts"], &[("limit", "1")]).await?;
            match newest.receipts.into_iter().next() {
                Some(receipt) if matches!(receipt.phase.as_str(), "done" | "failed") => {
                    self.note(&format!(
                        "the revalidation is {}: {} pages warmed",
                        receipt.phase, receipt.warm.warmed
                    ));
                    return Ok(receipt);
                }
                _ if Instant::now() >= deadline => {
                    return Err(Failure::Asked(
                        "a revalidation was not done within a minute".into(),
                    ));
                }
                _ => tokio::time::sleep(RENDER_TIME / 10).await,
            }
        }
    }

    /// Takes note of a moment and shows it at once.
    fn note(&self, what: &str) {
        let at = self.started.elapsed();
        self.output
            .line(super::report::moment(at, what, self.output));
    }
}

/// How visits were answered, in words.
fn tally(visits: &[Visit]) -> String {
    let words = [
        (Outcome::Hit, "hits"),
        (Outcome::Stale, "stale"),
        (Outcome::Miss, "misses"),
        (Outcome::Other, "neither"),
    ];
    let count = |outcome| {
        visits
            .iter()
            .filter(|visit| visit.outcome == outcome)
            .count()
    };
    let counts: Vec<String> = words
        .iter()
        .map(|(outcome, word)| (count(*outcome), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!(
        "{}, {} a page",
        counts.join(", "),
        milliseconds(mean(visits))
    )
}

fn mean(visits: &[Visit]) -> Duration {
    let count = u32::try_from(visits.len().max(1)).unwrap_or(u32::MAX);
    visits.iter().map(|visit| visit.took).sum::<Duration>() / count
}
