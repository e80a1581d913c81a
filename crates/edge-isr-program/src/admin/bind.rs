//! Binding pages, for origins that cannot use the layer.

use axum::Json;
use axum::extract::State;
use edge_isr::core::{
    Bind, BindOutcome, Generation, PageReason, PageUrl, PageWork, Policy, Position, TagSet,
    VariantKey,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::{Body, Parameters};
use super::items::{Items, at_most, url_parameter};
use super::problem::Problem;
use super::{Admin, Shared, SitePages};
use std::time::Duration;

/// Pages that one call binds or unbinds.
const MOST_PAGES: usize = 1000;

/// Pages to be bound.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BindRequest {
    /// The pages, at most 1000.
    pages: Vec<BindPage>,
}

/// A page to be bound to the tags of the data it was made from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BindPage {
    /// The page's absolute URL, as visitors see it.
    url: String,
    /// Its tags, at most 256.
    tags: Vec<String>,
    /// The value of the request header `X-Edge-ISR-Generation` that the render was asked for with.
    /// Without it nobody can tell whether the data was read before some revalidation, so the page is
    /// purged once more after the settling time.
    #[serde(default)]
    generation: Option<String>,
    /// Which variant was rendered; nothing for pages without variants.
    #[serde(default)]
    variant: Option<String>,
    /// How long any tier may keep the page, in seconds, fresh and stale: 1 to 63072000. Default:
    /// 63072000, two years, which is never too short.
    #[serde(default)]
    lifetime_seconds: Option<u64>,
}

/// What became of the pages, in the order given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BindAnswer {
    pages: Vec<BoundPage>,
}

/// What became of one page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BoundPage {
    /// The page's URL in canonical spelling.
    url: String,
    /// Whether the response may be kept. If not, something it was made from has been revalidated
    /// since its data was read: send it as `no-store`. The page has been queued again.
    bound: bool,
    /// The page's generation now.
    generation: String,
}

/// Binds pages to the tags of the data they were made from, before they are sent.
#[utoipa::path(post, path = "/v1/bind", tag = "pages", request_body = BindRequest, responses(
    (status = 200, description = "What became of each page", body = BindAnswer),
    (status = 422, description = "An item is malformed; nothing was bound", body = Problem),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn bind(
    State(admin): Shared,
    Body(request): Body<BindRequest>,
) -> Result<Json<BindAnswer>, Problem> {
    at_most("pages", request.pages.len(), MOST_PAGES)?;
    let position = admin.store.position().await?;
    let binds = binds(&request.pages, &admin.pages, &position)?;
    let outcomes = admin.store.bind(&binds).await?;
    purge_the_unknown_again(&admin, &request.pages, &binds, &outcomes).await?;
    let answer = |(bind, outcome): (&Bind, &BindOutcome)| BoundPage {
        url: bind.url.to_string(),
        bound: outcome.is_bound(),
        generation: outcome.current().to_string(),
    };
    Ok(Json(BindAnswer {
        pages: binds.iter().zip(&outcomes).map(answer).collect(),
    }))
}

/// Reads every page, or names every item at fault.
fn binds(pages: &[BindPage], site: &SitePages, position: &Position) -> Result<Vec<Bind>, Problem> {
    let mut items = Items::default();
    let mut binds = Vec::with_capacity(pages.len());
    for (index, page) in pages.iter().enumerate() {
        let place = |field: &str| format!("pages[{index}].{field}");
        let url = items.note(&place("url"), site.page(&page.url));
        let tags = items.tags(&place("tags"), &page.tags);
        let tags = items.note(&place("tags"), TagSet::try_from_iter(tags));
        let given: Option<Generation> =
            items.parsed(&place("generation"), page.generation.as_ref());
        let variant: Option<VariantKey> = items.parsed(&place("variant"), page.variant.as_ref());
        let lifetime = items.note(&place("lifetime_seconds"), lifetime(page.lifetime_seconds));
        if let (Some(url), Some(tags), Some(lifetime)) = (url, tags, lifetime) {
            let generation = given.unwrap_or_else(|| position.generation_of(&url));
            binds.push(Bind {
                url,
                variant: variant.unwrap_or_default(),
                tags,
                generation,
                lifetime,
            });
        }
    }
    items.done()?;
    Ok(binds)
}

/// Fresh for as long as a policy allows, and stale for as long again.
const LONGEST: u64 = 2 * Policy::LONGEST as u64;

fn lifetime(seconds: Option<u64>) -> Result<Duration, String> {
    match seconds.unwrap_or(LONGEST) {
        seconds @ 1..=LONGEST => Ok(Duration::from_secs(seconds)),
        seconds => Err(format!("{seconds} is out of range: use 1 to {LONGEST}")),
    }
}

/// Pages bound without a generation may have been made from data older than the bind.
async fn purge_the_unknown_again(
    admin: &Admin,
    pages: &[BindPage],
    binds: &[Bind],
    outcomes: &[BindOutcome],
) -> Result<(), Problem> {
    let unknown = |((page, bind), outcome): ((&BindPage, &Bind), &BindOutcome)| {
        let again = || PageWork::new(bind.url.clone(), outcome.current(), PageReason::InFlight);
        page.generation.is_none().then(again)
    };
    let work: Vec<PageWork> = pages
        .iter()
        .zip(binds)
        .zip(outcomes)
        .filter_map(unknown)
        .collect();
    if !work.is_empty() {
        admin.store.queue_pages(&work, admin.settling_time).await?;
    }
    Ok(())
}

/// Pages to be forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnbindRequest {
    /// Their URLs, at most 1000.
    urls: Vec<String>,
}

/// How many pages were forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnbindAnswer {
    /// Pages that the graph knew.
    unbound: u64,
}

/// Forgets pages. Copies that are still kept can then no longer be found by their tags: revalidate the
/// pages first.
#[utoipa::path(post, path = "/v1/unbind", tag = "pages", request_body = UnbindRequest, responses(
    (status = 200, description = "How many were known", body = UnbindAnswer),
    (status = 422, description = "A URL is malformed; nothing was forgotten", body = Problem),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn unbind(
    State(admin): Shared,
    Body(request): Body<UnbindRequest>,
) -> Result<Json<UnbindAnswer>, Problem> {
    at_most("pages", request.urls.len(), MOST_PAGES)?;
    let mut items = Items::default();
    let urls: Vec<PageUrl> = items.former_urls("urls", &request.urls, &admin.pages);
    items.done()?;
    Ok(Json(UnbindAnswer {
        unbound: admin.store.unbind(&urls).await?,
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

/// A page's generation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GenerationAnswer {
    /// The page's URL in canonical spelling.
    url: String,
    /// Its generation now.
    generation: String,
}

/// The generation to render a page under: ask before the data is read, and hand it back to `bind`.
#[utoipa::path(get, path = "/v1/generation", tag = "pages", params(OfPage), responses(
    (status = 200, description = "The generation", body = GenerationAnswer),
    (status = 422, description = "The URL is malformed", body = Problem),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn generation(
    State(admin): Shared,
    Parameters(of): Parameters<OfPage>,
) -> Result<Json<GenerationAnswer>, Problem> {
    let url = url_parameter(&admin.pages, &of.url)?;
    let generation = admin
        .store
        .position()
        .await?
        .generation_of(&url)
        .to_string();
    Ok(Json(GenerationAnswer {
        url: url.to_string(),
        generation,
    }))
}
