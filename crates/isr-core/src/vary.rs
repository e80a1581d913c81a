//! `Vary`: which request header fields select a variant (RFC 9110 §12.5.5).

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

/// What the `Vary` of a response says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaryRule {
    /// Something besides header fields, or more than can be kept: no stored response ever matches
    /// another request (RFC 9111 §4.1).
    Star,
    /// These request header fields, sorted and each once; none when there is no `Vary`.
    Fields(Box<[HeaderName]>),
}

impl VaryRule {
    /// The most fields that are told apart; a response with more of them is treated as `*`.
    pub const MOST_FIELDS: usize = 32;

    /// Reads every `Vary` line of a response. A member that is no field name counts as `*`, because
    /// what it meant cannot be compared.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Self {
        let mut fields = Vec::new();
        for member in members(response) {
            match HeaderName::from_bytes(member) {
                Ok(field) if field != "*" => fields.push(field),
                _ => return Self::Star,
            }
            // Checked while reading, so that a hostile origin cannot make the list long.
            if fields.len() > 4 * Self::MOST_FIELDS {
                return Self::Star;
            }
        }
        fields.sort_unstable_by(|one, two| one.as_str().cmp(two.as_str()));
        fields.dedup();
        if fields.len() > Self::MOST_FIELDS {
            Self::Star
        } else {
            Self::Fields(fields.into())
        }
    }
}

/// The `Vary` of a response that has `existing` headers and varies on the fields of `add` too.
///
/// Members keep their order and their first spelling, and are compared without regard to case. `*`
/// swallows everything else, and so do more than [`VaryRule::MOST_FIELDS`] members. `None` when
/// there is nothing to say, or when what there was is no text that a header can carry on.
#[must_use]
pub fn merge(existing: &HeaderMap, add: &[HeaderName]) -> Option<HeaderValue> {
    let mut merged: Vec<&[u8]> = Vec::new();
    for member in members(existing).chain(add.iter().map(|field| field.as_str().as_bytes())) {
        let is_known = merged
            .iter()
            .any(|known| known.eq_ignore_ascii_case(member));
        if !is_known {
            merged.push(member);
        }
        if member == b"*" || merged.len() > VaryRule::MOST_FIELDS {
            return Some(HeaderValue::from_static("*"));
        }
    }
    if merged.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&merged.join(&b", "[..])).ok()
}

/// The members of every `Vary` line, without the empty ones.
fn members(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(VARY).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, ACCEPT_ENCODING, COOKIE};

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (VARY, HeaderValue::from_str(line).unwrap()))
            .collect()
    }

    #[test]
    fn merging_keeps_order_and_spelling_and_drops_repetitions() {
        let rows: &[(&[&str], &[HeaderName], Option<&str>)] = &[
            (&[], &[], None),
            (&[""], &[], None),
            (&[" , "], &[ACCEPT], Some("accept")),
            (
                &["Accept-Encoding"],
                &[ACCEPT_ENCODING],
                Some("Accept-Encoding"),
            ),
            (
                &["Accept-Encoding", "ACCEPT"],
                &[ACCEPT, COOKIE],
                Some("Accept-Encoding, ACCEPT, cookie"),
            ),
            (&["Cookie,cookie , COOKIE"], &[], Some("Cookie")),
            (&["*"], &[ACCEPT], Some("*")),
            (&["Accept, *"], &[], Some("*")),
            (&["Accept"], &[HeaderName::from_static("*")], Some("*")),
        ];
        for (existing, add, expected) in rows {
            let merged = merge(&headers(existing), add);
            assert_eq!(
                merged.as_ref().map(|value| value.to_str().unwrap()),
                *expected
            );
        }
    }

    #[test]
    fn the_rule_of_a_response_is_sorted_or_a_star() {
        let fields = |names: &[HeaderName]| VaryRule::Fields(names.into());
        let rows: &[(&[&str], VaryRule)] = &[
            (&[], fields(&[])),
            (&["", ","], fields(&[])),
            (&["Cookie, Accept", "accept"], fields(&[ACCEPT, COOKIE])),
            (&["Accept, *"], VaryRule::Star),
            (&["two words"], VaryRule::Star),
            (&["\"quoted\""], VaryRule::Star),
        ];
        for (lines, expected) in rows {
            assert_eq!(VaryRule::of(&headers(lines)), *expected, "{lines:?}");
        }
    }

    #[test]
    fn too_many_fields_are_a_star() {
        let list = |count| {
            (0..count)
                .map(|n| format!("x-{n}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        assert!(matches!(
            VaryRule::of(&headers(&[&list(32)])),
            VaryRule::Fields(_)
        ));
        assert_eq!(VaryRule::of(&headers(&[&list(33)])), VaryRule::Star);
        assert_eq!(VaryRule::of(&headers(&[&list(4000)])), VaryRule::Star);
        assert_eq!(
            merge(&headers(&[&list(32)]), &[])
                .unwrap()
                .to_str()
                .unwrap(),
            list(32).replace(',', ", ")
        );
        assert_eq!(merge(&headers(&[&list(32)]), &[ACCEPT]).unwrap(), "*");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(lines in proptest::collection::vec(proptest::collection::vec(32_u8..=255, 0..60), 0..4)) {
            let mut headers = HeaderMap::new();
            for line in &lines {
                if let Ok(value) = HeaderValue::from_bytes(line) {
                    headers.append(VARY, value);
                }
            }
            let merged = merge(&headers, &[http::header::ACCEPT]);
            if let (VaryRule::Fields(fields), Some(merged)) = (VaryRule::of(&headers), merged) {
                let headers = HeaderMap::from_iter([(VARY, merged)]);
                if let VaryRule::Fields(all) = VaryRule::of(&headers) {
                    assert!(fields.iter().all(|field| all.contains(field)));
                }
            }
        }
    }
}
