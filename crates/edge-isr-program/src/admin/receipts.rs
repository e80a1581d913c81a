//! Receipts of revalidations.

use axum::Json;
use axum::extract::State;
use edge_isr::core::{Phase, RevalidationId};
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
    let id = read_id(&text)?;
    match admin.revalidator.receipt(&id).await? {
        Some(receipt) => Ok(Json(ReceiptView::from(&receipt))),
        None => Err(unknown(&id)),
    }
}

/// Calls a scheduled revalidation off, as long as it has not begun.
#[utoipa::path(delete, path = "/v1/receipts/{id}", tag = "revalidations",
    params(("id" = String, Path, description = "The revalidation's name")),
    responses(
        (status = 200, description = "It is called off, now or before: its phase is `cancelled`", body = ReceiptView),
        (status = 404, description = "It is not known, or no longer", body = Problem),
        (status = 409, description = "It has begun, or was never scheduled: `phase` says what it is at",
         body = Problem),
        (status = 422, description = "The id is malformed", body = Problem),
        (status = 503, description = "The store is away", body = Problem),
    ))]
pub(super) async fn cancel(
    State(admin): Shared,
    Segment(text): Segment,
) -> Result<Json<ReceiptView>, Problem> {
    let id = read_id(&text)?;
    let Some(receipt) = admin.store.cancel(&id).await? else {
        return Err(unknown(&id));
    };
    if receipt.phase == Phase::Cancelled {
        return Ok(Json(ReceiptView::from(&receipt)));
    }
    let phase = receipt.phase.as_str();
    let detail = format!(
        "{id} cannot be called off, it is {phase}: only what is scheduled can, until its time has come"
    );
    Err(Problem {
        phase: Some(phase.to_owned()),
        ..Problem::new(StatusCode::CONFLICT, detail)
    })
}

fn read_id(text: &str) -> Result<RevalidationId, Problem> {
    let mut items = Items::default();
    let id = items.note("id", text.parse::<RevalidationId>());
    items.done()?;
    Ok(id.expect("an id without a fault was read"))
}

fn unknown(id: &RevalidationId) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("no receipt {id} is known: finished ones are kept for a day"),
    )
}
