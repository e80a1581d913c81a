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
        let does = ["take", &tokens.to_string(), &micros(patience).to_string()];
        let (taken, wait) = self.budget(limit, &does).await?;
        let wait = Duration::from_micros(wait);
        Ok(if taken {
            Taken::After(wait)
        } else {
            Taken::TooLong(wait)
        })
    }

    async fn pause(&self, limit: &RateLimit, pause: Duration) -> Result<(), StoreError> {
        let does = ["pause", &micros(pause).to_string()];
        self.budget(limit, &does).await.map(|_| ())
    }
}

impl RedisStore {
    /// Any server will do, whatever became of it: a bucket that is lost is a full one.
    async fn budget(&self, limit: &RateLimit, does: &[&str]) -> Result<(bool, u64), StoreError> {
        let known = call("EVALSHA", &BUDGET.sha, limit, does);
        match self.link.query(Lane::Fast, &known).await {
            Err(failure) if failure.is_missing_script() => {
                let whole = call("EVAL", BUDGET.code, limit, does);
                Ok(self.link.query(Lane::Fast, &whole).await?)
            }
            answer => Ok(answer?),
        }
    }
}

fn call(how: &str, script: &str, limit: &RateLimit, does: &[&str]) -> Cmd {
    let mut command = cmd(how);
    command
        .arg(script)
        .arg(1)
        .arg(format!("isr-budget:{}", limit.bucket))
        .arg(limit.interval().as_secs_f64() * 1e6)
        .arg(limit.burst.get())
        .arg(does);
    command
}

/// A duration in microseconds as the script takes it: at most a century, which a double holds exactly.
fn micros(duration: Duration) -> u64 {
    const CENTURY: u64 = 100 * 366 * 24 * 3600 * 1_000_000;
    u64::try_from(duration.as_micros())
        .unwrap_or(u64::MAX)
        .min(CENTURY)
}
