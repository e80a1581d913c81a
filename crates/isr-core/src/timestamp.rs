//! Moments of the day, by a store's clock.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// The last moment that can be written with a year of four digits, in milliseconds.
const LAST: u64 = 253_402_300_799_999;
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// A moment by a store's clock, in whole milliseconds since 1970 began, up to the end of the year 9999.
///
/// Written as RFC 3339 has it, `2026-12-01T09:00:00Z`, with milliseconds only where there are any. It is
/// read with any offset, and the seconds may be left out: `2026-12-01T10:00+01:00`.
///
/// What a store says of time rests on its own clock alone: two moments of one store can be compared, and
/// that of a host with none of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(u64);

impl Timestamp {
    /// A moment by the milliseconds since 1970 began; one beyond the year 9999 is its end.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        if milliseconds > LAST {
            Self(LAST)
        } else {
            Self(milliseconds)
        }
    }

    /// The milliseconds since 1970 began.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment so much later; the end of the year 9999 where that is beyond it.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(wait)))
    }

    /// The moment so much earlier; the begin of 1970 where that is before it.
    #[must_use]
    pub fn before(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(millis(wait)))
    }

    /// How long after `earlier` this is; nothing where it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        Self::from_millis(millis(since.unwrap_or_default()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0 / DAY);
        let (minutes, rest) = (self.0 % DAY / MINUTE, self.0 % MINUTE);
        let (hour, minute) = (minutes / 60, minutes % 60);
        let (second, millisecond) = (rest / 1000, rest % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match millisecond {
            0 => f.write_str("Z"),
            some => write!(f, ".{some:03}Z"),
        }
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

/// A text that is not a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a time: expected one as in RFC 3339, from 1970 on, with its offset, such as 2026-12-01T09:00Z \
     or 2026-12-01T10:00:00+01:00"
)]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or(InvalidTimestamp)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// `YYYY-MM-DDThh:mm[:ss[.fraction]](Z|±hh:mm)`.
fn read(text: &str) -> Option<Timestamp> {
    let mut text = Reader(text.as_bytes());
    let (year, month, day) = (
        text.number(4)?,
        text.after(b"-")?.number(2)?,
        text.after(b"-")?.number(2)?,
    );
    let (hour, minute) = (text.after(b"Tt ")?.number(2)?, text.after(b":")?.number(2)?);
    let second = match text.after(b":") {
        Some(text) => text.number(2)?,
        None => 0,
    };
    let millisecond = match text.after(b".") {
        Some(text) => text.fraction()?,
        None => 0,
    };
    let (sign, offset) = match text.next()? {
        b'Z' | b'z' => (1, 0),
        b'+' => (-1, text.offset()?),
        b'-' => (1, text.offset()?),
        _ => return None,
    };
    // A leap second is the one after it, as it is in the count of seconds since 1970.
    let valid = text.0.is_empty()
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    let minutes = days_until(year, month, day) * 24 * 60 + i64::from(hour * 60 + minute);
    let seconds = (minutes + sign * i64::from(offset)) * 60 + i64::from(second);
    let milliseconds = u64::try_from(seconds).ok()? * 1000 + u64::from(millisecond);
    (milliseconds <= LAST).then_some(Timestamp(milliseconds))
}

struct Reader<'t>(&'t [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The rest, where it begins with one of these.
    fn after(&mut self, any: &[u8]) -> Option<&mut Self> {
        let first = self.0.first()?;
        if !any.contains(first) {
            return None;
        }
        self.next();
        Some(self)
    }

    fn number(&mut self, digits: usize) -> Option<u32> {
        let mut number = 0;
        for _ in 0..digits {
            let digit = self.next().filter(u8::is_ascii_digit)?;
            number = number * 10 + u32::from(digit - b'0');
        }
        Some(number)
    }

    /// A fraction of a second in whole milliseconds.
    fn fraction(&mut self) -> Option<u32> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit());
        let count = digits.count();
        let (mut whole, mut scale) = (0, 100);
        for _ in 0..count {
            whole += scale * self.number(1)?;
            scale /= 10;
        }
        (count > 0).then_some(whole)
    }

    /// Minutes that a place is ahead of UTC, or behind it.
    fn offset(&mut self) -> Option<u32> {
        let (hours, minutes) = (self.number(2)?, self.after(b":")?.number(2)?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Days in the 400 years after which the calendar repeats, and from 1 March of the year 0 to 1970.
const ERA: i64 = 146_097;
const BEFORE_1970: i64 = 719_468;

/// Days from the begin of 1970 to a date. The year is counted from March, so that the day which only some
/// years have is its last.
fn days_until(year: u32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - BEFORE_1970
}

/// The date so many days after the begin of 1970.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + BEFORE_1970.unsigned_abs();
    let (era, of_era) = (days / ERA.unsigned_abs(), days % ERA.unsigned_abs());
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis_of(text: &str) -> u64 {
        text.parse::<Timestamp>().unwrap().as_millis()
    }

    #[test]
    fn a_time_is_read_with_and_without_seconds_and_with_any_offset() {
        let nine = 1_796_115_600_000;
        for text in [
            "2026-12-01T09:00Z",
            "2026-12-01t09:00:00z",
            "2026-12-01 10:00+01:00",
            "2026-11-30T23:30:00.000-09:30",
        ] {
            assert_eq!(millis_of(text), nine, "{text}");
        }
        assert_eq!(millis_of("2026-12-01T09:00:00.25Z"), nine + 250);
        assert_eq!(millis_of("2026-12-01T09:00:00.0019999Z"), nine + 1);
        assert_eq!(millis_of("1970-01-01T00:00Z"), 0);
    }

    #[test]
    fn a_time_reads_what_it_prints() {
        let odd = 97 * DAY + 12_345_678;
        for number in (0..4_000).map(|step| step * odd) {
            let time = Timestamp::from_millis(number);
            assert_eq!(time.to_string().parse(), Ok(time), "{time}");
        }
        let last = Timestamp::from_millis(u64::MAX);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(last.to_string().parse(), Ok(last));
        assert_eq!(
            Timestamp::from_millis(951_782_400_000).to_string(),
            "2000-02-29T00:00:00Z"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-12-01",
            "2026-12-01T09:00",
            "2026-12-01T09Z",
            "2026-13-01T09:00Z",
            "2026-02-29T09:00Z",
            "2026-12-00T09:00Z",
            "2026-12-01T24:00Z",
            "2026-12-01T09:60Z",
            "2026-12-01T09:00:61Z",
            "2026-12-01T09:00:00.Z",
            "2026-12-01T09:00Z ",
            "2026-12-01T09:00+1:00",
            "1969-12-31T23:59Z",
            "9999-12-31T23:59-00:01",
            "tomorrow",
            "2026-12-0\u{0661}T09:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text:?}");
        }
    }

    #[test]
    fn moments_are_compared_in_time() {
        let early = Timestamp::from_millis(1_000);
        let late = early.after(Duration::from_secs(5));
        assert_eq!(late.since(early), Duration::from_secs(5));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.before(Duration::from_secs(5)), early);
        assert_eq!(early.before(Duration::from_hours(1)).as_millis(), 0);
    }
}
