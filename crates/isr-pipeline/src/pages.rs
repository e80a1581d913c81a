//! Single pages that are to be purged and warmed again.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Claim, Claimed, Completion, ConnectorError, Event, LeavePage, Mode, PageReason, PageUrl,
    PageWork, Position, Reference, StoreError, Target, WarmRequest, chain,
};

use crate::backoff;
use crate::client::TierClient;
use crate::confirm::{LONGEST_COMPLETION, not_carried_out};
use crate::warm::{places, warm_and_note};
use crate::worker::Shared;

/// Why a tier did not purge a page.
#[derive(Clone, Debug)]
struct Failure {
    error: String,
    /// Whether it may do so later.
    retryable: bool,
    /// The delay that the tier asked for, if it did.
    retry_after: Option<Duration>,
}

impl Failure {
    fn passing(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            retryable: true,
            retry_after: None,
        }
    }

    fn lasting(error: impl Into<String>) -> Self {
        Self {
            retryable: false,
            ..Self::passing(error)
        }
    }
}

impl From<&ConnectorError> for Failure {
    fn from(error: &ConnectorError) -> Self {
        Self {
            error: chain(error),
            retryable: error.is_retryable(),
            retry_after: error.retry_after(),
        }
    }
}

/// Claimed pages.
#[derive(Debug)]
pub(crate) struct Pages {
    shared: Arc<Shared>,
    claimed: Vec<Claimed<PageWork>>,
}

impl Pages {
    pub(crate) fn new(shared: Arc<Shared>, claimed: Vec<Claimed<PageWork>>) -> Self {
        Self { shared, claimed }
    }

    /// Purges what was in flight, warms everything, and leaves the pages.
    pub(crate) async fn run(self) {
        if let Err(error) = self.work().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "left pages to whoever claims them next"
            );
            self.shared
                .record(&Event::StoreFailed { operation: "pages" });
        }
    }

    async fn work(&self) -> Result<(), StoreError> {
        let store = &self.shared.parts.store;
        let position = store.position().await?;
        let failed = self
            .holding(self.purge_as_often_as_needed(&position))
            .await??;
        self.holding(self.warm_in_time(&failed)).await??;
        let left: Vec<(Claim, LeavePage)> = self
            .claimed
            .iter()
            .map(|page| {
                (
                    page.claim.clone(),
                    self.leave(page, failed.get(&page.work.url)),
                )
            })
            .collect();
        store.leave_pages(&left).await
    }

    /// Works on something while the claims are kept up.
    async fn holding<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let Shared { parts, options, .. } = &*self.shared;
        let claims: Vec<Claim> = self.claimed.iter().map(|page| page.claim.clone()).collect();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = parts.clock.sleep(options.lease / 3) => {
                    parts.store.renew_pages(&claims, options.lease).await?;
                }
            }
        }
    }

    fn leave(&self, page: &Claimed<PageWork>, failure: Option<&Failure>) -> LeavePage {
        let options = &self.shared.options;
        match failure {
            None => LeavePage::Done,
            Some(failure) if !failure.retryable || page.attempt >= options.attempts => {
                LeavePage::Dead {
                    error: failure.error.clone(),
                }
            }
            Some(failure) => LeavePage::Later {
                delay: backoff::delay(options, page.attempt, failure.retry_after),
            },
        }
    }

    /// Purges what was in flight, and once more where tiers re-cache among themselves: an inner one may have
    /// given it to an outer one between the two being purged.
    async fn purge_as_often_as_needed(
        &self,
        position: &Position,
    ) -> Result<HashMap<PageUrl, Failure>, StoreError> {
        let mut failed = self.purge(position).await?;
        let Shared { parts, options, .. } = &*self.shared;
        let mut reasons = self.claimed.iter().map(|page| page.work.reason);
        if let Some(delay) = options.second_purge
            && reasons.any(|reason| reason == PageReason::InFlight)
        {
            parts.clock.sleep(delay).await;
            for (url, failure) in self.purge(position).await? {
                note(&mut failed, url, failure);
            }
        }
        Ok(failed)
    }

    /// Purges what was in flight from every tier that may have kept it; says what failed.
    ///
    /// It may have been made before a hard revalidation, so it is dropped, not marked stale. What was
    /// superseded left as `no-store` and is kept nowhere.
    async fn purge(&self, position: &Position) -> Result<HashMap<PageUrl, Failure>, StoreError> {
        let in_flight = self
            .claimed
            .iter()
            .filter(|page| page.work.reason == PageReason::InFlight);
        let urls: Vec<PageUrl> = in_flight.map(|page| page.work.url.clone()).collect();
        let mut failed = HashMap::new();
        if urls.is_empty() {
            return Ok(failed);
        }
        for tier in self.shared.foreign_tiers() {
            let kept = urls.iter().filter(|url| tier.tier.hosts.serve_page(url));
            let kept: Vec<PageUrl> = kept.cloned().collect();
            let targets = self.targets(tier, &kept).await?;
            match self.purge_from(tier, targets, position).await {
                Ok(refused) => refused
                    .into_iter()
                    .for_each(|(url, failure)| note(&mut failed, url, failure)),
                Err(failure) => kept
                    .into_iter()
                    .for_each(|url| note(&mut failed, url, failure.clone())),
            }
        }
        Ok(failed)
    }

    /// What to purge a tier by so that these pages go: their URLs, or else all their tags. A page without
    /// tags is given to no tier that is purged by nothing else (`Fronting::label`).
    async fn targets(
        &self,
        tier: &TierClient,
        urls: &[PageUrl],
    ) -> Result<Vec<Target>, StoreError> {
        if tier.tier.capabilities().url.is_some() {
            return Ok(urls.iter().cloned().map(Target::Url).collect());
        }
        let mut tags = BTreeSet::new();
        for url in urls {
            let known = self.shared.parts.store.tags_for(url).await?;
            let bound = known.into_iter().flat_map(|known| known.tags);
            tags.extend(bound.map(|bound| Target::Tag(bound.tag)));
        }
        Ok(tags.into_iter().collect())
    }

    /// Purges targets, and says which pages the tier refused while it took the others on.
    async fn purge_from(
        &self,
        tier: &TierClient,
        targets: Vec<Target>,
        position: &Position,
    ) -> Result<Vec<(PageUrl, Failure)>, Failure> {
        let (name, can) = (tier.tier.name(), tier.tier.capabilities());
        if let Some(target) = targets.iter().find(|target| !can.takes(target)) {
            let error = format!("{name} cannot purge by {}", target.kind());
            return Err(Failure::lasting(error));
        }
        let purged = tier.purge(targets, Mode::Hard, position.clone()).await;
        let outcome =
            purged.ok_or_else(|| Failure::passing(format!("the call to {name} broke down")))?;
        if let Some(error) = &outcome.failure {
            return Err(Failure::from(&**error));
        }
        let mut refused = Vec::new();
        for (target, reason) in outcome.rejected {
            let failure = Failure::lasting(format!("{name} refused {target}: {reason}"));
            match target {
                Target::Url(url) => refused.push((url, failure)),
                // Which pages have the tag is not told apart here.
                _ => return Err(failure),
            }
        }
        if can.observes_completion {
            for reference in outcome.references {
                self.completed(tier, &Reference(reference.as_ref().to_owned()))
                    .await?;
            }
        }
        Ok(refused)
    }

    /// Waits until a tier has carried a purge out.
    async fn completed(&self, tier: &TierClient, reference: &Reference) -> Result<(), Failure> {
        let clock = &self.shared.parts.clock;
        let until = clock.now() + LONGEST_COMPLETION;
        loop {
            let answer = tier.connector().poll(reference).await;
            match answer.map_err(|error| Failure::from(&error))? {
                Completion::Complete => return Ok(()),
                Completion::Pending { .. } if clock.now() >= until => {
                    return Err(Failure::passing(not_carried_out(tier.tier.name())));
                }
                Completion::Pending { retry_after } => clock.sleep(retry_after).await,
            }
        }
    }

    /// Warms pages for as long as a lease lasts: what is not warm then is left to visitors, who find no old
    /// copy.
    async fn warm_in_time(&self, failed: &HashMap<PageUrl, Failure>) -> Result<(), StoreError> {
        let Shared { parts, options, .. } = &*self.shared;
        tokio::select! {
            biased;
            warmed = self.warm(failed) => warmed,
            () = parts.clock.sleep(options.lease) => Ok(()),
        }
    }

    /// Warms the pages that were purged. That one cannot be warmed loses nothing, so it is not tried
    /// again beyond the crawler's own attempts.
    async fn warm(&self, failed: &HashMap<PageUrl, Failure>) -> Result<(), StoreError> {
        let places = places(&self.shared, &*self.shared.parts.store).await?;
        let purged = self
            .claimed
            .iter()
            .filter(|page| !failed.contains_key(&page.work.url));
        let requests: Vec<WarmRequest> = purged
            .flat_map(|page| places.iter().map(move |via| (&page.work, via)))
            .map(|(work, via)| WarmRequest {
                url: work.url.clone(),
                via: via.clone(),
                least: Some(work.generation),
            })
            .collect();
        warm_and_note(&self.shared, &requests).await;
        Ok(())
    }
}

/// Notes that a page was not purged from a tier. As long as one of them may do it later, the page is tried
/// again.
fn note(failed: &mut HashMap<PageUrl, Failure>, url: PageUrl, failure: Failure) {
    let known = failed.entry(url).or_insert_with(|| failure.clone());
    if failure.retryable && !known.retryable {
        *known = failure;
    }
}
