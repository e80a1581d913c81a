//! The seam to what all workers of a site share of a service's rate limits.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

use crate::{RateLimit, StoreError};

/// Token buckets that outlive the processes which take from them, so that all of them together keep to
/// a service's limits.
#[async_trait]
pub trait RateBudget: fmt::Debug + Send + Sync + 'static {
    /// Takes tokens from the bucket that `limit` names, and says how long to wait before they may be
    /// used; zero when they are there. Who takes more than are there borrows from what comes back next,
    /// so everybody who takes is served in turn.
    ///
    /// Tokens that would come back later than `patience` from now are not taken: the answer is then
    /// [`Taken::TooLong`].
    ///
    /// # Errors
    ///
    /// See [`StoreError`]; whether the tokens were taken is then unknown.
    async fn take(
        &self,
        limit: &RateLimit,
        tokens: u32,
        patience: Duration,
    ) -> Result<Taken, StoreError>;

    /// Empties the bucket, because the service asked for a pause: its next token comes back when `pause`
    /// has passed. A longer pause that runs already stays.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    async fn pause(&self, limit: &RateLimit, pause: Duration) -> Result<(), StoreError>;

    /// How many tokens are there now, for whoever watches; none is taken.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    async fn left(&self, limit: &RateLimit) -> Result<u32, StoreError> {
        // A bucket of one token that comes back at once: whoever wants none of it hears when the real one is
        // full again, to the thousandth of a token.
        let mut probe = limit.clone();
        probe.burst = NonZeroU32::MIN;
        probe.period /= 1_000;
        let missing = match self.take(&probe, 0, Duration::ZERO).await? {
            Taken::TooLong(wait) => wait + probe.interval(),
            Taken::After(_) => return Ok(limit.burst.get()),
        };
        let missing = missing
            .as_nanos()
            .div_ceil(limit.interval().as_nanos().max(1));
        Ok(u32::try_from(missing).map_or(0, |missing| limit.burst.get().saturating_sub(missing)))
    }
}

/// What became of an attempt to take tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// They are the caller's, and may be used after this long.
    After(Duration),
    /// They would come back only after this long, so they were not taken.
    TooLong(Duration),
}

/// A token bucket as the one moment at which it is full again, on whatever clock its keeper has.
///
/// Everything that keeps buckets computes with this, so that all of them behave alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it is full again, since the beginning of the keeper's clock.
    pub full_at: Duration,
}

impl Bucket {
    /// Takes tokens at a time; see [`RateBudget::take`].
    pub fn take(
        &mut self,
        limit: &RateLimit,
        tokens: u32,
        patience: Duration,
        now: Duration,
    ) -> Taken {
        let interval = limit.interval();
        let full_at = self.full_at.max(now) + interval * tokens;
        // A call for more than fits waits until the bucket was full, and leaves it in debt.
        let there_at = full_at.saturating_sub(interval * limit.burst.get().max(tokens));
        let wait = there_at.saturating_sub(now);
        if wait > patience {
            return Taken::TooLong(wait);
        }
        self.full_at = full_at;
        Taken::After(wait)
    }

    /// Empties the bucket for a while; see [`RateBudget::pause`].
    pub fn pause(&mut self, limit: &RateLimit, pause: Duration, now: Duration) {
        let one_token_there = now + pause + limit.interval() * (limit.burst.get() - 1);
        self.full_at = self.full_at.max(one_token_there);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RateUnit;

    fn limit(burst: u32, refill: u32) -> RateLimit {
        RateLimit {
            bucket: "b".into(),
            unit: RateUnit::Calls,
            burst: burst.try_into().unwrap(),
            refill: refill.try_into().unwrap(),
            period: Duration::from_secs(1),
            per_account: false,
        }
    }

    const PATIENT: Duration = Duration::from_hours(1);

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_one_token_an_interval() {
        let (limit, mut bucket) = (limit(3, 10), Bucket::default());
        let now = Duration::from_secs(100);
        let waits: Vec<Taken> = (0..5)
            .map(|_| bucket.take(&limit, 1, PATIENT, now))
            .collect();
        let after = |millis| Taken::After(Duration::from_millis(millis));
        assert_eq!(
            waits,
            [after(0), after(0), after(0), after(100), after(200)]
        );
    }

    #[test]
    fn who_has_no_patience_takes_nothing() {
        let (limit, mut bucket) = (limit(1, 1), Bucket::default());
        let now = Duration::from_secs(100);
        bucket.take(&limit, 1, PATIENT, now);
        let before = bucket;
        let taken = bucket.take(&limit, 1, Duration::from_millis(999), now);
        assert_eq!(taken, Taken::TooLong(Duration::from_secs(1)));
        assert_eq!(bucket, before);
    }

    #[test]
    fn a_pause_holds_everybody_back() {
        let (limit, mut bucket) = (limit(5, 10), Bucket::default());
        let now = Duration::from_secs(100);
        bucket.pause(&limit, Duration::from_secs(7), now);
        bucket.pause(&limit, Duration::from_secs(2), now);
        let waits: Vec<Taken> = (0..2)
            .map(|_| bucket.take(&limit, 1, PATIENT, now))
            .collect();
        let after = |millis| Taken::After(Duration::from_millis(millis));
        assert_eq!(waits, [after(7000), after(7100)]);
    }

    #[test]
    fn no_interval_ever_sees_more_than_the_burst_and_what_came_back() {
        let (limit, mut bucket) = (limit(25, 5), Bucket::default());
        let mut used_at: Vec<Duration> = Vec::new();
        for step in 0..400_u64 {
            let now = Duration::from_millis(100_000 + 37 * step);
            if let Taken::After(wait) = bucket.take(&limit, 1, Duration::from_secs(3), now) {
                used_at.push(now + wait);
            }
        }
        for (index, first) in used_at.iter().enumerate() {
            for (later, last) in used_at.iter().enumerate().skip(index) {
                let seconds = last.saturating_sub(*first).as_secs_f64();
                let count = u32::try_from(later - index + 1).unwrap();
                assert!(f64::from(count) <= 25.0 + 5.0 * seconds + 1e-6);
            }
        }
    }
}
