//! What a revalidation would do, found out without doing it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use isr_core::{
    Ability, Capabilities, Filling, PageUrl, RateLimit, RateUnit, Store, StoreError, Target,
    Targets, Tier,
};

use crate::Thresholds;
use crate::walk::{Place, Walk, WalkError};

/// Pages looked at in one call of the store.
const CHUNK: usize = 1_000;

/// Pages told apart before the rest are only counted: enough to know whether any threshold is exceeded.
const MOST_PAGES: usize = 1_000_001;
const _: () = assert!(MOST_PAGES as u64 > Thresholds::MOST);

/// What a revalidation would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Pages that it is aimed at.
    pub pages: u64,
    /// Whether there are more than were counted.
    pub more: bool,
    /// Some of the pages.
    pub some: Vec<PageUrl>,
    /// What each tier would be asked for, nearest the origin first.
    pub tiers: Vec<TierPlan>,
}

/// What a tier would be asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TierPlan {
    /// The connector's name.
    pub connector: String,
    /// Items: pages, tags or whatever it is purged by, as the service counts them.
    pub items: u64,
    /// Calls they would take, if nothing else is revalidated meanwhile.
    pub calls: u64,
    /// How long they would take at the tier's rate, when nobody else uses it; `None` where no rate is
    /// known.
    pub takes: Option<Duration>,
    /// What they would cost in US dollars once nothing is free any more, where they cost anything.
    pub dollars: Option<f64>,
    /// Items that are free each month.
    pub free_items_a_month: Option<u64>,
    /// What would be purged instead of very many pages.
    pub escalated: Option<String>,
    /// Why it cannot be purged of a target at all.
    pub impossible: Option<String>,
}

/// Finds out what a revalidation of these targets would do, with at most `named` of its pages.
///
/// # Errors
///
/// Whatever the store answers.
pub async fn plan(
    store: &dyn Store,
    tiers: &[Tier],
    targets: &Targets,
    named: usize,
) -> Result<Plan, StoreError> {
    let mut pages = BTreeSet::new();
    for target in targets {
        collect(store, target, &mut pages).await?;
    }
    let mut by_distance: Vec<&Tier> = tiers.iter().collect();
    by_distance.sort_by_key(|tier| tier.capabilities().distance);
    let mut plans = Vec::new();
    for tier in by_distance {
        plans.push(plan_of(store, tier, targets).await?);
    }
    Ok(Plan {
        pages: pages.len() as u64,
        more: pages.len() >= MOST_PAGES,
        some: pages.into_iter().take(named).collect(),
        tiers: plans,
    })
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

/// Goes the way that a purge would go, and counts.
async fn plan_of(
    store: &dyn Store,
    tier: &Tier,
    targets: &Targets,
) -> Result<TierPlan, StoreError> {
    let can = tier.capabilities();
    let mut count = Count::default();
    let mut plan = TierPlan {
        connector: tier.name().to_owned(),
        ..TierPlan::default()
    };
    let targets = targets.as_slice();
    let mut walk = Walk::new(store, tier, targets, CHUNK, Place::default());
    loop {
        match walk.next().await {
            Ok(Some(portion)) => {
                plan.escalated = portion.escalated.or(plan.escalated);
                let pages = portion.pages.into_iter().map(Target::Url);
                for target in portion.native.into_iter().chain(pages) {
                    count.add(&target, can);
                }
            }
            Ok(None) => break,
            Err(WalkError::Store(error)) => return Err(error),
            Err(WalkError::Impossible(reason)) => {
                plan.impossible = Some(reason);
                break;
            }
        }
    }
    plan.items = count.kinds.values().map(|kind| kind.items).sum();
    plan.calls = count.kinds.values().map(|kind| kind.calls).sum();
    plan.takes = count.takes(can);
    plan.dollars = can.cost.map(|cost| cost.dollars(plan.items));
    plan.free_items_a_month = can.cost.map(|cost| cost.free_items_a_month);
    Ok(plan)
}

/// Calls being filled, without what is in them.
#[derive(Debug, Default)]
struct Count {
    /// By kind; all in one where calls are mixed.
    kinds: BTreeMap<&'static str, Kind>,
    /// Told apart as far as memory allows: a page of two tags is purged once.
    seen: BTreeSet<PageUrl>,
}

#[derive(Debug, Default)]
struct Kind {
    items: u64,
    calls: u64,
    filling: Filling,
    ability: Option<Ability>,
}

impl Count {
    fn add(&mut self, target: &Target, can: &Capabilities) {
        if let Target::Url(url) = target
            && self.seen.len() < MOST_PAGES
            && !self.seen.insert(url.clone())
        {
            return;
        }
        let kind = if can.mixed_calls { "" } else { target.kind() };
        let kind = self.kinds.entry(kind).or_default();
        if kind.calls == 0 || !kind.filling.take(target, can) {
            kind.filling = Filling::default();
            kind.filling.take(target, can);
            kind.calls += 1;
        }
        let ability = can.ability(target);
        kind.items += ability.map_or(1, |ability| ability.items_per_target.get().into());
        if kind.ability.is_none() {
            kind.ability = ability.cloned();
        }
    }

    /// How long it takes until the last call may be made. Different buckets fill at the same time.
    fn takes(&self, can: &Capabilities) -> Option<Duration> {
        let mut tokens: BTreeMap<&str, (&RateLimit, u64)> = BTreeMap::new();
        for kind in self.kinds.values() {
            if let Some(limit) = kind
                .ability
                .as_ref()
                .and_then(|ability| ability.rate.as_ref())
            {
                let (_, sum) = tokens.entry(&limit.bucket).or_insert((limit, 0));
                *sum += match limit.unit {
                    RateUnit::Calls => kind.calls,
                    RateUnit::Items => kind.items,
                };
            }
        }
        let waits = tokens.values().map(|(limit, tokens)| {
            let beyond = tokens.saturating_sub(limit.burst.get().into());
            limit
                .interval()
                .saturating_mul(u32::try_from(beyond).unwrap_or(u32::MAX))
        });
        let known = can.abilities().any(|ability| ability.rate.is_some());
        known.then(|| waits.max().unwrap_or_default())
    }
}
