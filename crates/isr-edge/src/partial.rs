//! Conditional and range requests, answered from what is stored (RFC 9110 §13, §14).

use std::time::SystemTime;

use http::header::{IF_MODIFIED_SINCE, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue};
use isr_core::{EntityTag, IfNoneMatch};

/// Whether the visitor has the current representation already, so that 304 is the answer: by
/// `If-None-Match`, else by `If-Modified-Since` (RFC 9110 §13.2.2).
pub(crate) fn is_not_modified(
    request: &HeaderMap,
    entity_tag: Option<&EntityTag>,
    last_modified: Option<SystemTime>,
) -> bool {
    if let Some(asked) = IfNoneMatch::of(request) {
        return match entity_tag {
            Some(current) => asked.matches(current),
            None => asked == IfNoneMatch::Any,
        };
    }
    let since = request.get(IF_MODIFIED_SINCE).and_then(http_date);
    since
        .zip(last_modified)
        .is_some_and(|(since, modified)| modified <= since)
}

/// What a request wants of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// These bytes, the last one included.
    Bytes {
        /// The first, from 0.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Bytes that it does not have.
    Unsatisfiable,
}

/// What a GET wants of a representation of `length` bytes. Ranges that are malformed or several are
/// not taken up, as is allowed (RFC 9110 §14.2), and neither is one whose `If-Range` names another
/// representation (§13.1.5).
pub(crate) fn wanted_part(
    request: &HeaderMap,
    length: u64,
    entity_tag: Option<&EntityTag>,
    last_modified: Option<SystemTime>,
) -> Part {
    let mut lines = request.get_all(RANGE).iter();
    let (Some(range), None) = (lines.next(), lines.next()) else {
        return Part::Whole;
    };
    if let Some(condition) = request.get(IF_RANGE)
        && !is_same(condition, entity_tag, last_modified)
    {
        return Part::Whole;
    }
    read_range(range.as_bytes(), length).unwrap_or(Part::Whole)
}

/// Compares strongly: what is appended to other bytes must be of the very same ones.
fn is_same(
    condition: &HeaderValue,
    entity_tag: Option<&EntityTag>,
    last_modified: Option<SystemTime>,
) -> bool {
    let tag = condition
        .to_str()
        .ok()
        .and_then(|text| text.parse::<EntityTag>().ok());
    match tag {
        Some(tag) => entity_tag.is_some_and(|current| current.strong_eq(&tag)),
        None => http_date(condition).is_some_and(|date| last_modified == Some(date)),
    }
}

fn read_range(range: &[u8], length: u64) -> Option<Part> {
    let range = std::str::from_utf8(range).ok()?;
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    if first.is_empty() {
        let suffix = number(last)?;
        if suffix == 0 || length == 0 {
            return Some(Part::Unsatisfiable);
        }
        return Some(Part::Bytes {
            first: length.saturating_sub(suffix),
            last: length - 1,
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < first {
        return None;
    }
    if first >= length {
        return Some(Part::Unsatisfiable);
    }
    Some(Part::Bytes {
        first,
        last: last.min(length - 1),
    })
}

fn number(digits: &str) -> Option<u64> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn http_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn modified() -> Option<SystemTime> {
        httpdate::parse_http_date(MODIFIED).ok()
    }

    #[test]
    fn whoever_has_the_representation_is_told_so() {
        let rows: &[(&[(&'static str, &str)], bool)] = &[
            (&[], false),
            (&[("if-none-match", "\"a\"")], true),
            (&[("if-none-match", "W/\"a\", \"b\"")], true),
            (&[("if-none-match", "*")], true),
            (&[("if-none-match", "\"b\"")], false),
            (
                &[("if-none-match", "\"b\""), ("if-modified-since", LATER)],
                false,
            ),
            (&[("if-modified-since", LATER)], true),
            (&[("if-modified-since", MODIFIED)], true),
            (&[("if-modified-since", EARLIER)], false),
            (&[("if-modified-since", "yesterday")], false),
        ];
        let tag = "\"a\"".parse().unwrap();
        for (lines, expected) in rows {
            let answer = is_not_modified(&map(lines), Some(&tag), modified());
            assert_eq!(answer, *expected, "{lines:?}");
        }
        assert!(!is_not_modified(
            &map(&[("if-none-match", "\"a\"")]),
            None,
            modified()
        ));
    }

    #[test]
    fn one_range_of_bytes_is_served_and_anything_else_is_the_whole() {
        let bytes = |first, last| Part::Bytes { first, last };
        let rows = [
            ("bytes=0-0", bytes(0, 0)),
            ("bytes=2-", bytes(2, 9)),
            ("bytes=2-99", bytes(2, 9)),
            ("Bytes=-3", bytes(7, 9)),
            ("bytes=-99", bytes(0, 9)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=3-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes", Part::Whole),
        ];
        for (range, expected) in rows {
            let part = wanted_part(&map(&[("range", range)]), 10, None, None);
            assert_eq!(part, expected, "{range}");
        }
    }

    #[test]
    fn a_range_of_another_representation_is_not_served() {
        let strong: EntityTag = "\"a\"".parse().unwrap();
        let weak = strong.weakened();
        let rows = [
            ("\"a\"", &strong, true),
            ("\"b\"", &strong, false),
            ("\"a\"", &weak, false),
            (MODIFIED, &strong, true),
            (LATER, &strong, false),
        ];
        for (condition, current, taken) in rows {
            let request = map(&[("range", "bytes=0-1"), ("if-range", condition)]);
            let part = wanted_part(&request, 10, Some(current), modified());
            assert_eq!(part != Part::Whole, taken, "{condition}");
        }
    }
}
