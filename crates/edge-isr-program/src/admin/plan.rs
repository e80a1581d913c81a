//! What a revalidation would do, found out without doing it.

use std::collections::BTreeSet;

use edge_isr::core::{Capabilities, PageUrl, Store, StoreError, Target, Targets};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Admin;

/// Pages looked at in one call of the store.
const CHUNK: usize = 1000;

/// Pages told apart before the rest are only counted.
const MOST_PAGES: usize = 1_000_000;

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
}

/// What a tier would be called with.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TierPlan {
    /// The tier's name.
    pub(crate) tier: String,
    /// Tags, pages or whatever else would be purged by name.
    pub(crate) items: u64,
    /// Calls they would take.
    pub(crate) calls: u64,
}

/// Finds out what a revalidation of these targets would do.
///
/// # Errors
///
/// Whatever the store answers.
pub(super) async fn plan(admin: &Admin, targets: &Targets) -> Result<PlanView, StoreError> {
    let mut pages = BTreeSet::new();
    let mut of_each = Vec::new();
    for target in targets {
        let before = pages.len();
        collect(&*admin.store, target, &mut pages).await?;
        of_each.push((target, (pages.len() - before) as u64));
    }
    let tiers = admin.tiers.iter().map(|tier| {
        let (items, calls) = calls(tier.capabilities(), &of_each);
        TierPlan {
            tier: tier.name().to_owned(),
            items,
            calls,
        }
    });
    Ok(PlanView {
        pages: pages.len() as u64,
        more: pages.len() >= MOST_PAGES,
        some: pages.iter().take(LISTED).map(ToString::to_string).collect(),
        tiers: tiers.collect(),
    })
}

/// Items and calls that purging a tier takes, given each target with the pages that no target before
/// it has. Targets that the tier takes as they are go together where they stand together; the pages of
/// any other go by themselves.
fn calls(capabilities: &Capabilities, of_each: &[(&Target, u64)]) -> (u64, u64) {
    let limit = capabilities
        .items_per_call
        .map_or(u64::MAX, |limit| limit.get() as u64);
    let (mut items, mut calls) = (0, 0);
    for run in of_each.chunk_by(|(a, _), (b, _)| capabilities.takes(a) && capabilities.takes(b)) {
        let size = match run {
            [(target, pages)] if !capabilities.takes(target) => *pages,
            taken => taken.len() as u64,
        };
        items += size;
        calls += size.div_ceil(limit);
    }
    (items, calls)
}

async fn collect(
    store: &dyn Store,
    target: &Target,
    pages: &mut BTreeSet<PageUrl>,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let chunk = store.urls_for(target, after.as_ref(), CHUNK).await?;
        pages.extend(chunk.urls);
        after = chunk.next;
        if after.is_none() || pages.len() >= MOST_PAGES {
            return Ok(());
        }
    }
}
