//! Accepts revalidations.

use std::sync::Arc;

use async_trait::async_trait;
use isr_core::{Event, Receipt, Recorder, RevalidationId, Revalidator, Store, StoreError};
use tokio::sync::Notify;

use crate::Follower;

/// Accepts revalidations: stores them, lets this process's sender hear of them before the caller
/// does, and wakes a worker.
#[derive(Clone, Debug)]
pub struct Intake {
    store: Arc<dyn Store>,
    follower: Option<Arc<Follower>>,
    recorder: Arc<dyn Recorder>,
    wake: Arc<Notify>,
}

impl Intake {
    /// An intake. `follower` is that of the process's sender, when it has one; `wake` wakes its
    /// worker, when it has one.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        follower: Option<Arc<Follower>>,
        recorder: Arc<dyn Recorder>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            store,
            follower,
            recorder,
            wake,
        }
    }
}

#[async_trait]
impl Revalidator for Intake {
    async fn revalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        let stored = self.store.invalidate(receipt).await;
        let receipt = stored.inspect_err(|_| {
            let operation = "invalidate";
            self.recorder.record(&Event::StoreFailed { operation });
        })?;
        if let (Some(follower), Some(position)) = (&self.follower, &receipt.position) {
            follower.catch_up(position).await?;
        }
        self.recorder.record(&Event::Revalidated {
            source: receipt.source,
        });
        self.wake.notify_one();
        Ok(receipt)
    }

    async fn receipt(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        self.store.receipt(id).await
    }
}
