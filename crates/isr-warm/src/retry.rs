//! When to try again.

use std::time::Duration;

use rand::RngExt;

/// The delay after some failed attempts: anything from zero up to `first`, doubled for each failure
/// but the first, and never more than `longest`. The whole of it is random, so that crawlers that
/// failed together do not come back together.
pub(crate) fn backoff(
    failures: u32,
    first: Duration,
    longest: Duration,
    random: &mut impl RngExt,
) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    random.random_range(Duration::ZERO..=doubled.min(longest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_is_within_its_bounds(
            failures: u32,
            first in 1..60_000_u64,
            longest in 1..600_000_u64,
            seed: u64,
        ) {
            let (first, longest) = (Duration::from_millis(first), Duration::from_millis(longest));
            let delay = backoff(failures, first, longest, &mut SmallRng::seed_from_u64(seed));
            prop_assert!(delay <= longest);
            if let Ok(exponent @ 0..=20) = u32::try_from(i64::from(failures) - 1) {
                prop_assert!(delay <= first * (1 << exponent));
            }
        }
    }

    #[test]
    fn delays_fill_the_whole_of_their_range() {
        let mut random = SmallRng::seed_from_u64(1);
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(100));
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (7, 64), (8, 100), (50, 100)] {
            let most = Duration::from_secs(most);
            let delays = (0..1000).map(|_| backoff(failures, first, longest, &mut random));
            let (low, high) = delays.fold((most, Duration::ZERO), |(low, high), delay| {
                (low.min(delay), high.max(delay))
            });
            assert!(
                low < most / 20 && high > most * 19 / 20,
                "{failures}: {low:?} to {high:?}"
            );
        }
    }
}
