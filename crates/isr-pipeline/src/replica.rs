//! Sites whose pages are rendered from replicas that lag behind the data.
//!
//! A response rendered within the lag is old, however new its generation. So once the lag has passed, the same is
//! revalidated once more: its generations supersede what was rendered meanwhile, and every tier is purged of it.

use std::time::Duration;

use isr_core::{LagProgress, Phase, Receipt, RevalidateOptions, StoreError};

use crate::revalidation::{Run, Stop};

impl Run {
    /// For how long to leave the job alone, if its replica lag has not been waited for. Whoever claims it
    /// after that knows by the job itself that the lag has passed, by the store's clock and no other.
    pub(crate) fn begin_to_wait_for_replica(&mut self) -> Option<Duration> {
        let lag = self.receipt.options.replica_lag?;
        if self.receipt.progress.lag != LagProgress::Ahead {
            return None;
        }
        self.receipt.progress.lag = LagProgress::Waited;
        Some(lag)
    }

    /// Makes the revalidation once more, if its replica lag has been waited for and nobody has done so yet.
    pub(crate) async fn repeat_after_lag(&mut self) -> Result<(), Stop> {
        if self.receipt.progress.lag != LagProgress::Waited {
            return Ok(());
        }
        self.repeat().await?;
        self.receipt.progress.lag = LagProgress::Repeated;
        self.save().await
    }

    /// The repeat as it stands. It is made by its name, so once, whoever asks and however often.
    async fn repeat(&self) -> Result<Receipt, StoreError> {
        let made = &self.receipt;
        let options = RevalidateOptions {
            replica_lag: None,
            ..made.options.clone()
        };
        let repeat = Receipt::new(made.targets.clone(), options, made.source)
            .with_id(made.id.after_replica_lag());
        let parts = &self.shared.parts;
        let repeat = parts.store.invalidate(repeat).await?;
        parts.wake.notify_one();
        Ok(repeat)
    }

    /// Whether the repeat is settled, if there is to be one. One that was given up on is waited for all the
    /// same: it may be replayed, by somebody or because a tier is back, and this says so meanwhile. One that is
    /// held for concerning very many pages is released: this one concerns the same, and was let go on.
    pub(crate) async fn repeat_is_settled(&mut self) -> Result<bool, Stop> {
        if self.receipt.options.replica_lag.is_none() {
            return Ok(true);
        }
        let mut repeat = self.repeat().await?;
        let id = repeat.id;
        if repeat.phase == Phase::Held {
            let released = self.shared.parts.store.release(&id).await?;
            repeat = released.unwrap_or(repeat);
            self.shared.parts.wake.notify_one();
        }
        let waits =
            |why| format!("waits for {id}, which repeats this after the replica lag and was {why}");
        self.receipt.error = match repeat.phase {
            Phase::Failed => Some(waits("given up on: replay it")),
            Phase::Cancelled => Some(waits("called off: revalidate the same again")),
            _ => None,
        };
        Ok(repeat.settled)
    }
}
