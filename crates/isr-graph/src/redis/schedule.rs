//! Revalidations that wait: for their time, or until somebody releases them.
//!
//! They are kept at home, by their time, and nobody but a worker who looks for jobs begins them: in the
//! one step by which a revalidation is made, which takes it out of what is scheduled.

use futures_util::future::try_join_all;
use isr_core::{Phase, Receipt, RevalidateOptions, RevalidationId, StoreError, Timestamp};

use super::link::Lane;
use super::revalidate::{Stored, read_receipt, write_receipt};
use super::scripts::{RELEASE, SCHEDULE};
use super::{HOME, RedisStore, milliseconds};
use crate::BEGUN_AT_ONCE;

/// How the script leaves a revalidation, its text and numbers where it was known, and a time.
type Scheduled = (i64, String, String, u64);

impl RedisStore {
    /// Keeps a revalidation until its time; one whose time has come is made at once.
    pub(super) async fn schedule(
        &self,
        receipt: Receipt,
        at: Timestamp,
    ) -> Result<Receipt, StoreError> {
        let phase = Phase::Scheduled;
        let waiting = Receipt { phase, ..receipt };
        let text = write_receipt(&waiting)?;
        let (left, known, numbers, time): Scheduled = self
            .run(Lane::Fast, HOME, &SCHEDULE, |_, command| {
                command.arg("add").arg(waiting.id.to_string()).arg(&text);
                command
                    .arg(at.as_millis())
                    .arg(self.options.queue)
                    .arg(milliseconds(RevalidateOptions::NEAREST))
                    .arg(milliseconds(RevalidateOptions::FARTHEST));
            })
            .await?;
        let time = Timestamp::from_millis(time);
        match left {
            1 => Ok(Receipt {
                made: Some(time),
                ..waiting
            }),
            0 => self.known((known, numbers, time.as_millis())).await,
            -1 => Err(self.is_full()),
            -2 => Err(StoreError::TooFarAhead {
                at,
                last: time.after(RevalidateOptions::FARTHEST),
            }),
            // Time does not run backwards: it will not have to wait any more.
            _ => self.revalidate(waiting).await,
        }
    }

    /// Begins some of what is due.
    pub(super) async fn begin_due(&self) -> Result<(), StoreError> {
        let due: Vec<Stored> = self
            .run(Lane::Bulk, HOME, &SCHEDULE, |_, command| {
                command.arg("due").arg(BEGUN_AT_ONCE);
            })
            .await?;
        let begin = |stored: Stored| async move {
            let (receipt, _) = read_receipt(&stored, self.options.partitions)?;
            self.make(receipt, "due").await
        };
        try_join_all(due.into_iter().map(begin)).await.map(|_| ())
    }

    pub(super) async fn call_off(
        &self,
        id: &RevalidationId,
    ) -> Result<Option<Receipt>, StoreError> {
        let Some(known) = super::receipts::one_receipt(self, id).await? else {
            return Ok(None);
        };
        if !matches!(known.phase, Phase::Scheduled | Phase::Held) {
            return Ok(Some(known));
        }
        let phase = Phase::Cancelled;
        let text = write_receipt(&Receipt { phase, ..known })?;
        let stored: Vec<Stored> = self
            .run(Lane::Fast, HOME, &SCHEDULE, |_, command| {
                command
                    .arg("cancel")
                    .arg(id.to_string())
                    .arg(&text)
                    .arg(self.options.keep_receipts.as_secs());
            })
            .await?;
        self.read_first(&stored)
    }

    pub(super) async fn let_go(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        let Some(known) = super::receipts::one_receipt(self, id).await? else {
            return Ok(None);
        };
        if known.phase != Phase::Held {
            return Ok(Some(known));
        }
        let text = write_receipt(&known.released())?;
        let stored: Vec<Stored> = self
            .run(Lane::Fast, HOME, &RELEASE, |_, command| {
                command.arg(id.to_string()).arg(&text);
            })
            .await?;
        self.read_first(&stored)
    }

    fn read_first(&self, stored: &[Stored]) -> Result<Option<Receipt>, StoreError> {
        let read = |stored: &Stored| {
            read_receipt(stored, self.options.partitions).map(|(receipt, _)| receipt)
        };
        stored.first().map(read).transpose()
    }
}
