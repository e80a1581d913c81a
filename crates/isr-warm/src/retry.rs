//! When to try again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use rand::Rng;

/// The delay after some failed attempts: anything from zero up to `first`, doubled for each failure
/// but the first, and never more than `longest`. The whole of it is random, so that crawlers that
/// failed together do not come back together.
pub(crate) fn backoff(
    failures: u32,
    first: Duration,
    longest: Duration,
    random: &mut impl Rng,
) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    random.random_range(Duration::ZERO..=doubled.min(longest))
}

/// The delay that a response asks for by `Retry-After`, in either of its forms (RFC 9110 §10.2.3).
/// What is neither is no request to wait.
pub(crate) fn retry_after(response: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = response.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
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

    #[test]
    fn retry_after_is_read_in_both_its_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let cases = [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ];
        for (value, seconds) in cases {
            let value = HeaderValue::from_str(value).unwrap();
            let response = HeaderMap::from_iter([(header::RETRY_AFTER, value.clone())]);
            assert_eq!(
                retry_after(&response, now),
                seconds.map(Duration::from_secs),
                "{value:?}"
            );
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
