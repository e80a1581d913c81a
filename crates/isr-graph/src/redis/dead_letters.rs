//! Jobs that were given up on.

use isr_core::{Cursor, DeadLetter, DeadLetterChunk, JobKey, Partition, StoreError};

use super::error::corrupt;
use super::jobs::{JOBS_A_CALL, PAGES, REVALIDATIONS};
use super::link::Lane;
use super::scripts::DEAD;
use super::{HOME, RedisStore, read_url};

/// Key, attempts, reason and since when of each job, and whether there are more.
type Dead = (Vec<(String, u32, String, String)>, bool);

/// Where a walk goes on: in which queue, and behind which of its jobs, if any.
#[derive(Debug, Default)]
struct Place {
    /// 0 is that of the revalidations; then come the pages, partition by partition.
    queue: u16,
    since: String,
    key: String,
}

impl Place {
    /// Written `queue since key`.
    fn read(cursor: &Cursor) -> Option<Self> {
        let (queue, rest) = cursor.0.split_once(' ')?;
        let (since, key) = rest.split_once(' ')?;
        // What is no number would be refused by the server.
        let is_number = since.is_empty() || since.parse::<f64>().is_ok();
        is_number.then(|| Self {
            queue: queue.parse().unwrap_or_default(),
            since: since.to_owned(),
            key: key.to_owned(),
        })
    }

    fn write(&self) -> Cursor {
        Cursor(format!("{} {} {}", self.queue, self.since, self.key))
    }
}

impl RedisStore {
    pub(super) async fn list_dead(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<DeadLetterChunk, StoreError> {
        let limit = limit.clamp(1, JOBS_A_CALL);
        let mut place = after.and_then(Place::read).unwrap_or_default();
        let mut letters = Vec::new();
        while place.queue <= self.options.partitions && letters.len() < limit {
            let (dead, is_more) = self.dead(&place, limit - letters.len()).await?;
            if let Some((key, _, _, since)) = dead.last() {
                (place.key, place.since) = (key.clone(), since.clone());
            }
            for (key, attempts, error, _) in dead {
                let job = match place.queue {
                    0 => JobKey::Revalidation(key.parse().map_err(corrupt)?),
                    _ => JobKey::Page(read_url(&key)?),
                };
                letters.push(DeadLetter {
                    job,
                    attempts,
                    error,
                });
            }
            if !is_more {
                let queue = place.queue + 1;
                place = Place {
                    queue,
                    ..Place::default()
                };
            }
        }
        let is_more = place.queue <= self.options.partitions;
        Ok(DeadLetterChunk {
            letters,
            next: is_more.then(|| place.write()),
        })
    }

    async fn dead(&self, place: &Place, limit: usize) -> Result<Dead, StoreError> {
        let (partition, kind) = match place.queue.checked_sub(1) {
            Some(partition) => (Partition(partition), PAGES),
            None => (HOME, REVALIDATIONS),
        };
        self.run(Lane::Bulk, partition, &DEAD, |_, command| {
            command.arg(kind).arg(limit);
            command.arg(&place.key).arg(&place.since);
        })
        .await
    }
}
