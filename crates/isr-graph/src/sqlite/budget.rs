//! What the processes that share the file share of services' rate limits.

use std::time::Duration;

use async_trait::async_trait;
use isr_core::{Bucket, RateBudget, RateLimit, StoreError, Taken};
use rusqlite::OptionalExtension as _;

use super::SqliteStore;
use super::failure::Failure;
use super::state::micros;
use super::writer::Write;

#[async_trait]
impl RateBudget for SqliteStore {
    async fn take(
        &self,
        limit: &RateLimit,
        tokens: u32,
        patience: Duration,
    ) -> Result<Taken, StoreError> {
        let limit = limit.clone();
        self.write(move |write| {
            change(write, &limit, |bucket, now| {
                bucket.take(&limit, tokens, patience, now)
            })
        })
        .await
    }

    async fn pause(&self, limit: &RateLimit, pause: Duration) -> Result<(), StoreError> {
        let limit = limit.clone();
        self.write(move |write| {
            change(write, &limit, |bucket, now| {
                bucket.pause(&limit, pause, now);
            })
        })
        .await
    }
}

/// Reads a bucket, has it changed, and writes it back if it was.
fn change<R>(
    write: &Write<'_>,
    limit: &RateLimit,
    act: impl Fn(&mut Bucket, Duration) -> R,
) -> Result<R, Failure> {
    let full_at: Option<i64> = write
        .connection
        .prepare_cached("SELECT full_at FROM bucket WHERE name = ?")?
        .query_row([&limit.bucket], |row| row.get(0))
        .optional()?;
    let time = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    let before = Bucket {
        full_at: time(full_at.unwrap_or(0)),
    };
    let mut bucket = before;
    let answer = act(&mut bucket, time(write.now));
    if bucket != before {
        write
            .connection
            .prepare_cached("INSERT OR REPLACE INTO bucket (name, full_at) VALUES (?, ?)")?
            .execute((&limit.bucket, micros(bucket.full_at)))?;
    }
    Ok(answer)
}
