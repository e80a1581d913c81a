//! The store comes back with an older state, and what is done about that.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{Mode, RevalidateOptions, Targets};
use isr_graph::{MemorySnapshot, MemoryStore};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::random::{below, stream};
use crate::rule::Rule;
use crate::world::World;

/// How long after a loss everything is purged: every sender of before has reported again by then, or cannot,
/// and has ended what it sent (its lease is 5 s); and what it sent has been stored.
const PURGED_AFTER: Duration = Duration::from_secs(9);

/// How much of the last is lost by a store that writes its changes down a moment later, in milliseconds.
const LAST_MOMENT: u64 = 150;

/// How much longer those are cut off who hear nothing of the last moment.
const SINCE_THEN: Duration = Duration::from_millis(100);

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
        let kind = random.random_range(0..4);
        let soon = below(random, LAST_MOMENT);
        if !self.net.strikes(Fault::LostHistory, true) {
            return;
        }
        let (store, loss) = (&self.net.store, &self.loss);
        let (what, state) = match kind {
            0 => ("nothing", loss.empty.clone()),
            1 => ("an older state", loss.backup.clone()),
            _ => ("all but the last moment", store.snapshot()),
        };
        self.note(format_args!("the store is going to come back with {what}"));
        if kind > 1 {
            // Some hear nothing of the last moment.
            self.cut_some_off(random, soon + SINCE_THEN);
            self.change(random);
            self.revalidate(random);
        }
        let purge_at = Instant::now() + soon + PURGED_AFTER;
        self.loss.purge_at = Some(purge_at).filter(|_| self.loss.purge_all);
        let net = Arc::clone(&self.net);
        tokio::spawn(async move {
            tokio::time::sleep(soon).await;
            net.store.restore(&state);
            if net.rules.hold(Rule::NewEpoch) {
                net.store.begin_epoch();
            }
            net.truth.lose_history(purge_at);
        });
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
            mode: Mode::Hard.into(),
            warm: false,
            replica_lag: Some(self.net.lag).filter(|lag| !lag.is_zero()),
            second_purge: self.net.second_purge(),
            ..RevalidateOptions::default()
        };
        let covers = self.net.truth.data();
        self.note(format_args!("everything is going to be purged"));
        self.desk.put_out((Targets::everything(), options), covers);
    }
}
