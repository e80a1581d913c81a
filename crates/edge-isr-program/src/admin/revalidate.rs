//! Asking for a revalidation.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use edge_isr::core::{
    Mode, Receipt, RevalidateOptions, RevalidationId, Source, StoreError, Target, Targets,
    Timestamp,
};
use edge_isr::pipeline::{Awaited, await_receipt};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Body;
use super::items::Items;
use super::plan::{PlanView, plan};
use super::problem::Problem;
use super::views::{ModeView, ReceiptView};
use super::{Admin, Shared};

/// How long a caller waits who does not say, in seconds.
const DEFAULT_TIMEOUT: u64 = 30;

/// The longest wait, in seconds.
const LONGEST_TIMEOUT: u64 = 600;

/// What changed. At least one target; everything only alone.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RevalidateRequest {
    /// Tags whose pages are revalidated.
    pub(crate) tags: Vec<String>,
    /// Absolute URLs of single pages.
    pub(crate) urls: Vec<String>,
    /// Absolute URLs of pages that are revalidated with everything beneath them, by whole path
    /// segments.
    pub(crate) prefixes: Vec<String>,
    /// Hosts all of whose pages are revalidated, with the port when it is not the scheme's default.
    pub(crate) hosts: Vec<String>,
    /// Every page of the site. Cannot be combined with other targets.
    pub(crate) everything: bool,
    /// How copies are treated. Default: as configured (`revalidate.mode`); that default alone may be carried
    /// out more softly where very many pages are concerned (`revalidate.soft_above`).
    pub(crate) mode: Option<ModeView>,
    /// Whether pages are warmed after the purge. Default: as configured.
    pub(crate) warm: Option<bool>,
    /// A time to come, in RFC 3339, such as `2026-12-01T09:00Z`, at most 366 days ahead by the store's
    /// clock: nothing happens before it, and then everything as if it were asked for at that moment. A
    /// time that has passed is now. Default: now.
    pub(crate) at: Option<String>,
    /// Whether it may be held until somebody releases it, where it concerns more pages than
    /// `revalidate.hold_above`. Default: true.
    pub(crate) hold: Option<bool>,
    /// What to wait for before answering.
    pub(crate) wait: Wait,
    /// How long to wait, in seconds: at most 600. Default: 30.
    pub(crate) timeout_seconds: Option<u64>,
    /// Finds out what would be done, and does nothing.
    pub(crate) dry_run: bool,
    /// The revalidation's name, a UUID. The same request may then be sent twice without happening
    /// twice.
    pub(crate) id: Option<String>,
    /// Who asks; told by the receipt and the metrics.
    pub(crate) source: Asker,
}

/// Who asks for a revalidation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asker {
    /// A program, over HTTP.
    #[default]
    Api,
    /// `edge-isr revalidate` or `edge-isr purge`.
    CommandLine,
}

impl From<Asker> for Source {
    fn from(asker: Asker) -> Self {
        match asker {
            Asker::Api => Self::Api,
            Asker::CommandLine => Self::CommandLine,
        }
    }
}

/// What to wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wait {
    /// Nothing: the revalidation is stored durably, and this instance serves nothing that it
    /// concerns as fresh.
    #[default]
    None,
    /// Every live edge: none of them serves anything that it concerns as fresh.
    Edges,
    /// Every tier has taken the purge on.
    Purged,
    /// Nothing made from older data can appear on any tier any more.
    Settled,
    /// Nothing is left to do, warming included.
    Done,
}

impl Wait {
    pub(super) const fn awaited(self) -> Option<Awaited> {
        match self {
            Self::None => None,
            Self::Edges => Some(Awaited::Edges),
            Self::Purged => Some(Awaited::Purged),
            Self::Settled => Some(Awaited::Settled),
            Self::Done => Some(Awaited::Done),
        }
    }
}

/// A revalidation that was accepted, or what one would do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RevalidateAnswer {
    /// What has been seen to happen so far.
    Receipt(ReceiptView),
    /// What would be done.
    Plan(PlanView),
}

/// Revalidates every page that depends on what changed: purges it on every tier, then warms it.
#[utoipa::path(post, path = "/v1/revalidate", tag = "revalidations",
    request_body = RevalidateRequest,
    responses(
        (status = 200, description = "What was waited for has come about; or the plan of a dry run",
         body = RevalidateAnswer),
        (status = 202, description = "Stored durably, and not as far yet as was asked for; a wait ends at \
         once when the phase is `held`, `failed` or `cancelled`",
         body = RevalidateAnswer),
        (status = 409, description = "The id is that of another revalidation; nothing was stored", body = Problem),
        (status = 422, description = "An item is malformed, or the time is too far ahead; nothing was applied", body = Problem),
        (status = 429, description = "The queue is full; nothing was stored. `Retry-After` says when to ask again",
         body = Problem),
        (status = 503, description = "The store is away; whether anything was stored is unknown, and \
         asking again with the same id is safe", body = Problem),
    ))]
pub(super) async fn revalidate(
    State(admin): Shared,
    Body(request): Body<RevalidateRequest>,
) -> Result<Response, Problem> {
    let Read { targets, id, at } = read(&admin, &request)?;
    let options = RevalidateOptions {
        mode: (request.mode).map_or(admin.defaults.mode, |mode| Mode::from(mode).into()),
        warm: request.warm.unwrap_or(admin.defaults.warm),
        at,
        hold: request.hold.unwrap_or(admin.defaults.hold),
        ..admin.defaults.clone()
    };
    if request.dry_run {
        let plan = plan(&admin, &targets, &options).await?;
        return Ok(Json(RevalidateAnswer::Plan(plan)).into_response());
    }
    let mut receipt = Receipt::new(targets, options, request.source.into());
    if let Some(id) = id {
        receipt = receipt.with_id(id);
    }
    let asked = (receipt.targets.clone(), receipt.options.clone());
    let id = receipt.id;
    let receipt = admin.revalidator.revalidate(receipt).await?;
    if (&receipt.targets, &receipt.options) != (&asked.0, &asked.1) {
        let detail = format!("{id} is the name of another revalidation: give this one a new name");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let (status, receipt) = match request.wait.awaited() {
        Some(awaited) => wait(&admin, receipt, awaited, request.timeout_seconds).await?,
        None => (StatusCode::ACCEPTED, receipt),
    };
    let answer = RevalidateAnswer::Receipt(ReceiptView::from(&receipt));
    Ok((status, Json(answer)).into_response())
}

/// A request without faults.
struct Read {
    targets: Targets,
    id: Option<RevalidationId>,
    at: Option<Timestamp>,
}

fn read(admin: &Admin, request: &RevalidateRequest) -> Result<Read, Problem> {
    let mut items = Items::default();
    let tags = items.tags("tags", &request.tags);
    let urls = items.urls("urls", &request.urls, &admin.pages);
    let prefixes = items.urls("prefixes", &request.prefixes, &admin.pages);
    let hosts = request.hosts.iter().enumerate();
    let hosts: Vec<String> = hosts
        .filter_map(|(index, host)| items.note(&format!("hosts[{index}]"), admin.pages.host(host)))
        .collect();
    let id = items.parsed("id", request.id.as_ref());
    let at = items.parsed("at", request.at.as_ref());
    let list = (tags.into_iter().map(Target::Tag))
        .chain(urls.into_iter().map(Target::Url))
        .chain(
            prefixes
                .into_iter()
                .map(|url| Target::Prefix(url.without_query())),
        )
        .chain(hosts.into_iter().map(Target::Host));
    let list: Vec<Target> = list.collect();
    items.done()?;
    let targets = match (request.everything, list.is_empty()) {
        (true, true) => Ok(Targets::everything()),
        (true, false) => Targets::new(list.into_iter().chain([Target::Everything])),
        (false, _) => Targets::new(list),
    };
    let refused = |fault: edge_isr::core::InvalidTargets| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, fault.to_string())
    };
    let targets = targets.map_err(refused)?;
    Ok(Read { targets, id, at })
}

/// Waits until a revalidation has come as far as was asked for, or the time is up.
async fn wait(
    admin: &Admin,
    receipt: Receipt,
    awaited: Awaited,
    seconds: Option<u64>,
) -> Result<(StatusCode, Receipt), StoreError> {
    let (store, clock) = (&*admin.store, &*admin.clock);
    let seconds = seconds.unwrap_or(DEFAULT_TIMEOUT).min(LONGEST_TIMEOUT);
    let patience = Duration::from_secs(seconds);
    let edge = &admin.edge_tier;
    let newer = await_receipt(store, clock, &receipt.id, awaited, edge, patience).await?;
    let receipt = newer.unwrap_or(receipt);
    let status = if awaited.reached(&receipt, edge) {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, receipt))
}
