//! Tiers that were given up on because they could not be reached, and are back.
//!
//! Such a tier still holds what it was not purged of, and serves it again as soon as visitors reach it.
//! So it is looked at now and then, and everything that it has missed is carried out once it answers.

use std::collections::HashMap;

use isr_core::{JobKey, Phase, Receipt, Store, StoreError, Tier, TierReceipt, TierState};

/// Dead letters looked at in one round.
const LOOKED_AT: usize = 1_000;

/// Replays every revalidation that waits for nothing but tiers which answer again; says how many.
pub(crate) async fn replay_for_tiers_that_are_back(
    store: &dyn Store,
    tiers: &[Tier],
) -> Result<u64, StoreError> {
    let mut missed = Vec::new();
    for letter in store.dead_letters(LOOKED_AT).await? {
        let JobKey::Revalidation(id) = &letter.job else {
            continue;
        };
        if let Some(receipt) = store.receipt(id).await?
            && receipt.phase == Phase::Failed
            && away(&receipt).next().is_some()
        {
            missed.push((letter.job, receipt));
        }
    }
    let mut answers = Answers::new(tiers);
    let mut back = Vec::new();
    for (job, receipt) in missed {
        if answers.all(&receipt).await {
            back.push(job);
        }
    }
    if back.is_empty() {
        return Ok(0);
    }
    let replayed = store.replay(&back).await?;
    tracing::info!(
        replayed,
        "tiers answer again: purging them of what they have missed"
    );
    Ok(replayed)
}

/// The tiers of a receipt that were given up on for not being reached.
fn away(receipt: &Receipt) -> impl Iterator<Item = &TierReceipt> {
    let tiers = receipt.tiers.iter();
    tiers.filter(|tier| tier.state == TierState::Failed && tier.away)
}

/// Which tiers answer, each asked once.
struct Answers<'t> {
    tiers: &'t [Tier],
    known: HashMap<String, bool>,
}

impl<'t> Answers<'t> {
    fn new(tiers: &'t [Tier]) -> Self {
        Self {
            tiers,
            known: HashMap::new(),
        }
    }

    /// Whether every tier that a receipt waits for answers.
    async fn all(&mut self, receipt: &Receipt) -> bool {
        for tier in away(receipt) {
            if !self.answers(&tier.connector).await {
                return false;
            }
        }
        true
    }

    async fn answers(&mut self, connector: &str) -> bool {
        if let Some(known) = self.known.get(connector) {
            return *known;
        }
        let tier = self.tiers.iter().find(|tier| tier.name() == connector);
        let answers = match tier {
            Some(tier) => tier.connector.check().await.is_ok(),
            None => false,
        };
        self.known.insert(connector.to_owned(), answers);
        answers
    }
}
