//! Purging the tiers, nearest the origin first.

use std::sync::Arc;

use isr_core::{
    Capabilities, CdnConnector, ConnectorError, Event, Milestone, Mode, PageUrl, PurgeBatch,
    Target, TierState,
};

use crate::done::Deed;
use crate::revalidation::{Run, Stop};

impl Run {
    /// Purges every tier that has not been purged, and waits for those that say when they are done.
    pub(crate) async fn purge(&mut self) -> Result<(), Stop> {
        for index in 0..self.shared.parts.tiers.len() {
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
        let tier = Arc::clone(&self.shared.parts.tiers[index]);
        let purged = match self.purge_tier(index, &tier).await {
            Ok(()) => self.confirm_tier(index, &tier).await,
            stop => stop,
        };
        match purged {
            Ok(()) => {
                self.receipt.tiers[index].error = None;
                self.progressed();
            }
            Err(Stop::Failed { error, retry_after }) => {
                self.receipt.tiers[index].error = Some(error.clone());
                if self.receipt.failures + 1 < self.shared.options.attempts {
                    return Err(Stop::Failed { error, retry_after });
                }
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

    /// Sends every purge call that a tier needs, and saves after each how far it has come.
    async fn purge_tier(&mut self, index: usize, tier: &Arc<dyn CdnConnector>) -> Result<(), Stop> {
        let targets = self.receipt.targets.as_slice().to_vec();
        let capabilities = tier.capabilities().clone();
        while let Some(target) = targets.get(self.receipt.progress.target) {
            if capabilities.takes(target) {
                let batch = native_batch(&targets[self.receipt.progress.target..], &capabilities);
                self.call(index, tier, batch.clone()).await?;
                self.receipt.progress.target += batch.len();
            } else if capabilities.purge_url {
                self.purge_pages(index, tier, target).await?;
            } else {
                let (name, kind) = (tier.name(), target.kind());
                self.receipt.tiers[index].error =
                    Some(format!("{name} can purge neither by {kind} nor by URL"));
                return Err(Stop::GiveUp);
            }
            self.progressed();
            self.save().await?;
        }
        self.receipt.tiers[index].state = TierState::Accepted;
        self.reach(Milestone::Purged);
        Ok(())
    }

    /// Purges one chunk of a target's pages, and moves on behind it.
    async fn purge_pages(
        &mut self,
        index: usize,
        tier: &Arc<dyn CdnConnector>,
        target: &Target,
    ) -> Result<(), Stop> {
        let capabilities = tier.capabilities();
        let (store, chunk) = (&self.shared.parts.store, self.shared.options.chunk);
        let found = store
            .urls_for(target, self.receipt.progress.cursor.as_ref(), chunk)
            .await?;
        let deed = Deed::Purged(
            tier.name().to_owned(),
            mode_for(capabilities, self.receipt.options.mode),
        );
        let pages = self.not_done(found.urls, &deed)?;
        for some in pages.chunks(call_limit(capabilities)) {
            let batch = some.iter().cloned().map(Target::Url).collect();
            let reference = self.call(index, tier, batch).await?;
            self.note(some, &deed, reference.as_ref())?;
        }
        self.receipt.progress.cursor = found.next;
        if self.receipt.progress.cursor.is_none() {
            self.receipt.progress.target += 1;
        }
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
            let unasked =
                |reference: &Arc<str>| !progress.references.iter().any(|r| **r == **reference);
            if let Some(reference) = done.reference.filter(unasked) {
                progress.references.push(reference.as_ref().to_owned());
            }
        }
        Ok(remaining)
    }

    fn note(
        &self,
        urls: &[PageUrl],
        deed: &Deed,
        reference: Option<&Arc<str>>,
    ) -> Result<(), Stop> {
        let position = self.position()?;
        for url in urls {
            let generation = position.generation_of(url);
            self.shared
                .done
                .note(url, deed.clone(), generation, reference.cloned());
        }
        Ok(())
    }

    /// Makes one purge call, and says what the tier can be asked by whether it has been carried out.
    async fn call(
        &mut self,
        index: usize,
        tier: &Arc<dyn CdnConnector>,
        targets: Vec<Target>,
    ) -> Result<Option<Arc<str>>, Stop> {
        let items = targets.len() as u64;
        let mode = mode_for(tier.capabilities(), self.receipt.options.mode);
        let Some(batch) = PurgeBatch::new(targets, mode, self.position()?) else {
            return Ok(None);
        };
        self.receipt.tiers[index].state = TierState::Sent;
        self.receipt.tiers[index].calls += 1;
        let answer = self.holding(tier.purge(&batch)).await?;
        self.shared.record(&Event::PurgeCalled {
            connector: tier.name(),
            ok: answer.is_ok(),
            items,
        });
        let receipt = answer.map_err(|error| self.failed_call(index, &error))?;
        let state = &mut self.receipt.tiers[index];
        state.accepted += receipt.accepted;
        state.rejected += receipt.rejected.len() as u64;
        if let Some((target, reason)) = receipt.rejected.first() {
            state.error = Some(format!("{} refused {target}: {reason}", tier.name()));
            return Err(Stop::GiveUp);
        }
        let reference = receipt
            .reference
            .filter(|_| tier.capabilities().observes_completion)
            .map(|reference| Arc::from(reference.0));
        let references = &mut self.receipt.progress.references;
        references.extend(reference.as_deref().map(str::to_owned));
        Ok(reference)
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
        for (tier, receipt) in self.shared.parts.tiers.iter().zip(&mut self.receipt.tiers) {
            if tier.capabilities().foreign && receipt.state != TierState::Failed {
                receipt.state = TierState::Queued;
            }
        }
        self.restart_walk();
    }
}

/// The soonest a tier can be purged as the caller wants: what knows no stale copies drops them.
fn mode_for(capabilities: &Capabilities, asked: Mode) -> Mode {
    if capabilities.soft { asked } else { Mode::Hard }
}

pub(crate) fn call_limit(capabilities: &Capabilities) -> usize {
    capabilities
        .items_per_call
        .map_or(usize::MAX, std::num::NonZeroUsize::get)
}

/// The targets at the front that a tier takes as they are, as many as one call holds.
fn native_batch(targets: &[Target], capabilities: &Capabilities) -> Vec<Target> {
    let native = targets
        .iter()
        .take_while(|target| capabilities.takes(target));
    native.take(call_limit(capabilities)).cloned().collect()
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
