//! Purging the tiers, nearest the origin first.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    ConnectorError, Milestone, Mode, PageUrl, Progress, Target, TierReceipt, TierState, chain,
};

use crate::client::{Outcome, TierClient};
use crate::done::Deed;
use crate::gathered::{Gathered, page_of};
use crate::revalidation::{Run, Stop};
use crate::under_way::{Ordered, Portions, UnderWay};
use crate::walk::{Place, Portion, Walk, WalkError};

/// Targets refused, and none taken on, after which a tier is not asked for the rest of them.
const REFUSED_THROUGHOUT: u64 = 1_000;

impl Run {
    /// Purges every tier that has not been purged, and waits for those that say when they are done.
    pub(crate) async fn purge(&mut self) -> Result<(), Stop> {
        // Nobody outside is asked for anything by what is under this system's generations, so it does not wait
        // for anybody's word.
        self.purge_those(false).await?;
        self.weigh().await?;
        self.purge_those(true).await?;
        if self.is_purged() {
            self.reach(Milestone::Confirmed).await;
        }
        self.repeat_if_asked()
    }

    /// Purges the tiers that have not been purged, of those that keep copies of their own or of the others.
    async fn purge_those(&mut self, foreign: bool) -> Result<(), Stop> {
        for index in 0..self.shared.tiers.len() {
            let is_one = self.shared.tiers[index].tier.capabilities().foreign == foreign;
            if is_one
                && matches!(
                    self.receipt.tiers[index].state,
                    TierState::Queued | TierState::Sent
                )
            {
                self.purge_tier_or_fail(index).await?;
            }
        }
        Ok(())
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
            Err(Stop::GiveUp) => {
                // It answered: there is nothing to wait for until somebody mends what it refused.
                self.receipt.tiers[index].away = false;
                self.fail_tier(index);
            }
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
        let mut under_way = UnderWay::default();
        let purged = self.walk_and_order(index, tier, &mut under_way).await;
        if let Err(Stop::Failed { .. } | Stop::GiveUp) = purged {
            // What is under way counts all the same, though the walk begins again before it.
            let error = self.receipt.tiers[index].error.clone();
            while let Some(order) = under_way.take_first() {
                let _ = self.answered(index, tier, order).await;
            }
            self.receipt.tiers[index].error = error;
        }
        purged?;
        // Before it counts as accepted: whoever takes over has to wait for it to be carried out.
        self.save().await?;
        if self.receipt.progress.refused {
            return Err(Stop::GiveUp);
        }
        self.receipt.tiers[index].state = TierState::Accepted;
        if self.is_purged() {
            self.reach(Milestone::Purged).await;
        }
        Ok(())
    }

    /// Walks over everything that the tier may keep, and has it purged while it walks on.
    async fn walk_and_order(
        &mut self,
        index: usize,
        tier: &TierClient,
        under_way: &mut UnderWay,
    ) -> Result<(), Stop> {
        let shared = Arc::clone(&self.shared);
        let targets = self.receipt.targets.as_slice().to_vec();
        let portions = Portions::of(tier.tier.capabilities());
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
                Ok(Some(portion)) => {
                    let mut targets = self.narrowed(tier, index, portion)?;
                    targets.retain(|target| under_way.is_new(target));
                    gathered.add(from, targets);
                }
                Ok(None) => break,
                Err(WalkError::Store(error)) => return Err(error.into()),
                Err(WalkError::Impossible(error)) => {
                    self.receipt.tiers[index].error = Some(error);
                    return Err(Stop::GiveUp);
                }
            }
            loop {
                let from = gathered.place().unwrap_or(walk.place()).clone();
                let Some(full) = gathered.take_full_calls(portions) else {
                    break;
                };
                self.order(index, tier, under_way, from, full).await?;
            }
        }
        let from = gathered.place().unwrap_or(walk.place()).clone();
        let rest = gathered.take_all();
        self.order(index, tier, under_way, from, rest).await?;
        while !under_way.is_empty() {
            self.first_answered(index, tier, under_way, walk.place())
                .await?;
        }
        self.stand_at(walk.place());
        Ok(())
    }

    /// Waits for the order that was made first, and saves that everything before the next one has been
    /// purged, or everything before `rest` if it was the last.
    async fn first_answered(
        &mut self,
        index: usize,
        tier: &TierClient,
        under_way: &mut UnderWay,
        rest: &Place,
    ) -> Result<(), Stop> {
        let Some(order) = under_way.take_first() else {
            return Ok(());
        };
        self.answered(index, tier, order).await?;
        self.stand_at(under_way.first().map_or(rest, |next| &next.from));
        self.save().await
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
        if let Some(more) = portion.escalated {
            let said = &mut self.receipt.tiers[index].escalated;
            let before = said.take().filter(|said| !said.contains(&more));
            *said = Some(before.map_or_else(|| more.clone(), |said| format!("{said}; {more}")));
        }
        let deed = self.purged_from(tier);
        let pages = self.not_done(portion.pages, &deed)?;
        let urls = pages.into_iter().map(Target::Url);
        Ok(portion.native.into_iter().chain(urls).collect())
    }

    /// Asks for targets to be purged that were found from a place on, once not too much is under way.
    async fn order(
        &mut self,
        index: usize,
        tier: &TierClient,
        under_way: &mut UnderWay,
        from: Place,
        targets: Vec<Target>,
    ) -> Result<(), Stop> {
        if targets.is_empty() {
            return Ok(());
        }
        let can = tier.tier.capabilities();
        while under_way.len() >= Portions::of(can).orders {
            self.first_answered(index, tier, under_way, &from).await?;
        }
        if can.observes_completion {
            // Not given up meanwhile: what has been saved of the walk may be some orders behind, and they
            // would be made again.
            self.confirm_so_far(index, tier.connector(), Duration::MAX)
                .await?;
        }
        self.receipt.tiers[index].state = TierState::Sent;
        let (mode, position) = (self.receipt.purge_mode(), self.position()?);
        under_way.push(Ordered {
            from,
            pages: targets.iter().filter_map(page_of).cloned().collect(),
            answer: tier.order(targets, mode, position),
        });
        Ok(())
    }

    /// Waits for an order, and takes note of what came of it.
    async fn answered(
        &mut self,
        index: usize,
        tier: &TierClient,
        order: Ordered,
    ) -> Result<(), Stop> {
        let outcome = match order.answer {
            Some(answer) => self.holding(answer).await?.ok(),
            None => None,
        };
        let outcome = outcome.ok_or_else(|| Stop::Failed {
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
            let TierReceipt {
                accepted, rejected, ..
            } = self.receipt.tiers[index];
            if accepted == 0 && rejected >= REFUSED_THROUGHOUT {
                return Err(Stop::GiveUp);
            }
        }
        let observed = tier.tier.capabilities().observes_completion;
        let references = outcome.references.into_iter().filter(|_| observed);
        let references: Vec<Arc<str>> = references.collect();
        // Which of several calls a page was in is not known here, so whoever relies on it waits for all.
        let deed = self.purged_from(tier);
        let is_refused = |url: &PageUrl| {
            let refused = outcome.rejected.iter();
            refused
                .filter_map(|(target, _)| page_of(target))
                .any(|u| u == url)
        };
        let purged = order.pages.into_iter().filter(|url| !is_refused(url));
        self.note(&purged.collect::<Vec<_>>(), &deed, &references)?;
        let known = &mut self.receipt.progress.references;
        known.extend(
            references
                .iter()
                .map(|reference| reference.as_ref().to_owned()),
        );
        Ok(())
    }

    /// The pages for which a deed remains to be done. What somebody else did is waited for like one's own:
    /// that a tier took it on does not mean that it has carried it out.
    fn not_done(&mut self, urls: Vec<PageUrl>, deed: &Deed) -> Result<Vec<PageUrl>, Stop> {
        let position = self.position()?;
        let progress = &mut self.receipt.progress;
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

    /// The deed of purging pages from a tier by URL, as far as it can be purged as the caller wants: what
    /// knows no stale copies drops them. Nobody's purge before a repeat is one for it.
    fn purged_from(&self, tier: &TierClient) -> Deed {
        let url = tier.tier.capabilities().url.as_ref();
        let mode = if url.is_some_and(|ability| ability.soft) {
            self.receipt.purge_mode()
        } else {
            Mode::Hard
        };
        let Progress {
            repeated, mourned, ..
        } = &self.receipt.progress;
        let repeats = usize::from(*repeated) + mourned.len();
        Deed::Purged {
            tier: tier.tier.name().to_owned(),
            mode,
            again: (repeats > 0).then_some((self.receipt.id, repeats)),
        }
    }

    fn note(&self, urls: &[PageUrl], deed: &Deed, references: &[Arc<str>]) -> Result<(), Stop> {
        let position = self.position()?;
        let references: Arc<[Arc<str>]> = references.into();
        for url in urls {
            let generation = position.generation_of(url);
            self.shared
                .done
                .note(url, deed, generation, Arc::clone(&references));
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

fn note_in(tier: &mut TierReceipt, outcome: &Outcome) {
    tier.calls += outcome.calls;
    tier.accepted += outcome.accepted;
    tier.rejected += outcome.rejected.len() as u64;
    if let Some(copies) = outcome.copies {
        *tier.copies.get_or_insert(0) += copies;
    }
}
