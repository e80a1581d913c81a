//! Warming pages on request.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use edge_isr::core::{PageUrl, SenderRole, WarmOutcome, WarmRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use super::items::{Items, at_most};
use super::problem::Problem;
use super::{Admin, Shared};

/// Pages that one call warms.
const MOST_PAGES: usize = 1000;

/// Pages to be warmed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WarmPages {
    /// Their URLs, at most 1000.
    urls: Vec<String>,
}

/// How each request ended: every page on every edge, page by page.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct WarmAnswer {
    /// The requests.
    pub(crate) requests: Vec<WarmedView>,
}

/// How one warm-up request ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct WarmedView {
    /// The page.
    pub(crate) url: String,
    /// The edge that was asked; nothing when the page's own host was.
    pub(crate) via: Option<String>,
    /// `warmed`, `gone`, `redirected` or `failed`.
    pub(crate) outcome: String,
    /// The status code, if one came.
    pub(crate) status: Option<u16>,
    /// From the first byte sent to the last byte received, in milliseconds.
    pub(crate) took_milliseconds: Option<u64>,
    /// Why it failed.
    pub(crate) detail: Option<String>,
}

/// Requests pages from every live edge, so that caches hold them; answers when all have ended.
#[utoipa::path(post, path = "/v1/warm", tag = "pages", request_body = WarmPages, responses(
    (status = 200, description = "How each request ended", body = WarmAnswer),
    (status = 422, description = "A URL is malformed; nothing was requested", body = Problem),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn warm(
    State(admin): Shared,
    Body(request): Body<WarmPages>,
) -> Result<Json<WarmAnswer>, Problem> {
    at_most("pages", request.urls.len(), MOST_PAGES)?;
    let mut items = Items::default();
    let urls = items.urls("urls", &request.urls, &admin.pages);
    items.done()?;
    let requests = requests(&admin, urls).await?;
    let outcomes = admin.warmer.warm(&requests).await;
    let requests = requests.into_iter().zip(outcomes).map(view).collect();
    Ok(Json(WarmAnswer { requests }))
}

async fn requests(admin: &Admin, urls: Vec<PageUrl>) -> Result<Vec<WarmRequest>, Problem> {
    let senders = admin.store.senders().await?;
    let edges = senders
        .into_iter()
        .filter(|sender| sender.alive && sender.report.role == SenderRole::Edge);
    let mut places: Vec<Option<String>> = edges
        .filter_map(|edge| edge.report.address)
        .map(Some)
        .collect();
    if places.is_empty() {
        places.push(None);
    }
    let on_each = |url: PageUrl| {
        places.iter().map(move |via| WarmRequest {
            url: url.clone(),
            via: via.clone(),
            least: None,
        })
    };
    Ok(urls.into_iter().flat_map(on_each).collect())
}

fn view((request, outcome): (WarmRequest, WarmOutcome)) -> WarmedView {
    let mut view = WarmedView {
        url: request.url.to_string(),
        via: request.via,
        outcome: String::new(),
        status: None,
        took_milliseconds: None,
        detail: None,
    };
    let millis = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let word = match outcome {
        WarmOutcome::Warmed { status, took, .. } => {
            (view.status, view.took_milliseconds) = (Some(status), Some(millis(took)));
            "warmed"
        }
        WarmOutcome::Gone { status } => {
            view.status = Some(status);
            "gone"
        }
        WarmOutcome::Redirected { status } => {
            view.status = Some(status);
            "redirected"
        }
        WarmOutcome::Failed { detail, .. } => {
            view.detail = Some(detail);
            "failed"
        }
    };
    word.clone_into(&mut view.outcome);
    view
}
