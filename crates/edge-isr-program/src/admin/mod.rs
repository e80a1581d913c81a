//! The admin API: HTTP for whoever runs a site, and for origins that are not written in Rust.
//!
//! Everything is under `/v1`, in JSON; errors are problem details (RFC 9457). Handlers know the traits
//! of every seam and no implementation. A request is applied as a whole or not at all.

mod auth;
mod bind;
mod body;
mod dead_letters;
mod health;
mod items;
mod lookup;
mod moments;
mod openapi;
mod page_history;
mod plan;
mod problem;
mod receipts;
mod revalidate;
mod site_pages;
mod views;
mod warm;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use edge_isr::SiteHandle;
use edge_isr::core::{Clock, RevalidateOptions, Revalidator, Secret, Store, Tier, Warmer};
use edge_isr::edge::EdgeConnector;
use edge_isr::pipeline::Thresholds;

pub(crate) use self::dead_letters::{DeadLetterList, DeadLetterView, ReplayAnswer, ReplayRequest};
pub(crate) use self::lookup::{BoundTagView, GraphView, PageView, SenderView, TagSize, TagView};
pub(crate) use self::openapi::document as openapi_document;
pub(crate) use self::page_history::{ConcerningView, PageHistoryView, PageJobView};
pub(crate) use self::plan::{PlanView, TierPlan};
pub(crate) use self::problem::Problem;
pub(crate) use self::receipts::ReceiptList;
pub(crate) use self::revalidate::{Asker, RevalidateAnswer, RevalidateRequest, Wait};
pub(crate) use self::site_pages::SitePages;
pub(crate) use self::views::{ModeView, ReceiptView, TargetView, TierView};
pub(crate) use self::warm::{WarmAnswer, WarmedView};

/// What the API acts on.
pub(crate) struct Admin {
    /// The store.
    pub(crate) store: Arc<dyn Store>,
    /// Accepts revalidations.
    pub(crate) revalidator: Arc<dyn Revalidator>,
    /// Warms pages on request.
    pub(crate) warmer: Arc<dyn Warmer>,
    /// Every tier, nearest the origin first.
    pub(crate) tiers: Vec<Tier>,
    /// The name of the tier that is the built-in edge.
    pub(crate) edge_tier: String,
    /// Which URLs are pages of the site.
    pub(crate) pages: SitePages,
    /// Where time comes from.
    pub(crate) clock: Arc<dyn Clock>,
    /// What a revalidation does when its caller chooses nothing.
    pub(crate) defaults: RevalidateOptions,
    /// Above how many pages a revalidation is held, or softened.
    pub(crate) thresholds: Thresholds,
    /// How long after its last byte a response may still be stored by a tier.
    pub(crate) settling_time: Duration,
    /// What callers must know; `None` lets everybody in who can reach the listener.
    pub(crate) token: Option<Secret>,
    /// Bytes of the largest request body.
    pub(crate) largest_body: usize,
    /// Renders the metrics in the Prometheus text format.
    pub(crate) metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Whether the edge of this process has heard from the store: before that it binds nothing.
    pub(crate) heard_from_store: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Admin {
    /// An API to a site's store and tiers that lets everybody in, while nothing of the site runs here.
    pub(crate) fn of(site: &SiteHandle) -> Self {
        let config = site.config();
        let metrics = site.metrics();
        Self {
            store: site.store(),
            revalidator: site.revalidator(),
            warmer: site.warmer(),
            tiers: site.tiers().to_vec(),
            edge_tier: EdgeConnector::NAME.to_owned(),
            pages: SitePages::new(config.urls.clone(), config.site.hosts.clone()),
            clock: site.clock(),
            defaults: config.revalidate.clone(),
            thresholds: config.thresholds,
            settling_time: config.settling_time,
            token: None,
            largest_body: config.admin.largest_body,
            metrics: Box::new(move || metrics.render()),
            heard_from_store: Box::new(|| false),
        }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// What every handler is given.
type Shared = axum::extract::State<Arc<Admin>>;

/// The whole API. `/healthz` and `/readyz` are open to whoever can reach the listener.
pub(crate) fn router(admin: Arc<Admin>) -> Router {
    let largest_body = admin.largest_body;
    let guarded = Router::new()
        .route("/v1/bind", post(bind::bind))
        .route("/v1/unbind", post(bind::unbind))
        .route("/v1/generation", get(bind::generation))
        .route("/v1/revalidate", post(revalidate::revalidate))
        .route("/v1/warm", post(warm::warm))
        .route("/v1/tags/{tag}", get(lookup::tag))
        .route("/v1/urls", get(lookup::url))
        .route("/v1/urls/history", get(page_history::get))
        .route("/v1/graph", get(lookup::graph))
        .route("/v1/receipts", get(receipts::list))
        .route(
            "/v1/receipts/{id}",
            get(receipts::one).delete(receipts::cancel),
        )
        .route("/v1/revalidations/{id}/release", post(receipts::release))
        .route("/v1/dead-letters", get(dead_letters::list))
        .route("/v1/dead-letters/replay", post(dead_letters::replay))
        .route("/v1/openapi.json", get(openapi::serve))
        .route("/metrics", get(health::metrics))
        .fallback(problem::no_such_resource)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&admin), auth::require_token));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .merge(guarded)
        .layer(DefaultBodyLimit::max(largest_body))
        .with_state(admin)
}

#[cfg(test)]
mod tests;
