//! Looking things up: the pages of a tag, the tags of a page, the state of the graph.

use axum::Json;
use axum::extract::State;
use edge_isr::core::{BoundTag, Cursor, SenderState, Target};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::body::{Parameters, Segment};
use super::items::{Items, url_parameter};
use super::problem::Problem;

/// The most pages in one answer.
const MOST_PAGES: usize = 1000;

/// Tags named with the state of the graph.
const LARGEST_TAGS: usize = 20;

/// Where in a tag's pages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Chunk {
    /// The `next` of the answer before.
    #[serde(default)]
    after: Option<String>,
    /// About how many pages: 1 to 1000. Default: 100.
    #[serde(default)]
    limit: Option<usize>,
}

/// Some of a tag's pages.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TagView {
    /// The tag.
    pub(crate) tag: String,
    /// Pages bound to it, in no order; one may come again in a later chunk.
    pub(crate) pages: Vec<String>,
    /// What to ask for next as `after`; nothing after the last.
    pub(crate) next: Option<String>,
}

/// The pages that are bound to a tag.
#[utoipa::path(get, path = "/v1/tags/{tag}", tag = "status",
    params(("tag" = String, Path, description = "The tag, percent-encoded"), Chunk),
    responses(
        (status = 200, description = "Some of its pages", body = TagView),
        (status = 422, description = "The tag is malformed", body = Problem),
        (status = 503, description = "The store is away", body = Problem),
    ))]
pub(super) async fn tag(
    State(admin): Shared,
    Segment(text): Segment,
    Parameters(chunk): Parameters<Chunk>,
) -> Result<Json<TagView>, Problem> {
    let mut items = Items::default();
    let tag = items.tags("tag", std::slice::from_ref(&text)).pop();
    items.done()?;
    let tag = tag.expect("a tag without a fault was read");
    let limit = chunk.limit.unwrap_or(100).clamp(1, MOST_PAGES);
    let after = chunk.after.map(Cursor);
    let found = admin
        .store
        .urls_for(&Target::Tag(tag.clone()), after.as_ref(), limit)
        .await?;
    Ok(Json(TagView {
        tag: tag.to_string(),
        pages: found.urls.iter().map(ToString::to_string).collect(),
        next: found.next.map(|cursor| cursor.0),
    }))
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfPage {
    /// The page's absolute URL.
    url: String,
}

/// What is known of a page.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PageView {
    /// The page's URL in canonical spelling.
    pub(crate) url: String,
    /// The generation of its newest bind.
    pub(crate) generation: String,
    /// Every tag that some copy still kept was made from.
    pub(crate) tags: Vec<BoundTagView>,
}

/// A tag of a page, and for how long.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BoundTagView {
    /// The tag.
    pub(crate) tag: String,
    /// How much longer a copy that shows the tag's data may be kept somewhere, in seconds.
    pub(crate) expires_in_seconds: u64,
}

impl From<&BoundTag> for BoundTagView {
    fn from(bound: &BoundTag) -> Self {
        Self {
            tag: bound.tag.to_string(),
            expires_in_seconds: bound.expires_in.as_secs(),
        }
    }
}

/// The tags that a page is bound to.
#[utoipa::path(get, path = "/v1/urls", tag = "status", params(OfPage), responses(
    (status = 200, description = "Its tags", body = PageView),
    (status = 404, description = "The page is bound to nothing", body = Problem),
    (status = 422, description = "The URL is malformed", body = Problem),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn url(
    State(admin): Shared,
    Parameters(of): Parameters<OfPage>,
) -> Result<Json<PageView>, Problem> {
    let url = url_parameter(&admin.pages, &of.url)?;
    let Some(known) = admin.store.tags_for(&url).await? else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("{url} is bound to nothing"),
        ));
    };
    Ok(Json(PageView {
        url: url.to_string(),
        generation: known.generation.to_string(),
        tags: known.tags.iter().map(BoundTagView::from).collect(),
    }))
}

/// The size and state of the graph, its queue, and those who send responses.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct GraphView {
    /// Pages bound to something.
    pub(crate) pages: u64,
    /// Tags some page is bound to.
    pub(crate) tags: u64,
    /// Pairs of a page and a tag.
    pub(crate) edges: u64,
    /// Bytes the store uses in all, where it can tell.
    pub(crate) bytes: Option<u64>,
    /// Revalidations made so far, in each partition.
    pub(crate) revalidations: Vec<u64>,
    /// The tags with the most pages, largest first.
    pub(crate) largest_tags: Vec<TagSize>,
    /// What waits to be done.
    pub(crate) queue: QueueView,
    /// Who sends responses.
    pub(crate) senders: Vec<SenderView>,
}

/// A tag, and how many pages it has.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TagSize {
    /// The tag.
    pub(crate) tag: String,
    /// Its pages.
    pub(crate) pages: u64,
}

/// What waits to be done.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct QueueView {
    /// Revalidations not finished.
    pub(crate) revalidations: u64,
    /// Revalidations that wait for the time they were asked for.
    pub(crate) scheduled: u64,
    /// Revalidations that concern very many pages and wait until somebody releases them.
    pub(crate) held: u64,
    /// Single pages not finished.
    pub(crate) pages: u64,
    /// Jobs given up on.
    pub(crate) dead: u64,
    /// How long the oldest job that is due has been waiting, in milliseconds.
    pub(crate) oldest_due_milliseconds: Option<u64>,
}

/// An edge or an application that sends responses.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct SenderView {
    /// Its name.
    pub(crate) id: String,
    /// `edge` or `application`.
    pub(crate) role: String,
    /// Where warm-up requests for it go.
    pub(crate) address: Option<String>,
    /// Whether it has reported in time.
    pub(crate) alive: bool,
}

impl From<&SenderState> for SenderView {
    fn from(sender: &SenderState) -> Self {
        let role = match sender.report.role {
            edge_isr::core::SenderRole::Edge => "edge",
            edge_isr::core::SenderRole::Application => "application",
        };
        Self {
            id: sender.report.id.to_string(),
            role: role.to_owned(),
            address: sender.report.address.clone(),
            alive: sender.alive,
        }
    }
}

/// How large the graph is, what waits, and who sends.
#[utoipa::path(get, path = "/v1/graph", tag = "status", responses(
    (status = 200, description = "The state of the graph", body = GraphView),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn graph(State(admin): Shared) -> Result<Json<GraphView>, Problem> {
    let statistics = admin.store.statistics(LARGEST_TAGS).await?;
    let depth = admin.store.depth().await?;
    let senders = admin.store.senders().await?;
    let size = |(tag, pages): (edge_isr::core::Tag, u64)| TagSize {
        tag: tag.to_string(),
        pages,
    };
    let millis =
        |waiting: std::time::Duration| u64::try_from(waiting.as_millis()).unwrap_or(u64::MAX);
    Ok(Json(GraphView {
        pages: statistics.pages,
        tags: statistics.tags,
        edges: statistics.edges,
        bytes: statistics.bytes,
        revalidations: statistics.generations,
        largest_tags: statistics.largest_tags.into_iter().map(size).collect(),
        queue: QueueView {
            revalidations: depth.revalidations,
            scheduled: depth.scheduled,
            held: depth.held,
            pages: depth.pages,
            dead: depth.dead,
            oldest_due_milliseconds: depth.oldest_due.map(millis),
        },
        senders: senders.iter().map(SenderView::from).collect(),
    }))
}
