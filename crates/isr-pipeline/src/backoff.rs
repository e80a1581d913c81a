//! How long to wait after a failure.

use std::time::Duration;

use rand::RngExt;

use crate::WorkerOptions;

/// A delay drawn evenly from zero to a bound that doubles with each failure: full jitter, so that
/// what failed together does not come back together. A delay the other side asked for is the least,
/// as far as the longest delay allows.
pub(crate) fn delay(options: &WorkerOptions, failures: u32, asked: Option<Duration>) -> Duration {
    let jittered = jittered(options.first_delay, options.longest_delay, failures);
    asked.map_or(jittered, |asked| {
        let both = asked.saturating_add(jittered);
        both.min(options.longest_delay.max(jittered))
    })
}

/// A delay drawn evenly from zero to `first`, doubled for each failure but the first, or `longest`.
pub(crate) fn jittered(first: Duration, longest: Duration, failures: u32) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let bound = doubled.min(longest);
    bound.mul_f64(rand::rng().random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_keeps_within_its_bounds() {
        let options = WorkerOptions::new("one");
        for failures in 0..40_u32 {
            let bound = Duration::from_secs(1 << failures.saturating_sub(1).min(9))
                .min(options.longest_delay);
            for _ in 0..20 {
                let delay = delay(&options, failures, None);
                assert!(delay <= bound, "{delay:?} after {failures} failures");
            }
        }
    }

    #[test]
    fn a_delay_that_was_asked_for_is_kept_up_to_the_longest() {
        let options = WorkerOptions::new("one");
        let minute = Duration::from_mins(1);
        assert!(delay(&options, 1, Some(minute)) >= minute);
        for asked in [Duration::from_hours(9), Duration::MAX] {
            for failures in 1..20 {
                assert!(delay(&options, failures, Some(asked)) <= options.longest_delay);
            }
        }
    }
}
