//! The store comes back with an older state, and what is done about that.

use std::time::Duration;

use isr_core::{Mode, RevalidateOptions, Targets};
use isr_graph::{MemorySnapshot, MemoryStore};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::random::stream;
use crate::rule::Rule;
use crate::world::World;

/// How long after a loss everything is purged: every sender of before has reported again by then, or cannot,
/// and has ended what it sent (its lease is 5 s); and what it sent has been stored.
const PURGED_AFTER: Duration = Duration::from_secs(9);

/// What is known of earlier states of the store, and chosen for when it loses the last one.
#[derive(Debug)]
pub(crate) struct Loss {
    empty: MemorySnapshot,
    backup: MemorySnapshot,
    /// Whether everything is purged afterwards, or foreign copies are left to age.
    purge_all: bool,
    purge_at: Option<Instant>,
}

impl Loss {
    pub(crate) fn new(seed: u64, store: &MemoryStore) -> Self {
        let mut random = stream(seed, "loss", 0);
        Self {
            empty: store.snapshot(),
            backup: store.snapshot(),
            purge_all: random.random_bool(0.6),
            purge_at: None,
        }
    }

    pub(crate) fn is_followed_by_a_purge(&self) -> bool {
        self.purge_all
    }

    pub(crate) fn is_to_be_purged(&self) -> bool {
        self.purge_at.is_some()
    }

    pub(crate) fn back_up(&mut self, store: &MemoryStore) {
        self.backup = store.snapshot();
    }
}

impl World {
    pub(crate) fn lose_history(&mut self, random: &mut StdRng) {
        let is_empty = random.random_bool(0.5);
        if !self.net.strikes(Fault::LostHistory, true) {
            return;
        }
        let what = if is_empty {
            "nothing"
        } else {
            "an older state"
        };
        self.note(format_args!("the store comes back with {what}"));
        let loss = &mut self.loss;
        let store = &self.net.store;
        store.restore(if is_empty { &loss.empty } else { &loss.backup });
        if self.net.rules.hold(Rule::NewEpoch) {
            store.begin_epoch();
        }
        let purge_at = Instant::now() + PURGED_AFTER;
        self.net.truth.lose_history(purge_at);
        loss.purge_at = Some(purge_at).filter(|_| loss.purge_all);
    }

    /// Has everything purged once that is due after a loss.
    pub(crate) fn purge_after_loss(&mut self) {
        if self.loss.purge_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.loss.purge_at = None;
        if !self.net.rules.hold(Rule::PurgeAfterLoss) {
            self.net.truth.recover();
            return;
        }
        let options = RevalidateOptions {
            mode: Mode::Hard,
            warm: false,
            replica_lag: Some(self.net.lag).filter(|lag| !lag.is_zero()),
            second_purge: self.net.second_purge(),
            ..RevalidateOptions::default()
        };
        let covers = self.net.truth.data();
        self.note(format_args!("everything is going to be purged"));
        self.put_out((Targets::everything(), options), covers);
    }
}
