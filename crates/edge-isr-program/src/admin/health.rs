//! Whether the program is alive and ready, and its metrics.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;

/// How long the store may take to answer before the program counts as not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The Prometheus text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How the program is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `alive` or `ready`.
    status: &'static str,
}

/// Answers as long as the program runs.
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, description = "The program runs", body = Health),
))]
pub(super) async fn alive() -> Json<Health> {
    Json(Health { status: "alive" })
}

/// Says whether the store can be reached. Without it pages are still served, with short lifetimes.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "The store answers", body = Health),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn ready(State(admin): Shared) -> Result<Json<Health>, Problem> {
    match tokio::time::timeout(PATIENCE, admin.store.position()).await {
        Ok(Ok(_)) if (admin.heard_from_store)() => Ok(Json(Health { status: "ready" })),
        Ok(Ok(_)) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the edge has not heard from the store yet; pages are served with short lifetimes",
        )),
        Ok(Err(error)) => Err(Problem {
            detail: format!("{error}; pages are served with short lifetimes"),
            ..Problem::from(error)
        }),
        Err(_) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer in time; pages are served with short lifetimes",
        )),
    }
}

/// The metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "Every metric", body = String, content_type = "text/plain"),
))]
pub(super) async fn metrics(State(admin): Shared) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], (admin.metrics)())
}
