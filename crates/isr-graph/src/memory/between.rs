//! How a revalidation comes to count in every partition, one after the other.
//!
//! As in Redis, the first partition makes it whole: its number there, its receipt and its job are one step.
//! Each other partition follows in a step of its own. Whoever finds a receipt that lacks some of them goes on
//! from there: the caller who asks again, or the worker who claims its job.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{Partition, Phase, Position, Receipt, RevalidationId, StoreError};

use super::{MemoryStore, State};

/// The partition that makes revalidations.
const HOME: Partition = Partition(0);

/// What comes between two partitions of one revalidation: time, and failures. Tests have it so; by itself
/// nothing does.
#[async_trait]
pub trait BetweenPartitions: fmt::Debug + Send + Sync + 'static {
    /// Goes before a revalidation, which counts in every partition before this one, comes to count in this
    /// one too.
    ///
    /// # Errors
    ///
    /// The call for which it was going to ends with what this ends with, and the partition stays as it is.
    async fn before(&self, id: &RevalidationId, partition: Partition) -> Result<(), StoreError>;
}

impl State {
    /// Has a revalidation count in the first partition, and queues its job.
    pub(super) fn begin(&mut self, receipt: Receipt, now: Duration) -> Receipt {
        let number = self.count(&receipt, HOME);
        let receipt = Receipt {
            position: Some(Position::new(self.graph.position().epoch, [number])),
            phase: Phase::Queued,
            ..receipt
        };
        self.jobs.queue_revalidation(receipt, now)
    }

    fn count(&mut self, receipt: &Receipt, partition: Partition) -> u64 {
        let mode = receipt.options.mode.mode();
        self.graph
            .invalidate(partition, receipt.id, &receipt.targets, mode)
    }

    /// The partition that a revalidation comes to count in next; `None` when there is none, or it waits.
    fn next_partition(&self, receipt: &Receipt) -> Option<Partition> {
        let reached = receipt.position.as_ref()?.partitions();
        (reached < self.graph.partitions()).then_some(Partition(reached))
    }

    /// Has it count in one more partition, unless somebody was quicker; `None` when it is not known.
    fn go_on(&mut self, id: &RevalidationId, partition: Partition) -> Option<Receipt> {
        let known = self.jobs.receipt(id)?;
        if self.next_partition(&known) != Some(partition) {
            return Some(known);
        }
        let number = self.count(&known, partition);
        let reached = known.position.as_ref()?;
        let numbers = reached.numbers().iter().copied().chain([number]);
        let position = Position::new(reached.epoch, numbers);
        self.jobs.place(id, position)
    }
}

impl MemoryStore {
    /// The same with something between the partitions of each revalidation.
    #[must_use]
    pub fn with_between(self, between: Arc<dyn BetweenPartitions>) -> Self {
        Self {
            between: Some(between),
            ..self
        }
    }

    /// Has a revalidation count wherever it does not yet.
    pub(super) async fn complete(&self, mut receipt: Receipt) -> Result<Receipt, StoreError> {
        while let Some(next) = self.with(|state, _| state.next_partition(&receipt)) {
            if let Some(between) = &self.between {
                between.before(&receipt.id, next).await?;
            }
            let known = self.with(|state, _| state.go_on(&receipt.id, next));
            receipt = known.ok_or_else(|| StoreError::Unavailable {
                store: "memory".to_owned(),
                source: "it was put back to where it did not know of the revalidation".into(),
            })?;
        }
        Ok(receipt)
    }
}
