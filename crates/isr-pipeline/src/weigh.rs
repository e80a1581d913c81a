//! How many pages a revalidation concerns, and what follows from that before anybody else is asked for
//! anything: one that concerns very many is held for a word from somebody, or purged softly.
//!
//! Its generations have moved when it was accepted, so the built-in edge and the layer count everything that
//! it concerns as superseded, whatever is decided here.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use isr_core::{Capabilities, Held, Phase, RevalidateOptions, StoreError, Target, Tier};

use crate::revalidation::{Run, Stop};
use crate::worker::Shared;

/// Pages looked at in one call of the store.
const CHUNK: usize = 1_000;

/// Pages that any number of revalidations may tell apart at the same time, 16 bytes each. One that has to
/// tell more apart waits until no other does.
const FEW: usize = 5_000;

/// Above how many pages a revalidation is not simply carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// One that concerns more pages than this is held until somebody releases it
    /// ([`JobStore::release`](isr_core::JobStore::release)): no tier is called and nothing is warmed.
    /// At most [`Thresholds::MOST`]; `None`, the default, holds nothing.
    pub hold: Option<u64>,
    /// One that concerns more pages than this, and whose mode is hard only because that is the site's usual
    /// one, is carried out soft where a tier can. At most [`Thresholds::MOST`]; `None`, the default, softens
    /// nothing.
    pub soften: Option<u64>,
}

impl Thresholds {
    /// The highest threshold: what is counted is told apart in memory.
    pub const MOST: u64 = 1_000_000;

    /// Those that apply to a revalidation with these options. There is nothing to hold where no tier would be
    /// called and nothing warmed, and nothing to soften where no tier can be purged softly.
    #[must_use]
    pub fn applying<'t>(
        self,
        options: &RevalidateOptions,
        tiers: impl IntoIterator<Item = &'t Tier>,
        warms: bool,
    ) -> Self {
        let can = tiers.into_iter().map(Tier::capabilities);
        let foreign: Vec<&Capabilities> = can.filter(|can| can.foreign).collect();
        let calls_anybody = !foreign.is_empty() || (options.warm && warms);
        let may_be_softened =
            options.mode.may_be_softened() && foreign.into_iter().any(is_ever_soft);
        Self {
            hold: self.hold.filter(|_| options.hold && calls_anybody),
            soften: self.soften.filter(|_| may_be_softened),
        }
    }
}

fn is_ever_soft(can: &Capabilities) -> bool {
    can.abilities().any(|ability| ability.soft)
}

impl Run {
    /// Looks once how many pages it concerns, before anybody else is asked for anything, and has it held
    /// or softened where those are very many.
    pub(crate) async fn weigh(&mut self) -> Result<(), Stop> {
        if self.receipt.progress.weighed || self.has_called_anybody() {
            return Ok(());
        }
        let Shared { parts, options, .. } = &*self.shared;
        let tiers = self.shared.tiers.iter().map(|tier| &tier.tier);
        let options = &options.thresholds;
        let apply = options.applying(&self.receipt.options, tiers, parts.warmer.is_some());
        let Some(most) = apply.hold.max(apply.soften) else {
            return Ok(());
        };
        let pages = self.pages_up_to(most.saturating_add(1)).await?;
        let exceeded = |above: &u64| pages > *above;
        self.receipt.softened_above = apply.soften.filter(exceeded);
        if let Some(above) = apply.hold.filter(exceeded) {
            return Err(self.hold(above));
        }
        self.receipt.progress.weighed = true;
        self.save().await
    }

    /// A revalidation that was begun before there was a threshold is not stopped half way.
    fn has_called_anybody(&self) -> bool {
        let tiers = self.shared.tiers.iter().zip(&self.receipt.tiers);
        let mut foreign = tiers.filter(|(tier, _)| tier.tier.capabilities().foreign);
        foreign.any(|(_, receipt)| receipt.calls > 0)
    }

    fn hold(&mut self, above: u64) -> Stop {
        // Generations always move at once, and so they do a second time once the replica's lag has passed.
        if let Some(delay) = self.begin_to_wait_for_replica() {
            return Stop::Later(delay);
        }
        self.receipt.progress.weighed = true;
        self.receipt.held = Some(Held {
            above,
            released: false,
        });
        self.receipt.phase = Phase::Held;
        let id = self.receipt.id;
        tracing::warn!(
            receipt = %id,
            "a revalidation concerns more than {above} pages and is held: `edge-isr release {id}` lets it go on"
        );
        Stop::Held
    }

    /// How many different pages it concerns; no more than `enough` are counted.
    async fn pages_up_to(&self, enough: u64) -> Result<u64, Stop> {
        let shared = Arc::clone(&self.shared);
        let targets = self.receipt.targets.as_slice().to_vec();
        let counted = self.holding(count(&shared, &targets, enough)).await??;
        Ok(counted.min(enough))
    }
}

async fn count(shared: &Shared, targets: &[Target], enough: u64) -> Result<u64, StoreError> {
    let store = &shared.parts.store;
    if targets.contains(&Target::Everything) {
        return Ok(store.statistics(0).await?.pages);
    }
    let keys = RandomState::new();
    // That two pages share 64 bits of a hash makes a count of a million wrong by one, once in 30 million.
    let mut pages: HashSet<u64> = HashSet::new();
    let mut alone = None;
    for target in targets {
        let mut after = None;
        loop {
            if pages.len() >= FEW && alone.is_none() {
                alone = shared.counts.acquire().await.ok();
            }
            let permit = shared.walks.acquire().await;
            let chunk = store.urls_for(target, after.as_ref(), CHUNK).await?;
            drop(permit);
            pages.extend(chunk.urls.iter().map(|url| keys.hash_one(url)));
            after = chunk.next;
            if pages.len() as u64 >= enough {
                return Ok(enough);
            }
            if after.is_none() {
                break;
            }
        }
    }
    Ok(pages.len() as u64)
}
