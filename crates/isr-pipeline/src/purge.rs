//! Purging the tiers, nearest the origin first.

use std::collections::VecDeque;
use std::sync::Arc;

use isr_core::{
    Capabilities, ConnectorError, Milestone, Mode, PageUrl, Target, TierReceipt, TierState, chain,
};

use crate::client::{Outcome, TierClient};
use crate::done::Deed;
use crate::revalidation::{Run, Stop};
use crate::walk::{Place, Portion, Walk, WalkError};

/// The most pages that one revalidation has under way at a tier.
const MOST_AT_ONCE: usize = 5_000;

impl Run {
    /// Purges every tier that has not been purged, and waits for those that say when they are done.
    pub(crate) async fn purge(&mut self) -> Result<(), Stop> {
        for index in 0..self.shared.tiers.len() {
            if matches!(
                self.receipt.tiers[index].state,
                TierState::Queued | TierState::Sent
            ) {
                self.purge_tier_or_fail(index).await?;
            }
        }
        self.reach(Milestone::Confirmed);
        self.repeat_if_asked()
    }

    /// A tier that is given up on does not keep the others from being purged.
    async fn purge_tier_or_fail(&mut self, index: usize) -> Result<(), Stop> {
        if self.receipt.progress.tier != index {
            self.restart_walk();
            self.receipt.progress.tier = index;
        }
        let tier = self.shared.tiers[index].clone();
        let purged = match self.purge_tier(index, &tier).await {
            Ok(()) => self.confirm_tier(index, tier.connector()).await,
            stop => stop,
        };
        match purged {
            Ok(()) => {
                self.receipt.tiers[index].error = None;
                self.receipt.tiers[index].away = false;
                self.progressed();
            }
            Err(Stop::Failed { error, retry_after }) => {
                self.receipt.tiers[index].error = Some(error.clone());
                if self.receipt.failures + 1 < self.shared.options.attempts {
                    return Err(Stop::Failed { error, retry_after });
                }
                self.receipt.tiers[index].away = true;
                self.fail_tier(index);
            }
            Err(Stop::GiveUp) => self.fail_tier(index),
            Err(stop) => return Err(stop),
        }
        self.save().await
    }

    fn fail_tier(&mut self, index: usize) {
        self.receipt.tiers[index].state = TierState::Failed;
        self.receipt.failures = 0;
    }

    /// Has everything purged that the tier may keep of the targets, and saves how far that has come.
    async fn purge_tier(&mut self, index: usize, tier: &TierClient) -> Result<(), Stop> {
        let shared = Arc::clone(&self.shared);
        let targets = self.receipt.targets.as_slice().to_vec();
        let limit = pages_per_call(tier.tier.capabilities());
        let progress = &self.receipt.progress;
        let start = Place {
            target: progress.target,
            cursor: progress.cursor.clone(),
        };
        let chunk = shared.options.chunk;
        let mut walk = Walk::new(&*shared.parts.store, &tier.tier, &targets, chunk, start);
        let mut gathered = Gathered::default();
        loop {
            let from = walk.place().clone();
            // Few look for pages at once, so that what they find fits into memory.
            let permit = shared.walks.acquire().await;
            let found = self.holding(walk.next()).await?;
            drop(permit);
            match found {
                Ok(Some(portion)) => gathered.add(from, self.narrowed(tier, index, portion)?),
                Ok(None) => break,
                Err(WalkError::Store(error)) => return Err(error.into()),
                Err(WalkError::Impossible(error)) => {
                    self.receipt.tiers[index].error = Some(error);
                    return Err(Stop::GiveUp);
                }
            }
            if gathered.len() >= limit.saturating_mul(tier.tier.capabilities().concurrency.get()) {
                let full = gathered.take_full_calls(limit);
                self.have_purged(index, tier, full).await?;
                self.stand_at(gathered.place().unwrap_or(walk.place()));
                self.save().await?;
            }
        }
        self.have_purged(index, tier, gathered.take_all()).await?;
        self.stand_at(walk.place());
        // Before it counts as accepted: whoever takes over has to wait for it to be carried out.
        self.save().await?;
        if self.receipt.progress.refused {
            return Err(Stop::GiveUp);
        }
        self.receipt.tiers[index].state = TierState::Accepted;
        self.reach(Milestone::Purged);
        Ok(())
    }

    fn stand_at(&mut self, place: &Place) {
        self.receipt.progress.target = place.target;
        self.receipt.progress.cursor.clone_from(&place.cursor);
        self.progressed();
    }

    /// What remains to be done of a portion, as the tier is told it.
    fn narrowed(
        &mut self,
        tier: &TierClient,
        index: usize,
        portion: Portion,
    ) -> Result<Vec<Target>, Stop> {
        if portion.escalated.is_some() {
            self.receipt.tiers[index].escalated = portion.escalated;
        }
        let deed = purged_from(tier, self.receipt.options.mode);
        let pages = self.not_done(portion.pages, &deed)?;
        let urls = pages.into_iter().map(Target::Url);
        Ok(portion.native.into_iter().chain(urls).collect())
    }

    /// Has targets purged, and takes note of what came of it.
    async fn have_purged(
        &mut self,
        index: usize,
        tier: &TierClient,
        targets: Vec<Target>,
    ) -> Result<(), Stop> {
        if targets.is_empty() {
            return Ok(());
        }
        self.receipt.tiers[index].state = TierState::Sent;
        let (mode, position) = (self.receipt.options.mode, self.position()?);
        let pages: Vec<PageUrl> = targets.iter().filter_map(page_of).cloned().collect();
        let ordered = self.holding(tier.purge(targets, mode, position));
        let outcome = ordered.await?.ok_or_else(|| Stop::Failed {
            error: format!("the call to {} broke down", tier.tier.name()),
            retry_after: None,
        })?;
        note_in(&mut self.receipt.tiers[index], &outcome);
        if let Some(error) = &outcome.failure {
            return Err(self.failed_call(index, error));
        }
        if let Some((target, reason)) = outcome.rejected.first() {
            let name = tier.tier.name();
            self.receipt.tiers[index].error = Some(format!("{name} refused {target}: {reason}"));
            self.receipt.progress.refused = true;
        }
        let observed = tier.tier.capabilities().observes_completion;
        let references = outcome.references.into_iter().filter(|_| observed);
        let references: Vec<Arc<str>> = references.collect();
        // Which of several calls a page was in is not known here, so whoever relies on it waits for all.
        self.note(&pages, &purged_from(tier, mode), &references)?;
        let known = &mut self.receipt.progress.references;
        known.extend(
            references
                .iter()
                .map(|reference| reference.as_ref().to_owned()),
        );
        Ok(())
    }

    /// The pages for which a deed remains to be done. A repeat is never spared. What somebody else did
    /// is waited for like one's own: that a tier took it on does not mean that it has carried it out.
    fn not_done(&mut self, urls: Vec<PageUrl>, deed: &Deed) -> Result<Vec<PageUrl>, Stop> {
        let position = self.position()?;
        let progress = &mut self.receipt.progress;
        if progress.repeated || !progress.mourned.is_empty() {
            return Ok(urls);
        }
        let mut remaining = Vec::new();
        for url in urls {
            let least = position.generation_of(&url);
            let Some(done) = self.shared.done.record(&url, deed, least) else {
                remaining.push(url);
                continue;
            };
            for reference in done.references.iter() {
                if !progress
                    .references
                    .iter()
                    .any(|known| **known == **reference)
                {
                    progress.references.push(reference.as_ref().to_owned());
                }
            }
        }
        Ok(remaining)
    }

    fn note(&self, urls: &[PageUrl], deed: &Deed, references: &[Arc<str>]) -> Result<(), Stop> {
        let position = self.position()?;
        let references: Arc<[Arc<str>]> = references.into();
        for url in urls {
            let generation = position.generation_of(url);
            self.shared
                .done
                .note(url, deed.clone(), generation, Arc::clone(&references));
        }
        Ok(())
    }

    /// What a tier's error means for the revalidation: to try again, or, where it refused for good, to
    /// give the tier up. Whoever mends what it refused can replay the dead letter.
    pub(crate) fn failed_call(&mut self, index: usize, error: &ConnectorError) -> Stop {
        let text = chain(error);
        if error.is_retryable() {
            return Stop::Failed {
                error: text,
                retry_after: error.retry_after(),
            };
        }
        self.receipt.tiers[index].error = Some(text);
        Stop::GiveUp
    }

    /// Asks for the whole again after the delay that the caller chose, once.
    fn repeat_if_asked(&mut self) -> Result<(), Stop> {
        let Some(delay) = self.receipt.options.second_purge else {
            return Ok(());
        };
        if std::mem::replace(&mut self.receipt.progress.repeated, true) {
            return Ok(());
        }
        self.purge_foreign_tiers_again();
        Err(Stop::Later(delay))
    }

    /// Queues the tiers that keep copies of their own to be purged once more.
    pub(crate) fn purge_foreign_tiers_again(&mut self) {
        for (tier, receipt) in self.shared.tiers.iter().zip(&mut self.receipt.tiers) {
            if tier.tier.capabilities().foreign && receipt.state != TierState::Failed {
                receipt.state = TierState::Queued;
            }
        }
        self.restart_walk();
    }
}

/// What has been found and not been sent, and where each part of it was found.
#[derive(Debug, Default)]
struct Gathered {
    targets: VecDeque<Target>,
    /// Where the walk stood before it found the next so many targets.
    found_from: VecDeque<(Place, usize)>,
}

impl Gathered {
    fn add(&mut self, from: Place, targets: Vec<Target>) {
        if !targets.is_empty() {
            self.found_from.push_back((from, targets.len()));
            self.targets.extend(targets);
        }
    }

    fn len(&self) -> usize {
        self.targets.len()
    }

    /// Where to begin again so as to find everything that is still here.
    fn place(&self) -> Option<&Place> {
        self.found_from.front().map(|(place, _)| place)
    }

    /// All but the pages at the end that would not fill a call.
    fn take_full_calls(&mut self, pages_per_call: usize) -> Vec<Target> {
        let pages = self.targets.iter().rev().map_while(page_of).count();
        self.take(self.len() - pages % pages_per_call)
    }

    fn take_all(&mut self) -> Vec<Target> {
        self.take(self.len())
    }

    fn take(&mut self, count: usize) -> Vec<Target> {
        let mut left = count;
        while let Some((_, found)) = self.found_from.front_mut() {
            if *found > left {
                *found -= left;
                break;
            }
            left -= *found;
            self.found_from.pop_front();
        }
        self.targets.drain(..count).collect()
    }
}

const fn page_of(target: &Target) -> Option<&PageUrl> {
    match target {
        Target::Url(url) => Some(url),
        _ => None,
    }
}

fn note_in(tier: &mut TierReceipt, outcome: &Outcome) {
    tier.calls += outcome.calls;
    tier.accepted += outcome.accepted;
    tier.rejected += outcome.rejected.len() as u64;
    if let Some(copies) = outcome.copies {
        *tier.copies.get_or_insert(0) += copies;
    }
}

/// The deed of purging pages from a tier by URL, as far as it can be purged as the caller wants: what
/// knows no stale copies drops them.
fn purged_from(tier: &TierClient, asked: Mode) -> Deed {
    let url = tier.tier.capabilities().url.as_ref();
    let mode = if url.is_some_and(|ability| ability.soft) {
        asked
    } else {
        Mode::Hard
    };
    Deed::Purged(tier.tier.name().to_owned(), mode)
}

/// The most pages in one call that purges by URL.
fn pages_per_call(can: &Capabilities) -> usize {
    let limit = can.url.as_ref().and_then(|ability| {
        let items = ability.items_per_call?.get();
        let each = usize::try_from(ability.items_per_target.get()).unwrap_or(usize::MAX);
        Some((items / each).max(1))
    });
    limit.unwrap_or(MOST_AT_ONCE).min(MOST_AT_ONCE)
}
