//! How durations, sizes and secrets are written.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use isr_core::Secret;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration: `"5m"`, `"1h30m"`, `"250ms"`, or seconds as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Span(pub(in super::super) Duration);

impl Span {
    pub(super) const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    pub(super) const fn millis(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    fn parse(text: &str) -> Option<Self> {
        let seconds = || {
            text.parse()
                .ok()
                .and_then(|count| Duration::try_from_secs_f64(count).ok())
        };
        humantime::parse_duration(text)
            .ok()
            .or_else(seconds)
            .map(Self)
    }
}

const A_DURATION: &str =
    "a duration such as \"250ms\", \"5m\" or \"1h30m\", or a number of seconds";

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber {
            expected: A_DURATION,
            read: Self::parse,
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = humantime::format_duration(self.0).to_string();
        f.write_str(&text.replace(' ', ""))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A size: `"256MiB"`, `"1GB"`, or bytes as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Size(pub(in super::super) u64);

impl Size {
    pub(in super::super) const fn kibibytes(count: u64) -> Self {
        Self(count * 1024)
    }

    pub(in super::super) const fn mebibytes(count: u64) -> Self {
        Self::kibibytes(count * 1024)
    }

    pub(in super::super) const fn gibibytes(count: u64) -> Self {
        Self::mebibytes(count * 1024)
    }

    /// The largest unit that it is whole numbers of, and how many.
    fn in_units(self) -> Option<(u64, &'static str)> {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let whole = |(_, unit): &(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*unit);
        let (name, unit) = units.into_iter().find(whole)?;
        Some((self.0 / unit, name))
    }

    fn parse(text: &str) -> Option<Self> {
        text.parse::<ByteSize>()
            .ok()
            .map(|size| Self(size.as_u64()))
    }
}

const A_SIZE: &str = "a size such as \"256MiB\" or \"1GB\", or a number of bytes";

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber {
            expected: A_SIZE,
            read: Self::parse,
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.in_units() {
            Some((count, unit)) => write!(f, "{count}{unit}"),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.in_units() {
            Some(_) => serializer.collect_str(self),
            None => serializer.serialize_u64(self.0),
        }
    }
}

/// A secret: read like any text, written as `***`.
#[derive(Debug, Clone)]
pub(in super::super) struct HiddenText(pub(in super::super) Secret);

impl<'de> Deserialize<'de> for HiddenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hidden;

        impl Visitor<'_> for Hidden {
            type Value = HiddenText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HiddenText, E> {
                Ok(HiddenText(Secret::new(text)))
            }
        }

        // Whatever stands there instead may be a secret written wrongly, so it is not repeated.
        let refused = |_| D::Error::custom("must be a text in quotes");
        deserializer.deserialize_str(Hidden).map_err(refused)
    }
}

impl Serialize for HiddenText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// Reads a text in some notation; a number is read like the text of its digits.
struct TextOrNumber<T> {
    expected: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> TextOrNumber<T> {
    fn read<E: Error>(&self, text: &str) -> Result<T, E> {
        let refused = || E::custom(format_args!("is `{text}`: expected {}", self.expected));
        (self.read)(text).ok_or_else(refused)
    }
}

impl<T> Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.read(text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.read(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.read(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.read(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn durations_are_texts_with_units_or_numbers_of_seconds() {
        let cases = [
            (r#""250ms""#, Some(250)),
            (r#""5m""#, Some(300_000)),
            (r#""1h30m""#, Some(5_400_000)),
            (r#""7""#, Some(7000)),
            ("7", Some(7000)),
            ("0.5", Some(500)),
            ("-1", None),
            (r#""soon""#, None),
            (r#""""#, None),
            ("true", None),
        ];
        for (json, millis) in cases {
            let expected = millis.map(|count| Span(Duration::from_millis(count)));
            assert_eq!(read::<Span>(json), expected, "{json}");
        }
    }

    #[test]
    fn sizes_are_texts_with_units_or_numbers_of_bytes() {
        let cases = [
            (r#""256MiB""#, Some(256 << 20)),
            (r#""1GB""#, Some(1_000_000_000)),
            ("4096", Some(4096)),
            (r#""4096""#, Some(4096)),
            ("-1", None),
            (r#""lots""#, None),
        ];
        for (json, bytes) in cases {
            assert_eq!(read::<Size>(json), bytes.map(Size), "{json}");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for millis in [0, 250, 5000, 5_400_000, 86_400_000] {
            let span = Span(Duration::from_millis(millis));
            let written = serde_json::to_string(&span).unwrap();
            assert_eq!(read::<Span>(&written), Some(span), "{written}");
        }
        for bytes in [0, 1000, 1024, 256 << 20, 3 << 30] {
            let written = serde_json::to_string(&Size(bytes)).unwrap();
            assert_eq!(read::<Size>(&written), Some(Size(bytes)), "{written}");
        }
    }

    #[test]
    fn a_secret_is_neither_written_nor_repeated() {
        let hidden: HiddenText = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(serde_json::to_string(&hidden).unwrap(), r#""***""#);
        assert!(!format!("{hidden:?}").contains("hunter2"));
        let error = serde_json::from_str::<HiddenText>("271828").unwrap_err();
        assert!(!error.to_string().contains("271828"), "{error}");
    }
}
