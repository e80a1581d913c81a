//! How durations and times are written in queries.

use std::str::FromStr;
use std::time::Duration;

use edge_isr::core::Timestamp;

/// Reads a duration: `30s`, `1h30m`, or seconds as a number.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let seconds = || Duration::try_from_secs_f64(text.parse().ok()?).ok();
    let read = humantime::parse_duration(text).ok().or_else(seconds);
    read.ok_or("is no duration such as 30s or 1h30m")
}

/// A time, or how long before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl Moment {
    /// The time that is meant when it is `now`.
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => now.before(ago),
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.parse().map(Self::At);
        at.or_else(|_| duration(text).map(Self::Ago))
            .map_err(|_| "is neither a time such as 2026-12-01T09:00Z nor a duration such as 2h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let now: Timestamp = "2026-12-01T09:00Z".parse().unwrap();
        let read = |text: &str| {
            text.parse::<Moment>()
                .map(|moment| moment.at(now).to_string())
        };
        assert_eq!(read("2h").unwrap(), "2026-12-01T07:00:00Z");
        assert_eq!(read("90").unwrap(), "2026-12-01T08:58:30Z");
        assert_eq!(
            read("2026-11-30T09:00+01:00").unwrap(),
            "2026-11-30T08:00:00Z"
        );
        for text in ["", "yesterday", "-5s", "2026-11-30"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
