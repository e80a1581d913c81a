//! What a revalidation would do, found out without doing it.

use edge_isr::core::{RevalidateOptions, StoreError, Targets};
use edge_isr::pipeline::{self, Plan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Admin;

/// Pages listed by name.
const LISTED: usize = 100;

/// What a revalidation would do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PlanView {
    /// Pages that it is aimed at.
    pub(crate) pages: u64,
    /// Whether there are more than were counted.
    pub(crate) more: bool,
    /// Some of the pages, at most 100.
    pub(crate) some: Vec<String>,
    /// What each tier would be called with, nearest the origin first.
    pub(crate) tiers: Vec<TierPlan>,
    /// It would be held until somebody releases it, since it concerns more pages than this; nothing where it
    /// would not.
    pub(crate) held_above: Option<u64>,
    /// Tiers that can would be purged softly although the configured mode is hard, since it concerns more
    /// pages than this; nothing where it would be carried out as it stands.
    pub(crate) softened_above: Option<u64>,
}

/// What a tier would be called with.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TierPlan {
    /// The tier's name.
    pub(crate) tier: String,
    /// Tags, pages or whatever else would be purged by name, as the service counts them.
    pub(crate) items: u64,
    /// Calls they would take.
    pub(crate) calls: u64,
    /// Minutes they would take at the service's rate, when nobody else uses it; absent where no rate is
    /// known.
    pub(crate) minutes: Option<f64>,
    /// US dollars they would cost once nothing is free any more; absent where they cost nothing.
    pub(crate) dollars: Option<f64>,
    /// Items that are free each month, for the whole account.
    pub(crate) free_items_a_month: Option<u64>,
    /// What would be purged instead of very many pages, as the configuration allows.
    pub(crate) escalated: Option<String>,
    /// Why the tier cannot be purged of a target at all.
    pub(crate) impossible: Option<String>,
}

/// Finds out what a revalidation of these targets with these options would do.
///
/// # Errors
///
/// Whatever the store answers.
pub(super) async fn plan(
    admin: &Admin,
    targets: &Targets,
    options: &RevalidateOptions,
) -> Result<PlanView, StoreError> {
    let plan = pipeline::plan(&*admin.store, &admin.tiers, targets, LISTED).await?;
    let pages = plan.pages;
    let exceeded = |above: &u64| pages > *above;
    // Whoever carries it out has a crawler.
    let apply = admin.thresholds.applying(options, &admin.tiers, true);
    Ok(PlanView {
        held_above: apply.hold.filter(exceeded),
        softened_above: apply.soften.filter(exceeded),
        ..PlanView::from(plan)
    })
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        Self {
            pages: plan.pages,
            more: plan.more,
            some: plan.some.iter().map(ToString::to_string).collect(),
            tiers: plan.tiers.into_iter().map(TierPlan::from).collect(),
            held_above: None,
            softened_above: None,
        }
    }
}

impl From<pipeline::TierPlan> for TierPlan {
    fn from(plan: pipeline::TierPlan) -> Self {
        Self {
            tier: plan.connector,
            items: plan.items,
            calls: plan.calls,
            minutes: plan.takes.map(|takes| takes.as_secs_f64() / 60.0),
            dollars: plan.dollars,
            free_items_a_month: plan.free_items_a_month,
            escalated: plan.escalated,
            impossible: plan.impossible,
        }
    }
}
