//! What has happened to a page.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use edge_isr::core::{PageJob, PageJobState, PageReason, Receipt, Timestamp, Verdict};
use edge_isr::pipeline::{Concerning, PageHistory, moved_at, page_history};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::body::Parameters;
use super::items::url_parameter;
use super::lookup::BoundTagView;
use super::problem::Problem;
use super::views::{ModeView, NotWarmedView, TargetView, TierView};

/// Revalidations shown when it is not said how many, and at most.
const USUAL: usize = 20;
const MOST: usize = 100;

/// Of which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// The page's URL.
    url: String,
    /// At most so many revalidations: 1 to 100. Default: 20.
    #[serde(default)]
    limit: Option<usize>,
}

/// What has happened to a page: why it is, or is not, what visitors should see.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PageHistoryView {
    /// The page's URL in canonical spelling.
    pub(crate) url: String,
    /// What the store's clock shows.
    pub(crate) now: String,
    /// What becomes of the render that was bound last: `current`; `stale`, it may be served only while it
    /// is revalidated; or `expired`, it may not be served. Nothing when the page is bound to nothing.
    pub(crate) verdict: Option<String>,
    /// The generation of that render.
    pub(crate) generation: Option<String>,
    /// That render began no earlier than this; nothing when that is not known any more.
    pub(crate) rendered_after: Option<String>,
    /// And hardly later than this; nothing when no revalidation has been made since, or that is not known
    /// any more.
    pub(crate) rendered_before: Option<String>,
    /// Every tag that some copy still kept was made from.
    pub(crate) tags: Vec<BoundTagView>,
    /// What is to be done for the page by itself.
    pub(crate) job: Option<PageJobView>,
    /// The revalidations that concerned the page, newest first.
    pub(crate) revalidations: Vec<ConcerningView>,
    /// Whether these are as many as were asked for, or all that the store remembers: a very long history is
    /// not looked through to its end.
    pub(crate) whole: bool,
    /// Those that will concern it when their time comes, soonest first.
    pub(crate) scheduled: Vec<PlannedView>,
    /// What each tier has done for the newest of them whose receipt is kept.
    pub(crate) tiers: Vec<TierView>,
    /// The last warm-up that it was part of, as far as receipts are kept.
    pub(crate) warmed: Option<WarmedPageView>,
}

/// What is to be done for a page by itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PageJobView {
    /// `waiting`, `claimed` or `dead`.
    pub(crate) state: String,
    /// Why: `superseded`, a response was while it was rendered; `in_flight`, one was on its way during a
    /// purge.
    pub(crate) reason: String,
    /// Until it is due, or the worker's claim ends, in milliseconds.
    pub(crate) milliseconds: Option<u64>,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// Why it was given up on.
    pub(crate) error: Option<String>,
}

/// A revalidation that concerned a page.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ConcerningView {
    /// Its name.
    pub(crate) id: String,
    /// How it treated copies.
    pub(crate) mode: ModeView,
    /// What of it was aimed at the page.
    pub(crate) targets: Vec<TargetView>,
    /// Whether the render that was bound last is older than it.
    pub(crate) missed: bool,
    /// When it happened; this and what follows is nothing where the receipt is kept no longer.
    pub(crate) at: Option<String>,
    /// Who asked.
    pub(crate) source: Option<String>,
    /// What it is at.
    pub(crate) phase: Option<String>,
    /// Whether nothing made from older data can appear on any tier any more.
    pub(crate) settled: Option<bool>,
    /// What went wrong last, as long as it stands in the way.
    pub(crate) error: Option<String>,
}

/// A revalidation that will concern a page.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PlannedView {
    /// Its name.
    pub(crate) id: String,
    /// When.
    pub(crate) at: String,
}

/// A warm-up that a page was part of.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct WarmedPageView {
    /// The revalidation it followed.
    pub(crate) id: String,
    /// When that was made.
    pub(crate) at: Option<String>,
    /// What came or went wrong where the page could not be warmed, as far as the receipt names it.
    pub(crate) not_warmed: Vec<NotWarmedView>,
}

/// What has happened to a page: its last render, its tags, the last revalidations that concerned it, and
/// what each tier has made of the newest. "Why is this page stale?"
#[utoipa::path(get, path = "/v1/urls/history", tag = "status", params(Of), responses(
    (status = 200, description = "What has happened, also to a page that is bound to nothing", body = PageHistoryView),
    (status = 422, description = "The URL is malformed", body = Problem),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn get(
    State(admin): Shared,
    Parameters(of): Parameters<Of>,
) -> Result<Json<PageHistoryView>, Problem> {
    let url = url_parameter(&admin.pages, &of.url)?;
    let most = of.limit.unwrap_or(USUAL).clamp(1, MOST);
    let history = page_history(&*admin.store, &url, most).await?;
    Ok(Json(PageHistoryView::from(&history)))
}

impl From<&PageHistory> for PageHistoryView {
    fn from(history: &PageHistory) -> Self {
        let bound = history.bound.as_ref();
        let (after, before) = history.rendered;
        let receipts = || {
            let receipts = history.concerning.iter();
            receipts.filter_map(|one| one.receipt.as_ref())
        };
        let planned = |receipt: &Receipt| PlannedView {
            id: receipt.id.to_string(),
            at: receipt.options.at.unwrap_or_default().to_string(),
        };
        Self {
            url: history.url.to_string(),
            now: history.now.to_string(),
            verdict: history.verdict.map(|verdict| word(verdict).to_owned()),
            generation: bound.map(|known| known.generation.to_string()),
            rendered_after: after.map(String::from),
            rendered_before: before.map(String::from),
            tags: (bound.iter().flat_map(|known| &known.tags))
                .map(BoundTagView::from)
                .collect(),
            job: history.job.as_ref().map(PageJobView::from),
            revalidations: history
                .concerning
                .iter()
                .map(ConcerningView::from)
                .collect(),
            whole: history.is_whole,
            scheduled: history.scheduled.iter().map(planned).collect(),
            tiers: (receipts().take(1))
                .flat_map(|receipt| receipt.tiers.iter().map(TierView::from))
                .collect(),
            warmed: receipts()
                .find(|receipt| has_warmed(receipt))
                .map(|receipt| warmed(history, receipt)),
        }
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Current => "current",
        Verdict::Stale => "stale",
        Verdict::Expired => "expired",
    }
}

const fn has_warmed(receipt: &Receipt) -> bool {
    receipt.warm.warmed + receipt.warm.failed + receipt.warm.skipped > 0
}

fn warmed(history: &PageHistory, receipt: &Receipt) -> WarmedPageView {
    let here = receipt.warm.not_warmed.iter();
    WarmedPageView {
        id: receipt.id.to_string(),
        at: moved_at(receipt).map(String::from),
        not_warmed: here
            .filter(|not_warmed| not_warmed.url == history.url)
            .map(NotWarmedView::from)
            .collect(),
    }
}

impl From<&PageJob> for PageJobView {
    fn from(job: &PageJob) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (state, milliseconds, error) = match &job.state {
            PageJobState::Waiting { due_in } => ("waiting", Some(millis(*due_in)), None),
            PageJobState::Claimed { lease } => ("claimed", Some(millis(*lease)), None),
            PageJobState::Dead { error } => ("dead", None, Some(error.clone())),
        };
        let reason = match job.work.reason {
            PageReason::Superseded => "superseded",
            PageReason::InFlight => "in_flight",
        };
        Self {
            state: state.to_owned(),
            reason: reason.to_owned(),
            milliseconds,
            attempts: job.attempts,
            error,
        }
    }
}

impl From<&Concerning> for ConcerningView {
    fn from(one: &Concerning) -> Self {
        let receipt = one.receipt.as_ref();
        let at: Option<Timestamp> = receipt.and_then(moved_at);
        Self {
            id: one.id.to_string(),
            mode: one.mode.into(),
            targets: one.targets.iter().map(TargetView::from).collect(),
            missed: one.is_missed,
            at: at.map(String::from),
            source: receipt.map(|receipt| receipt.source.as_str().to_owned()),
            phase: receipt.map(|receipt| receipt.phase.as_str().to_owned()),
            settled: receipt.map(|receipt| receipt.settled),
            error: receipt.and_then(|receipt| receipt.error.clone()),
        }
    }
}
