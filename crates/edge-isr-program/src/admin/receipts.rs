//! Receipts of revalidations.

use axum::Json;
use axum::extract::State;
use edge_isr::core::RevalidationId;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::body::{Parameters, Segment};
use super::items::Items;
use super::problem::Problem;
use super::views::ReceiptView;

/// How many receipts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Newest {
    /// At most so many: 1 to 1000. Default: 50.
    #[serde(default)]
    limit: Option<usize>,
}

/// Receipts, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReceiptList {
    /// The receipts.
    pub(crate) receipts: Vec<ReceiptView>,
}

/// The newest revalidations.
#[utoipa::path(get, path = "/v1/receipts", tag = "revalidations", params(Newest), responses(
    (status = 200, description = "Newest first", body = ReceiptList),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn list(
    State(admin): Shared,
    Parameters(newest): Parameters<Newest>,
) -> Result<Json<ReceiptList>, Problem> {
    let limit = newest.limit.unwrap_or(50).clamp(1, 1000);
    let receipts = admin.store.receipts(limit).await?;
    Ok(Json(ReceiptList {
        receipts: receipts.iter().map(ReceiptView::from).collect(),
    }))
}

/// One revalidation as it stands.
#[utoipa::path(get, path = "/v1/receipts/{id}", tag = "revalidations",
    params(("id" = String, Path, description = "The revalidation's name")),
    responses(
        (status = 200, description = "Its receipt", body = ReceiptView),
        (status = 404, description = "It is not known, or no longer", body = Problem),
        (status = 422, description = "The id is malformed", body = Problem),
        (status = 503, description = "The store is away", body = Problem),
    ))]
pub(super) async fn one(
    State(admin): Shared,
    Segment(text): Segment,
) -> Result<Json<ReceiptView>, Problem> {
    let mut items = Items::default();
    let id: Option<RevalidationId> = items.parsed("id", Some(&text));
    items.done()?;
    let id = id.expect("an id without a fault was read");
    match admin.revalidator.receipt(&id).await? {
        Some(receipt) => Ok(Json(ReceiptView::from(&receipt))),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("no receipt {id} is known: finished ones are kept for a day"),
        )),
    }
}
