//! What the options of connectors are checked by. Nothing here asks anybody.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use http::HeaderName;

use crate::InvalidOption;

/// A number from `least`, which is 1 at least, to `most`.
///
/// # Errors
///
/// When it is none.
pub fn within(
    key: &'static str,
    number: usize,
    least: usize,
    most: usize,
) -> Result<NonZeroUsize, InvalidOption> {
    NonZeroUsize::new(number)
        .filter(|number| (least..=most).contains(&number.get()))
        .ok_or_else(|| {
            let fault = format!("is {number}: use a number from {least} to {most}");
            InvalidOption::new(key, fault)
        })
}

/// A span of time that is not zero, in which something can be done.
///
/// # Errors
///
/// When it is zero.
pub fn positive(key: &'static str, span: Duration) -> Result<Duration, InvalidOption> {
    if span.is_zero() {
        return Err(InvalidOption::new(key, "is zero: give it some time"));
    }
    Ok(span)
}

/// A span of time of `minutes` at most.
///
/// # Errors
///
/// When it is longer.
pub fn at_most_minutes(
    key: &'static str,
    span: Duration,
    minutes: u64,
) -> Result<Duration, InvalidOption> {
    if span > Duration::from_mins(minutes) {
        let fault = format!("is too long: use {minutes}m at most");
        return Err(InvalidOption::new(key, fault));
    }
    Ok(span)
}

/// The name of a header field.
///
/// # Errors
///
/// When no field can have that name.
pub fn header_name(key: &'static str, name: &str) -> Result<HeaderName, InvalidOption> {
    name.parse().map_err(|_| {
        let fault = format!("names `{name}`, which is no header's name");
        InvalidOption::new(key, fault)
    })
}

/// A text that was meant to be a URL, without what may be a user and a password in it.
#[must_use]
pub fn without_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

/// Whether the host of a URL, as a URL library gives it, is this machine: nobody is in between.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_within_their_bounds() {
        for number in [1, 2, 9] {
            assert_eq!(within("n", number, 1, 9).unwrap().get(), number);
        }
        for number in [0, 10, usize::MAX] {
            let text = within("n", number, 1, 9).unwrap_err().to_string();
            assert_eq!(text, format!("n is {number}: use a number from 1 to 9"));
        }
        assert!(within("n", 0, 0, 9).is_err(), "it is never zero");
        assert!(within("n", 299, 300, 9_000).is_err());
    }

    #[test]
    fn spans_are_neither_nothing_nor_too_long() {
        let (tick, minutes) = (Duration::from_nanos(1), Duration::from_mins(5));
        assert_eq!(positive("t", tick), Ok(tick));
        let text = positive("t", Duration::ZERO).unwrap_err().to_string();
        assert_eq!(text, "t is zero: give it some time");
        assert_eq!(at_most_minutes("t", minutes, 5), Ok(minutes));
        let text = at_most_minutes("t", minutes + tick, 5).unwrap_err();
        assert_eq!(text.to_string(), "t is too long: use 5m at most");
    }

    #[test]
    fn a_header_has_a_name() {
        assert_eq!(header_name("h", "X-Tags").unwrap(), "x-tags");
        let text = header_name("h", "a b").unwrap_err().to_string();
        assert_eq!(text, "h names `a b`, which is no header's name");
        assert!(header_name("h", "").is_err());
    }

    #[test]
    fn what_may_be_a_password_is_left_out() {
        assert_eq!(without_user("https://u:p@ss@a/b"), "a/b");
        assert_eq!(without_user("https://a/b"), "https://a/b");
    }

    #[test]
    fn this_machine_has_few_names() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.example",
            "10.0.0.1",
            "[::2]",
            "127.0.0.1.example",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
