//! Tiers that were given up on because they could not be reached, and are back.
//!
//! Such a tier still holds what it was not purged of, and serves it again as soon as visitors reach it.
//! So it is looked at now and then, and everything that it has missed is carried out once it answers.

use std::collections::HashMap;

use isr_core::{
    Cursor, DeadLetter, JobKey, Phase, Receipt, Store, StoreError, Tier, TierReceipt, TierState,
};

/// Dead letters looked at at a time, and chunks of them in one round: where there are more, the next round
/// goes on.
const LOOKED_AT: usize = 128;
const CHUNKS_A_ROUND: usize = 64;

/// Replays every revalidation and page that waits for nothing but tiers which answer again; says how many
/// there were. `after` is where the round before stopped, and where this one does.
pub(crate) async fn replay_for_tiers_that_are_back(
    store: &dyn Store,
    tiers: &[Tier],
    after: &mut Option<Cursor>,
) -> Result<u64, StoreError> {
    let mut answers = Answers::new(tiers);
    let mut replayed = 0;
    for _ in 0..CHUNKS_A_ROUND {
        let chunk = store.dead_letters(after.as_ref(), LOOKED_AT).await?;
        let back = those_that_are_back(store, chunk.letters, &mut answers).await?;
        if !back.is_empty() {
            replayed += store.replay(&back).await?;
        }
        *after = chunk.next;
        if after.is_none() {
            break;
        }
        tokio::task::yield_now().await;
    }
    if replayed > 0 {
        tracing::info!(
            replayed,
            "tiers answer again: purging them of what they have missed"
        );
    }
    Ok(replayed)
}

async fn those_that_are_back(
    store: &dyn Store,
    letters: Vec<DeadLetter>,
    answers: &mut Answers<'_>,
) -> Result<Vec<JobKey>, StoreError> {
    let mut back = Vec::new();
    for letter in letters {
        let is_back = match &letter.job {
            JobKey::Revalidation(id) => match store.receipt(id).await? {
                Some(receipt) => answers.every_away(&receipt).await,
                None => false,
            },
            // What is refused for good is given up on at once.
            JobKey::Page(_) if letter.attempts > 1 => answers.every_foreign().await,
            JobKey::Page(_) => false,
        };
        if is_back {
            back.push(letter.job);
        }
    }
    Ok(back)
}

/// The tiers of a receipt that were given up on for not being reached.
fn away(receipt: &Receipt) -> impl Iterator<Item = &TierReceipt> {
    let given_up = receipt.phase == Phase::Failed;
    let tiers = receipt.tiers.iter();
    tiers.filter(move |tier| given_up && tier.state == TierState::Failed && tier.away)
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

    /// Whether a receipt waits for tiers that were away, and every one of them answers.
    async fn every_away(&mut self, receipt: &Receipt) -> bool {
        let mut some = false;
        for tier in away(receipt) {
            some = true;
            if !self.answers(&tier.connector).await {
                return false;
            }
        }
        some
    }

    /// Whether every tier answers from which pages are purged one by one.
    async fn every_foreign(&mut self) -> bool {
        let tiers = self.tiers;
        for tier in tiers.iter().filter(|tier| tier.capabilities().foreign) {
            if !self.answers(tier.name()).await {
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
            // Whatever it says: some findings are about rights that purging does not need. One that refuses
            // what it has missed is not asked again by itself.
            Some(tier) => tier.connector.check().await.is_ok(),
            None => false,
        };
        self.known.insert(connector.to_owned(), answers);
        answers
    }
}
