//! Making revalidations.
//!
//! The home partition makes a revalidation whole: its number, the marks of its targets, its receipt and
//! its job are one step, and from then on it cannot be lost. The other partitions follow, each in one
//! step that happens once however often it is asked for; then the home partition learns their numbers.
//! Whoever finds a receipt without them goes on from there: the caller who asks again, or the worker
//! who claims its job.

use deadpool_redis::redis::Cmd;
use futures_util::future::try_join_all;
use isr_core::{Epoch, Phase, Position, Receipt, StoreError, Target, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::corrupt;
use super::link::Lane;
use super::news::Entry;
use super::scripts::{COMPLETE, POSITION, REVALIDATE};
use super::{HOME, RedisStore};

/// The layout of a stored receipt.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    receipt: &'a Receipt,
}

#[derive(Deserialize)]
struct Read {
    receipt: Receipt,
}

/// A receipt as it is stored, without the numbers it has in the partitions.
pub(super) fn write_receipt(receipt: &Receipt) -> Result<String, StoreError> {
    serde_json::to_string(&Written {
        version: VERSION,
        receipt,
    })
    .map_err(corrupt)
}

/// A receipt as the scripts give it: its text, its numbers, and when it was made.
pub(super) type Stored = (String, String, u64);

/// A receipt, and whether its position is that of all partitions. One that waits for its time has none, and
/// wants none.
pub(super) fn read_receipt(
    (text, numbers, made): &Stored,
    partitions: u16,
) -> Result<(Receipt, bool), StoreError> {
    let Read { mut receipt } = serde_json::from_str(text).map_err(corrupt)?;
    receipt.made = (*made > 0).then(|| Timestamp::from_millis(*made));
    if numbers.is_empty() {
        return Ok((receipt, true));
    }
    let position = read_position(numbers)?;
    let is_complete = position.partitions() == partitions;
    receipt.position = Some(position);
    Ok((receipt, is_complete))
}

/// Reads `epoch number,number,…`.
fn read_position(text: &str) -> Result<Position, StoreError> {
    let (epoch, numbers) = text
        .split_once(' ')
        .ok_or_else(|| corrupt("a receipt has no epoch"))?;
    let epoch = u64::from_str_radix(epoch, 16).map_err(corrupt)?;
    let numbers = numbers
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>()
        .map_err(corrupt)?;
    Ok(Position::new(Epoch::new(epoch), numbers))
}

fn write_position(position: &Position) -> String {
    let numbers: Vec<String> = position.numbers().iter().map(u64::to_string).collect();
    format!("{} {}", position.epoch, numbers.join(","))
}

impl RedisStore {
    pub(super) async fn current_position(&self) -> Result<Position, StoreError> {
        let (epoch, numbers): (Epoch, Vec<u64>) =
            self.run_everywhere(&POSITION, |_, _, _| {}).await?;
        Ok(Position::new(epoch, numbers))
    }

    pub(super) async fn revalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        let made = self.make(receipt, &self.options.queue.to_string()).await?;
        made.ok_or_else(|| corrupt("a revalidation was neither made nor known"))
    }

    /// Makes a revalidation, unless it is known. `room` is how many jobs there may be, or `due` for one that
    /// is scheduled; `None` when such a one is known no more.
    pub(super) async fn make(
        &self,
        receipt: Receipt,
        room: &str,
    ) -> Result<Option<Receipt>, StoreError> {
        let phase = Phase::Queued;
        let receipt = Receipt { phase, ..receipt };
        let text = write_receipt(&receipt)?;
        let calls = Revalidation::of(&receipt)?;
        let (epoch, (number, known, numbers, made)): (_, (i64, String, String, u64)) = self
            .run_in_epoch(Lane::Fast, HOME, &REVALIDATE, |_, command| {
                calls.fill(self, &text, room, command);
            })
            .await?;
        let Ok(number) = u64::try_from(number) else {
            return Err(self.is_full());
        };
        if number == 0 && known.is_empty() {
            return Ok(None);
        }
        if number == 0 {
            return self.known((known, numbers, made)).await.map(Some);
        }
        let stored = Receipt {
            position: Some(Position::new(epoch, [number])),
            made: Some(Timestamp::from_millis(made)),
            ..receipt
        };
        if self.options.partitions == 1 {
            Ok(Some(stored))
        } else {
            self.complete(stored).await.map(Some)
        }
    }

    /// A receipt that the home partition has; what the others lack of it is made up for.
    pub(super) async fn known(&self, stored: Stored) -> Result<Receipt, StoreError> {
        let (known, is_complete) = read_receipt(&stored, self.options.partitions)?;
        if is_complete {
            Ok(known)
        } else {
            self.complete(known).await
        }
    }

    pub(super) fn is_full(&self) -> StoreError {
        StoreError::QueueFull {
            limit: self.options.queue as u64,
        }
    }

    /// Brings a revalidation that the home partition has to all others, and notes its numbers there.
    pub(super) async fn complete(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        let home = receipt
            .position
            .as_ref()
            .ok_or_else(|| corrupt("a stored receipt has no position"))?;
        let calls = &Revalidation::of(&receipt)?;
        let others = self.partitions().skip(1).map(|partition| {
            self.run(Lane::Fast, partition, &REVALIDATE, |_, command| {
                calls.fill(self, "", "", command);
            })
        });
        let others: Vec<(u64, String, String, u64)> = try_join_all(others).await?;
        let numbers = home
            .numbers()
            .iter()
            .copied()
            .take(1)
            .chain(others.iter().map(|other| other.0));
        let position = Position::new(home.epoch, numbers);
        let stored: Stored = self
            .run(Lane::Fast, HOME, &COMPLETE, |_, command| {
                command
                    .arg(receipt.id.to_string())
                    .arg(write_position(&position));
            })
            .await?;
        read_receipt(&stored, self.options.partitions).map(|(receipt, _)| receipt)
    }
}

/// What every partition is told of a revalidation.
struct Revalidation {
    id: String,
    mode: &'static str,
    entry: String,
    targets: Vec<String>,
}

impl Revalidation {
    fn of(receipt: &Receipt) -> Result<Self, StoreError> {
        Ok(Self {
            id: receipt.id.to_string(),
            mode: receipt.options.mode.mode().as_str(),
            entry: Entry::of(receipt)?,
            targets: receipt.targets.into_iter().map(Target::key).collect(),
        })
    }

    fn fill(&self, store: &RedisStore, receipt: &str, room: &str, command: &mut Cmd) {
        command
            .arg(&self.id)
            .arg(self.mode)
            .arg(store.options.history.max(1))
            .arg(&self.entry);
        command.arg(receipt).arg(room).arg(&self.targets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_what_it_wrote() {
        for numbers in [vec![0], vec![7, 0, u64::MAX]] {
            let position = Position::new(Epoch::new(0xfeed), numbers);
            assert_eq!(read_position(&write_position(&position)).unwrap(), position);
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in ["", "1", "xyz 1", "00 ", "00 1,", "00 -1"] {
            assert!(
                matches!(read_position(text), Err(StoreError::Corrupt { .. })),
                "{text:?}"
            );
        }
    }
}
