//! What everybody who uses the server shares of services' rate limits.
//!
//! Limits are those of an account at a service, whatever site it is used for, so buckets are the one
//! thing that is kept under no site.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, cmd};
use isr_core::{RateBudget, RateLimit, StoreError, Taken};

use super::RedisStore;
use super::link::Lane;
use super::scripts::BUDGET;

#[async_trait]
impl RateBudget for RedisStore {
    async fn take(
        &self,
        limit: &RateLimit,
        tokens: u32,
        patience: Duration,
    ) -> Result<Taken, StoreError> {
        let mut command = call(limit);
        command.arg("take").arg(tokens).arg(micros(patience));
        let (taken, wait): (bool, u64) = self.budget(&command).await?;
        let wait = Duration::from_micros(wait);
        Ok(if taken {
            Taken::After(wait)
        } else {
            Taken::TooLong(wait)
        })
    }

    async fn pause(&self, limit: &RateLimit, pause: Duration) -> Result<(), StoreError> {
        let mut command = call(limit);
        command.arg("pause").arg(micros(pause));
        self.budget(&command).await.map(|_| ())
    }
}

impl RedisStore {
    async fn budget(&self, command: &Cmd) -> Result<(bool, u64), StoreError> {
        match self.link.query(Lane::Fast, command).await {
            Err(failure) if failure.is_missing_script() => {
                self.load(&BUDGET).await?;
                Ok(self.link.query(Lane::Fast, command).await?)
            }
            answer => Ok(answer?),
        }
    }
}

fn call(limit: &RateLimit) -> Cmd {
    let mut command = cmd("EVALSHA");
    command
        .arg(&BUDGET.sha)
        .arg(1)
        .arg(format!("isr-budget:{}", limit.bucket))
        .arg(limit.interval().as_secs_f64() * 1e6)
        .arg(limit.burst.get());
    command
}

/// A duration in microseconds as the script takes it: at most a century, which a double holds exactly.
fn micros(duration: Duration) -> u64 {
    const CENTURY: u64 = 100 * 366 * 24 * 3600 * 1_000_000;
    u64::try_from(duration.as_micros())
        .unwrap_or(u64::MAX)
        .min(CENTURY)
}
