//! Jobs that were given up on.

use axum::Json;
use axum::extract::State;
use edge_isr::core::{DeadLetter, JobKey, PageUrl, RevalidationId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::body::Body;
use super::items::{Items, at_most};
use super::problem::Problem;

/// The most dead letters in one answer, or in one call.
const MOST: usize = 1000;

/// Jobs given up on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeadLetterList {
    /// The jobs.
    pub(crate) dead_letters: Vec<DeadLetterView>,
}

/// A job that was given up on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeadLetterView {
    /// `revalidation` or `page`.
    pub(crate) kind: String,
    /// The revalidation's name, or the page's URL.
    pub(crate) job: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// What stood in the way the last time.
    pub(crate) error: String,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let (kind, job) = match letter.job {
            JobKey::Revalidation(id) => ("revalidation", id.to_string()),
            JobKey::Page(url) => ("page", url.to_string()),
        };
        Self {
            kind: kind.to_owned(),
            job,
            attempts: letter.attempts,
            error: letter.error,
        }
    }
}

/// Jobs that were given up on, at most 1000.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "revalidations", responses(
    (status = 200, description = "The jobs", body = DeadLetterList),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn list(State(admin): Shared) -> Result<Json<DeadLetterList>, Problem> {
    let letters = admin.store.dead_letters(MOST).await?;
    Ok(Json(DeadLetterList {
        dead_letters: letters.into_iter().map(Into::into).collect(),
    }))
}

/// Which jobs to queue again.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReplayRequest {
    /// Names of revalidations.
    pub(crate) revalidations: Vec<String>,
    /// URLs of pages.
    pub(crate) pages: Vec<String>,
    /// Every job that was given up on, or as many as one call takes.
    pub(crate) all: bool,
}

/// How many jobs were queued again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReplayAnswer {
    /// Jobs that had been given up on and are due now.
    pub(crate) replayed: u64,
}

/// Queues jobs again that were given up on, at once and with a clean slate.
#[utoipa::path(post, path = "/v1/dead-letters/replay", tag = "revalidations",
    request_body = ReplayRequest,
    responses(
        (status = 200, description = "How many were queued again", body = ReplayAnswer),
        (status = 422, description = "An item is malformed; nothing was replayed", body = Problem),
        (status = 503, description = "The store is away", body = Problem),
    ))]
pub(super) async fn replay(
    State(admin): Shared,
    Body(request): Body<ReplayRequest>,
) -> Result<Json<ReplayAnswer>, Problem> {
    at_most(
        "jobs",
        request.revalidations.len() + request.pages.len(),
        MOST,
    )?;
    let mut items = Items::default();
    let mut jobs: Vec<JobKey> = Vec::new();
    for (index, text) in request.revalidations.iter().enumerate() {
        let id: Option<RevalidationId> =
            items.parsed(&format!("revalidations[{index}]"), Some(text));
        jobs.extend(id.map(JobKey::Revalidation));
    }
    let pages: Vec<PageUrl> = items.former_urls("pages", &request.pages, &admin.pages);
    jobs.extend(pages.into_iter().map(JobKey::Page));
    items.done()?;
    if request.all {
        let letters = admin.store.dead_letters(MOST).await?;
        jobs.extend(letters.into_iter().map(|letter| letter.job));
    }
    let replayed = if jobs.is_empty() {
        0
    } else {
        admin.store.replay(&jobs).await?
    };
    Ok(Json(ReplayAnswer { replayed }))
}
