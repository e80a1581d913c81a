//! A service's own rate limit.

use std::sync::Arc;
use std::time::Duration;

use isr_core::Clock;
use parking_lot::Mutex;

/// A token bucket as a service has it: it counts tokens, while [`isr_core::Bucket`], which it is
/// there to check, counts moments.
#[derive(Debug)]
pub struct TokenBucket {
    capacity: f64,
    per_second: f64,
    clock: Arc<dyn Clock>,
    level: Mutex<(f64, Duration)>,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(capacity: u32, per_second: f64, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self {
            capacity: capacity.into(),
            per_second,
            clock,
            level: Mutex::new((capacity.into(), now)),
        }
    }

    /// Takes all of some tokens, or none.
    ///
    /// # Errors
    ///
    /// Where they are not there: how long it takes until they are.
    pub fn take(&self, tokens: u32) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut level = self.level.lock();
        let (before, at) = *level;
        let passed = now.saturating_sub(at).as_secs_f64();
        let there = (before + passed * self.per_second).min(self.capacity);
        let left = there - f64::from(tokens);
        // What comes of adding up fractions is not held against anybody.
        if left < -1e-6 {
            *level = (there, now);
            return Err(Duration::from_secs_f64(-left / self.per_second));
        }
        *level = (left, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HandClock;

    #[test]
    fn a_bucket_gives_what_it_holds_and_what_comes_back() {
        let clock = HandClock::new();
        let bucket = TokenBucket::new(3, 0.5, Arc::new(clock.clone()));
        assert_eq!(bucket.take(3), Ok(()));
        assert_eq!(bucket.take(1), Err(Duration::from_secs(2)));
        clock.advance(Duration::from_secs(2));
        assert_eq!(bucket.take(1), Ok(()));
        clock.advance(Duration::from_hours(1));
        assert_eq!(bucket.take(4), Err(Duration::from_secs(2)));
        assert_eq!(bucket.take(3), Ok(()));
    }
}
