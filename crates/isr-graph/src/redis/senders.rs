//! Those who send responses.

use isr_core::{SenderId, SenderReport, SenderState, StoreError, Timestamp};

use super::error::corrupt;
use super::link::Lane;
use super::scripts::SENDERS;
use super::{HOME, RedisStore, milliseconds};

impl RedisStore {
    pub(super) async fn store_report(&self, report: &SenderReport) -> Result<(), StoreError> {
        let text = serde_json::to_string(report).map_err(corrupt)?;
        self.run(Lane::Fast, HOME, &SENDERS, |_, command| {
            command
                .arg("report")
                .arg(&report.id.0)
                .arg(&text)
                .arg(milliseconds(report.lease));
        })
        .await
    }

    pub(super) async fn list_senders(&self) -> Result<Vec<SenderState>, StoreError> {
        let known: Vec<(String, bool, u64)> = self
            .run(Lane::Bulk, HOME, &SENDERS, |_, command| {
                command.arg("list");
            })
            .await?;
        let read = |(report, alive, ends): (String, bool, u64)| {
            Ok(SenderState {
                report: serde_json::from_str(&report).map_err(corrupt)?,
                alive,
                lease_ends: Timestamp::from_millis(ends),
            })
        };
        known.into_iter().map(read).collect()
    }

    pub(super) async fn forget_sender(&self, sender: &SenderId) -> Result<(), StoreError> {
        self.run(Lane::Fast, HOME, &SENDERS, |_, command| {
            command.arg("dismiss").arg(&sender.0);
        })
        .await
    }
}
