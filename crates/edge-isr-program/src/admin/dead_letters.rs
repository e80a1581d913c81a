//! Jobs that were given up on.

use axum::Json;
use axum::extract::State;
use edge_isr::core::{Cursor, DeadLetter, JobKey, PageUrl, RevalidationId, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::{Body, Parameters};
use super::items::{Items, at_most};
use super::problem::Problem;
use super::{Admin, Shared};

/// The most dead letters in one answer, or in one call.
const MOST: usize = 1000;

/// Jobs given up on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeadLetterList {
    /// The jobs.
    pub(crate) dead_letters: Vec<DeadLetterView>,
    /// Where the next list goes on, when there are more.
    pub(crate) next: Option<String>,
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

/// Which part of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// At most so many: 1 to 1000. Default: 1000.
    limit: Option<usize>,
    /// Where to go on: `next` of the list before.
    after: Option<String>,
}

/// Jobs that were given up on: first revalidations, then pages.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "revalidations", params(Part), responses(
    (status = 200, description = "The jobs", body = DeadLetterList),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn list(
    State(admin): Shared,
    Parameters(part): Parameters<Part>,
) -> Result<Json<DeadLetterList>, Problem> {
    let limit = part.limit.unwrap_or(MOST).clamp(1, MOST);
    let mut next = part.after.map(Cursor);
    let mut dead_letters: Vec<DeadLetterView> = Vec::new();
    loop {
        let left = limit - dead_letters.len();
        let chunk = admin.store.dead_letters(next.as_ref(), left).await?;
        dead_letters.extend(chunk.letters.into_iter().map(DeadLetterView::from));
        next = chunk.next;
        if next.is_none() || dead_letters.len() >= limit {
            break;
        }
    }
    Ok(Json(DeadLetterList {
        dead_letters,
        next: next.map(|cursor| cursor.0),
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
    /// Every job that was given up on.
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
    let mut replayed = 0;
    if !jobs.is_empty() {
        replayed += admin.store.replay(&jobs).await?;
    }
    if request.all {
        replayed += replay_all(&admin).await?;
    }
    Ok(Json(ReplayAnswer { replayed }))
}

/// Replays as many as there are now. What is given up on again meanwhile comes last in the list, and would
/// be replayed without end.
async fn replay_all(admin: &Admin) -> Result<u64, StoreError> {
    let dead = admin.store.depth().await?.dead;
    let (mut replayed, mut next) = (0, None::<Cursor>);
    while replayed < dead {
        let chunk = admin.store.dead_letters(next.as_ref(), MOST).await?;
        let jobs: Vec<JobKey> = chunk.letters.into_iter().map(|letter| letter.job).collect();
        if !jobs.is_empty() {
            replayed += admin.store.replay(&jobs).await?;
        }
        next = chunk.next;
        if next.is_none() {
            break;
        }
    }
    Ok(replayed)
}
