//! What is compared: stores that can be made to lose what they have.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use isr_graph::{MemoryOptions, MemorySnapshot, MemoryStore};

use crate::{HandClock, StoreFixture, TimedStore};

/// How much a store has room for.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Revalidations remembered for those who follow them.
    pub history: usize,
    /// Targets that are told apart, at the least.
    pub targets: usize,
    /// Revalidations and pages that may wait, each.
    pub queue: usize,
}

/// What a store has lost when it begins another history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing, only nobody can know that.
    Certainty,
    /// All that was done since it was saved.
    SinceSaved,
}

/// A store that is compared.
#[async_trait]
pub trait Subject: fmt::Debug + Send + Sync {
    /// The store, empty at first. After a loss it may be another handle.
    fn fixture(&self) -> &dyn StoreFixture;

    /// Has the store keep what it holds, as far as the next [`Loss::SinceSaved`].
    async fn save(&mut self);

    /// Has the store begin another history, after it has lost something. It was saved before if that matters.
    async fn lose(&mut self, loss: Loss);
}

/// The store in memory, with one partition that which others are compared with. It tells all targets apart.
#[derive(Debug)]
pub struct Memory {
    fixture: TimedStore<MemoryStore, HandClock>,
    saved: MemorySnapshot,
}

impl Memory {
    /// An empty one with so many partitions.
    #[must_use]
    pub fn new(room: Room, partitions: u16) -> Self {
        let clock = HandClock::new();
        let options = MemoryOptions {
            partitions,
            history: room.history,
            targets: Some(usize::MAX),
            queue: room.queue,
            ..MemoryOptions::default()
        };
        let store = Arc::new(MemoryStore::new(Arc::new(clock.clone()), options));
        Self {
            saved: store.snapshot(),
            fixture: TimedStore::in_memory(store, clock),
        }
    }

    pub(super) fn store(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.fixture.store)
    }
}

#[async_trait]
impl Subject for Memory {
    fn fixture(&self) -> &dyn StoreFixture {
        &self.fixture
    }

    async fn save(&mut self) {
        self.saved = self.fixture.store.snapshot();
    }

    async fn lose(&mut self, loss: Loss) {
        if loss == Loss::SinceSaved {
            self.fixture.store.restore(&self.saved);
        }
        self.fixture.store.begin_epoch();
    }
}
