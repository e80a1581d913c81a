//! What those who send responses hear of revalidations.

use isr_core::{
    Beginning, Epoch, Heard, Mode, News, Partition, Position, Receipt, RevalidationId, StoreError,
    Target,
};
use serde::{Deserialize, Serialize};

use super::error::corrupt;
use super::link::Lane;
use super::scripts::{BEGINNING, NEWS};
use super::{HOME, RedisStore};

/// The most entries that one call of a script gives.
pub(super) const ENTRIES_A_CALL: usize = 256;

/// A revalidation in the history of a partition.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    id: RevalidationId,
    mode: Mode,
    targets: Vec<Target>,
}

impl Entry {
    /// As it is stored, without the number of targets that the script writes before it.
    pub(super) fn of(receipt: &Receipt) -> Result<String, StoreError> {
        let entry = Self {
            id: receipt.id,
            mode: receipt.options.mode.mode(),
            targets: receipt.targets.as_slice().to_vec(),
        };
        serde_json::to_string(&entry).map_err(corrupt)
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        let (_, entry) = text
            .split_once(' ')
            .ok_or_else(|| corrupt("an entry of the history has no count"))?;
        serde_json::from_str(entry).map_err(corrupt)
    }
}

/// The newest number of a partition, the number before the oldest entry, and entries.
type Answer = (u64, u64, Vec<String>);

impl RedisStore {
    /// How the history came to begin; with the epoch of `dealt_with`, that it has been dealt with.
    pub(super) async fn began(
        &self,
        dealt_with: Option<Epoch>,
    ) -> Result<Option<Beginning>, StoreError> {
        let dealt_with = dealt_with.map_or_else(String::new, |epoch| epoch.to_string());
        let (epoch, how): (Epoch, String) = self
            .run_in_epoch(Lane::Bulk, HOME, &BEGINNING, |_, command| {
                command.arg(&dealt_with);
            })
            .await?;
        Ok((!how.is_empty()).then(|| Beginning {
            epoch,
            lost: how == "lost",
        }))
    }

    pub(super) async fn news(&self, after: &Position, limit: usize) -> Result<News, StoreError> {
        let some = limit.min(ENTRIES_A_CALL);
        let (epoch, answers): (Epoch, Vec<Answer>) = self
            .run_everywhere(&NEWS, |partition, _, command| {
                command.arg(after.number(partition)).arg(some);
            })
            .await?;
        let newest = Position::new(epoch, answers.iter().map(|&(number, _, _)| number));
        let is_other = after.epoch != epoch || after.partitions() != newest.partitions();
        let unknown =
            |(&from, &(number, oldest, _)): (&u64, &Answer)| from > number || from < oldest;
        if is_other || after.numbers().iter().zip(&answers).any(unknown) {
            return Ok(News {
                heard: Vec::new(),
                position: newest,
                more: false,
                gap: true,
            });
        }
        let mut heard = Vec::new();
        let mut position = after.clone();
        for (partition, (_, _, entries)) in self.partitions().zip(&answers) {
            let from = after.number(partition);
            position.advance(partition, from + entries.len() as u64);
            for (number, entry) in (from + 1..).zip(entries) {
                heard.push(hear(partition, number, entry)?);
            }
        }
        let more = !position.covers(&newest);
        Ok(News {
            heard,
            position,
            more,
            gap: false,
        })
    }
}

pub(super) fn hear(partition: Partition, number: u64, entry: &str) -> Result<Heard, StoreError> {
    let Entry { id, mode, targets } = Entry::read(entry)?;
    Ok(Heard {
        id,
        partition,
        number,
        targets,
        mode,
    })
}
