//! Receipts of revalidations.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use edge_isr::core::{Cursor, Phase, Receipt, ReceiptFilter, RevalidationId, Source, Tag, Target};
use edge_isr::pipeline::await_receipt;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::{Parameters, Segment};
use super::items::Items;
use super::moments::{Moment, duration};
use super::problem::Problem;
use super::revalidate::Wait;
use super::views::ReceiptView;
use super::{Admin, Shared};

/// Calls of the store in one listing: behind that the caller goes on.
const CALLS: usize = 32;

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Which receipts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// At most so many: 1 to 1000. Default: 50.
    limit: Option<usize>,
    /// Where to go on: `next` of the list before.
    after: Option<String>,
    /// At one of these phases, with commas in between: `queued`, `scheduled`, `held`, `purging`, `warming`,
    /// `settling`, `done`, `failed`, `cancelled`.
    phase: Option<String>,
    /// Settled, or not.
    settled: Option<bool>,
    /// That name this tag.
    tag: Option<String>,
    /// That name this URL.
    url: Option<String>,
    /// Asked for by this: `api`, `command_line`, `library`, `purge_request` or `unsafe_request`.
    source: Option<String>,
    /// Accepted since then: a time in RFC 3339, or a duration such as `2h` for so long ago, by the store's
    /// clock.
    since: Option<String>,
    /// Accepted until then.
    until: Option<String>,
}

/// Receipts, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReceiptList {
    /// The receipts.
    pub(crate) receipts: Vec<ReceiptView>,
    /// Where the next list goes on, when there may be more. A list may be shorter than was asked for, or
    /// empty, and go on all the same: only so many receipts are looked at in one request.
    pub(crate) next: Option<String>,
}

/// The newest revalidations, or those of them that are wanted.
#[utoipa::path(get, path = "/v1/receipts", tag = "revalidations", params(Listing), responses(
    (status = 200, description = "Newest first, in the order in which they were accepted", body = ReceiptList),
    (status = 422, description = "A parameter is malformed", body = Problem),
    (status = 503, description = "The store is away", body = Problem),
))]
pub(super) async fn list(
    State(admin): Shared,
    Parameters(listing): Parameters<Listing>,
) -> Result<Json<ReceiptList>, Problem> {
    let limit = listing.limit.unwrap_or(50).clamp(1, 1000);
    let wanted = read_filter(&admin, &listing).await?;
    let mut next = listing.after.map(Cursor);
    let mut receipts = Vec::new();
    for _ in 0..CALLS {
        let left = limit - receipts.len();
        let chunk = admin.store.receipts(&wanted, next.as_ref(), left).await?;
        receipts.extend(chunk.receipts.iter().map(ReceiptView::from));
        next = chunk.next;
        if next.is_none() || receipts.len() == limit {
            break;
        }
    }
    Ok(Json(ReceiptList {
        receipts,
        next: next.map(|cursor| cursor.0),
    }))
}

async fn read_filter(admin: &Admin, listing: &Listing) -> Result<ReceiptFilter, Problem> {
    let mut items = Items::default();
    let phases = listing.phase.iter().flat_map(|phases| phases.split(','));
    let phases = phases.filter_map(|word| {
        let found = one_of(word, &Phase::ALL, Phase::as_str);
        items.note("phase", found)
    });
    let phases = phases.collect();
    let source = listing.source.as_ref();
    let source = source.and_then(|word| {
        let found = one_of(word, &Source::ALL, Source::as_str);
        items.note("source", found)
    });
    let tag: Option<Tag> = items.parsed("tag", listing.tag.as_ref());
    let url = listing.url.as_ref();
    let url = url.and_then(|url| items.note("url", admin.pages.former_page(url)));
    let since: Option<Moment> = items.parsed("since", listing.since.as_ref());
    let until: Option<Moment> = items.parsed("until", listing.until.as_ref());
    if listing.tag.is_some() && listing.url.is_some() {
        let both = Err::<(), _>("cannot be combined with `tag`: ask for one of them");
        items.note("url", both);
    }
    items.done()?;
    let now = match (since, until) {
        (None, None) => None,
        _ => Some(admin.store.time().await?),
    };
    let time = |moment: Option<Moment>| Some(moment?.at(now?));
    Ok(ReceiptFilter {
        phases,
        settled: listing.settled,
        target: tag.map(Target::Tag).or(url.map(Target::Url)),
        source,
        since: time(since),
        until: time(until),
    })
}

/// What a word stands for.
fn one_of<T: Copy>(word: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().find(|&&one| name(one) == word);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|&one| name(one)).collect();
        format!("`{word}` is none of {}", names.join(", "))
    })
}

/// What to wait for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// How long to wait, as `30s`: at most ten minutes. Default: not at all.
    wait: Option<String>,
    /// What for. Default: `done`.
    #[serde(rename = "for")]
    #[param(inline)]
    until: Option<Wait>,
}

/// One revalidation as it stands, or as it stands when what is waited for has come about.
#[utoipa::path(get, path = "/v1/receipts/{id}", tag = "revalidations",
    params(("id" = String, Path, description = "The revalidation's name"), Waiting),
    responses(
        (status = 200, description = "Its receipt; what was waited for has come about", body = ReceiptView),
        (status = 202, description = "Its receipt; what was waited for has not come about, and will not by \
         itself when the phase is `held`, `failed` or `cancelled`", body = ReceiptView),
        (status = 404, description = "It is not known, or no longer", body = Problem),
        (status = 422, description = "The id or a parameter is malformed", body = Problem),
        (status = 503, description = "The store is away", body = Problem),
    ))]
pub(super) async fn one(
    State(admin): Shared,
    Segment(text): Segment,
    Parameters(waiting): Parameters<Waiting>,
) -> Result<Response, Problem> {
    let id = read_id(&text)?;
    let mut items = Items::default();
    let patience = waiting.wait.as_ref();
    let patience = patience.and_then(|text| items.note("wait", duration(text)));
    items.done()?;
    let awaited = waiting.until.unwrap_or(Wait::Done).awaited();
    let (Some(patience), Some(awaited)) = (patience, awaited) else {
        let found = admin.revalidator.receipt(&id).await?;
        return found.map_or_else(|| Err(unknown(&id)), |receipt| Ok(show(&receipt)));
    };
    let (store, clock, edge) = (&*admin.store, &*admin.clock, &admin.edge_tier);
    let patience = patience.min(LONGEST_WAIT);
    let found = await_receipt(store, clock, &id, awaited, edge, patience).await?;
    let receipt = found.ok_or_else(|| unknown(&id))?;
    if awaited.reached(&receipt, edge) {
        Ok(show(&receipt))
    } else {
        Ok((StatusCode::ACCEPTED, Json(ReceiptView::from(&receipt))).into_response())
    }
}

fn show(receipt: &Receipt) -> Response {
    Json(ReceiptView::from(receipt)).into_response()
}

/// Calls a scheduled revalidation off, as long as it has not begun, or one that is held.
///
/// Of one that was held, the generations have moved, and stay so: the built-in edge and the layer count what
/// it concerns as superseded. Only the calls of tiers and the warm-up are called off, so tiers that were not
/// purged may keep what they have until its lifetime ends.
#[utoipa::path(delete, path = "/v1/receipts/{id}", tag = "revalidations",
    params(("id" = String, Path, description = "The revalidation's name")),
    responses(
        (status = 200, description = "It is called off, now or before: its phase is `cancelled`", body = ReceiptView),
        (status = 404, description = "It is not known, or no longer", body = Problem),
        (status = 409, description = "It has begun, or was never scheduled or held: `phase` says what it is at",
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
        "{id} cannot be called off, it is {phase}: only what is scheduled can, until its time has come, and \
         what is held"
    );
    Err(at_another_phase(&receipt, detail))
}

/// Lets a revalidation go on that is held since it concerns very many pages.
#[utoipa::path(post, path = "/v1/revalidations/{id}/release", tag = "revalidations",
    params(("id" = String, Path, description = "The revalidation's name")),
    responses(
        (status = 200, description = "It goes on: it is released, now or before", body = ReceiptView),
        (status = 404, description = "It is not known, or no longer", body = Problem),
        (status = 409, description = "It is not held, and never was, or it was called off: `phase` says what it \
         is at", body = Problem),
        (status = 422, description = "The id is malformed", body = Problem),
        (status = 503, description = "The store is away", body = Problem),
    ))]
pub(super) async fn release(
    State(admin): Shared,
    Segment(text): Segment,
) -> Result<Json<ReceiptView>, Problem> {
    let id = read_id(&text)?;
    let Some(receipt) = admin.store.release(&id).await? else {
        return Err(unknown(&id));
    };
    if receipt.held.is_some_and(|held| held.released) {
        return Ok(Json(ReceiptView::from(&receipt)));
    }
    let phase = receipt.phase.as_str();
    let detail = format!("{id} cannot be released, it is {phase}: only what is held can");
    Err(at_another_phase(&receipt, detail))
}

fn at_another_phase(receipt: &Receipt, detail: String) -> Problem {
    Problem {
        phase: Some(receipt.phase.as_str().to_owned()),
        ..Problem::new(StatusCode::CONFLICT, detail)
    }
}

fn read_id(text: &str) -> Result<RevalidationId, Problem> {
    let mut items = Items::default();
    let id = items.note("id", text.parse::<RevalidationId>());
    items.done()?;
    Ok(id.expect("an id without a fault was read"))
}

fn unknown(id: &RevalidationId) -> Problem {
    let detail = format!("no receipt {id} is known: those that have ended are kept for a while");
    Problem::new(StatusCode::NOT_FOUND, detail)
}
