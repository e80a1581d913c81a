//! Refilling caches after a purge.

use std::sync::Arc;

use isr_core::{
    NotWarmed, PageUrl, Receipt, SenderRole, Store, StoreError, WarmOutcome, WarmReceipt,
    WarmRequest,
};

use crate::done::Deed;
use crate::revalidation::{Run, Stop};
use crate::worker::Shared;

/// Where caches are to be refilled: every live edge by its address, and, where tiers stand before
/// them, the public address.
pub(crate) async fn places(
    shared: &Shared,
    store: &dyn Store,
) -> Result<Vec<Option<String>>, StoreError> {
    let senders = store.senders().await?;
    let edges = senders
        .into_iter()
        .filter(|sender| sender.alive && sender.report.role == SenderRole::Edge)
        .filter_map(|sender| sender.report.address)
        .map(Some);
    let public = shared.foreign_tiers().next().map(|_| None);
    let mut places: Vec<Option<String>> = edges.chain(public).collect();
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

/// Notes in a receipt how requests ended.
fn note(warm: &mut WarmReceipt, requests: &[WarmRequest], outcomes: &[WarmOutcome]) {
    for (request, outcome) in requests.iter().zip(outcomes) {
        let detail = match outcome {
            WarmOutcome::Warmed { verified, .. } => {
                warm.warmed += 1;
                warm.verified += u64::from(*verified);
                continue;
            }
            WarmOutcome::Gone { status } => {
                warm.skipped += 1;
                format!("gone: status {status}")
            }
            WarmOutcome::Redirected { status } => {
                warm.skipped += 1;
                format!("moved: status {status}")
            }
            WarmOutcome::Failed { detail, .. } => {
                warm.failed += 1;
                detail.clone()
            }
        };
        if warm.not_warmed.len() < WarmReceipt::NAMED {
            let (url, via) = (request.url.clone(), request.via.clone());
            warm.not_warmed.push(NotWarmed { url, via, detail });
        }
    }
}

impl Run {
    /// Warms the pages of every target, chunk by chunk. A page that cannot be warmed is counted, and
    /// stands in nobody's way: visitors still find no old copy.
    pub(crate) async fn warm(&mut self) -> Result<(), Stop> {
        if !self.receipt.options.warm || self.shared.parts.warmer.is_none() {
            return Ok(());
        }
        let targets = self.receipt.targets.as_slice().to_vec();
        while let Some(target) = targets.get(self.receipt.progress.target) {
            let (store, chunk) = (&self.shared.parts.store, self.shared.options.warm_chunk);
            let cursor = self.receipt.progress.cursor.as_ref();
            let found = store.urls_for(target, cursor, chunk).await?;
            self.warm_pages(&found.urls).await?;
            self.receipt.progress.cursor = found.next;
            if self.receipt.progress.cursor.is_none() {
                self.receipt.progress.target += 1;
            }
            self.save().await?;
        }
        Ok(())
    }

    async fn warm_pages(&mut self, urls: &[PageUrl]) -> Result<(), Stop> {
        let position = self.position()?;
        let places = places(&self.shared, &*self.shared.parts.store).await?;
        let requests: Vec<WarmRequest> = urls
            .iter()
            .flat_map(|url| places.iter().map(move |via| (url, via)))
            .map(|(url, via)| WarmRequest {
                url: url.clone(),
                via: via.clone(),
                least: Some(position.generation_of(url)),
            })
            .collect();
        let (needed, unneeded) = split_done(&self.shared, requests);
        let outcomes = self.holding(warm_and_note(&self.shared, &needed)).await?;
        let Receipt { warm, .. } = &mut self.receipt;
        warm.skipped += unneeded;
        note(warm, &needed, &outcomes);
        Ok(())
    }
}

/// The requests that remain to be made, and how many need not be.
fn split_done(shared: &Shared, requests: Vec<WarmRequest>) -> (Vec<WarmRequest>, u64) {
    let all = requests.len();
    let remains = |request: &WarmRequest| {
        let deed = Deed::Warmed(request.via.clone());
        request
            .least
            .is_none_or(|least| !shared.done.covers(&request.url, &deed, least))
    };
    let needed: Vec<WarmRequest> = requests.into_iter().filter(remains).collect();
    let unneeded = (all - needed.len()) as u64;
    (needed, unneeded)
}

/// Makes requests, and remembers those that were seen to bring what was asked for.
pub(crate) async fn warm_and_note(shared: &Shared, requests: &[WarmRequest]) -> Vec<WarmOutcome> {
    let Some(warmer) = &shared.parts.warmer else {
        return Vec::new();
    };
    let outcomes = warmer.warm(requests).await;
    for (request, outcome) in requests.iter().zip(&outcomes) {
        if let (WarmOutcome::Warmed { verified: true, .. }, Some(least)) = (outcome, request.least)
        {
            shared.done.note(
                &request.url,
                &Deed::Warmed(request.via.clone()),
                least,
                Arc::default(),
            );
        }
    }
    outcomes
}
