//! Entity tags: the validators of responses (RFC 9110 §8.8.3).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

use crate::excerpt::excerpt;

/// An entity tag: an opaque name for one state of a representation.
///
/// Opaque names are read if they consist of visible ASCII. Ones with other bytes, which RFC 9110
/// allows for the sake of old servers, are refused, and then nothing is validated with them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntityTag {
    weak: bool,
    opaque: Arc<str>,
}

/// A text that is no entity tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entity tag `{input}` is malformed: write it in double quotes, with W/ before it if weak")]
pub struct InvalidEntityTag {
    input: String,
}

impl EntityTag {
    /// The strong entity tag of a body: 128 bits of its BLAKE3 hash in base64url.
    ///
    /// The body is the one that is sent, after any content coding: strong entity tags promise equal
    /// bytes (§8.8.1).
    #[must_use]
    pub fn of_body(body: &[u8]) -> Self {
        let mut hash = [0; 16];
        blake3::Hasher::new()
            .update(body)
            .finalize_xof()
            .fill(&mut hash);
        Self {
            weak: false,
            opaque: URL_SAFE_NO_PAD.encode(hash).into(),
        }
    }

    /// The entity tag of a response, when it has a well-formed one.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Option<Self> {
        response.get(ETAG)?.to_str().ok()?.parse().ok()
    }

    /// The same name as a weak entity tag: for a response that was coded or changed on the way.
    #[must_use]
    pub fn weakened(&self) -> Self {
        Self {
            weak: true,
            opaque: self.opaque.clone(),
        }
    }

    /// Whether it is weak: equal names then promise equal meaning, not equal bytes.
    #[must_use]
    pub const fn is_weak(&self) -> bool {
        self.weak
    }

    /// The name, without its quotes.
    #[must_use]
    pub fn opaque(&self) -> &str {
        &self.opaque
    }

    /// Weak comparison (§8.8.3.2): equal names, weak or not. For `If-None-Match`.
    #[must_use]
    pub fn weak_eq(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }

    /// Strong comparison (§8.8.3.2): equal names, and neither weak. For `If-Match` and `If-Range`.
    #[must_use]
    pub fn strong_eq(&self, other: &Self) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// The value of an `ETag` field.
    #[must_use]
    pub fn to_value(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("entity tags are visible ASCII")
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\"{}\"",
            if self.weak { "W/" } else { "" },
            self.opaque
        )
    }
}

impl FromStr for EntityTag {
    type Err = InvalidEntityTag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match entity_tag(text.as_bytes()) {
            Some((tag, [])) => Ok(tag),
            _ => Err(InvalidEntityTag {
                input: excerpt(text),
            }),
        }
    }
}

/// What an `If-None-Match` asks (RFC 9110 §13.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfNoneMatch {
    /// `*`: whether there is any current representation.
    Any,
    /// Whether the current representation is one of these.
    OneOf(Vec<EntityTag>),
}

impl IfNoneMatch {
    /// The most entity tags that are read of a request; the rest are ignored, which costs the visitor
    /// a body and nothing else.
    pub const MOST: usize = 64;

    /// Reads every `If-None-Match` line of a request; `None` when there is none. Malformed members
    /// are skipped.
    #[must_use]
    pub fn of(request: &HeaderMap) -> Option<Self> {
        let mut lines = request
            .get_all(IF_NONE_MATCH)
            .iter()
            .map(HeaderValue::as_bytes)
            .peekable();
        lines.peek()?;
        let mut tags = Vec::new();
        for line in lines {
            if line.trim_ascii() == b"*" {
                return Some(Self::Any);
            }
            read_list(line, &mut tags);
        }
        Some(Self::OneOf(tags))
    }

    /// Whether the condition is false for a representation with this entity tag, so that a GET or
    /// HEAD is answered with 304: weak comparison (§13.1.2).
    #[must_use]
    pub fn matches(&self, current: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag.weak_eq(current)),
        }
    }
}

/// Appends the well-formed members of one line, up to the limit.
fn read_list(line: &[u8], tags: &mut Vec<EntityTag>) {
    let mut rest = line;
    while !rest.is_empty() && tags.len() < IfNoneMatch::MOST {
        rest = rest.trim_ascii_start();
        match entity_tag(rest) {
            Some((tag, after)) if matches!(after.trim_ascii_start(), [] | [b',', ..]) => {
                tags.push(tag);
                rest = after.trim_ascii_start();
            }
            _ => {}
        }
        // A name may hold commas, so only what did not parse is skipped by them.
        rest = match rest.iter().position(|byte| *byte == b',') {
            Some(comma) => &rest[comma + 1..],
            None => &[],
        };
    }
}

/// Reads one entity tag at the beginning of `text`, and gives what follows it.
fn entity_tag(text: &[u8]) -> Option<(EntityTag, &[u8])> {
    let (weak, quoted) = match text.strip_prefix(b"W/") {
        Some(quoted) => (true, quoted),
        None => (false, text),
    };
    let opaque = quoted.strip_prefix(b"\"")?;
    let end = opaque.iter().position(|byte| *byte == b'"')?;
    let (opaque, after) = (&opaque[..end], &opaque[end + 1..]);
    if !opaque.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let opaque = std::str::from_utf8(opaque).ok()?.into();
    Some((EntityTag { weak, opaque }, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strong(opaque: &str) -> EntityTag {
        EntityTag {
            weak: false,
            opaque: opaque.into(),
        }
    }

    #[test]
    fn well_formed_tags_are_read_and_others_refused() {
        let rows = [
            ("\"a\"", Some(strong("a"))),
            ("W/\"a\"", Some(strong("a").weakened())),
            ("\"\"", Some(strong(""))),
            ("\"a,b\\\"", Some(strong("a,b\\"))),
            ("w/\"a\"", None),
            ("W/ \"a\"", None),
            ("a", None),
            ("\"a", None),
            ("\"a\"b", None),
            ("\"a b\"", None),
            ("\"\u{e9}\"", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<EntityTag>().ok(), expected, "for {text}");
        }
    }

    #[test]
    fn comparison_follows_the_table_of_the_standard() {
        let (weak, strong_one, other) = (strong("1").weakened(), strong("1"), strong("2"));
        let rows = [
            (&weak, &weak, false, true),
            (&weak, &other.weakened(), false, false),
            (&weak, &strong_one, false, true),
            (&strong_one, &strong_one, true, true),
            (&strong_one, &other, false, false),
        ];
        for (one, two, strongly, weakly) in rows {
            assert_eq!(
                (one.strong_eq(two), one.weak_eq(two)),
                (strongly, weakly),
                "{one} {two}"
            );
        }
    }

    #[test]
    fn lists_are_read_past_what_is_malformed() {
        let rows: &[(&[&str], Option<IfNoneMatch>)] = &[
            (&[], None),
            (&[""], Some(IfNoneMatch::OneOf(vec![]))),
            (&["*"], Some(IfNoneMatch::Any)),
            (&["\"a\"", " * "], Some(IfNoneMatch::Any)),
            (&["\"a\", W/\"b,c\" ,\"d\""], Some(list(&["a", "b,c", "d"]))),
            (&["\"a\",,", "\"b\""], Some(list(&["a", "b"]))),
            (&["bare, \"b\""], Some(list(&["b"]))),
            (&["\"a\"x, \"b\""], Some(list(&["b"]))),
            (&["\"a\", \"unclosed"], Some(list(&["a"]))),
            (&["\"*\""], Some(list(&["*"]))),
        ];
        for (lines, expected) in rows {
            let read = IfNoneMatch::of(&request(lines));
            match (&read, expected) {
                (Some(IfNoneMatch::OneOf(read)), Some(IfNoneMatch::OneOf(expected))) => {
                    let names = |tags: &[EntityTag]| -> Vec<String> {
                        tags.iter().map(|tag| tag.opaque().to_owned()).collect()
                    };
                    assert_eq!(names(read), names(expected), "for {lines:?}");
                }
                _ => assert_eq!(read, *expected, "for {lines:?}"),
            }
        }
    }

    fn list(names: &[&str]) -> IfNoneMatch {
        IfNoneMatch::OneOf(names.iter().map(|name| strong(name)).collect())
    }

    fn request(lines: &[&str]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|line| (IF_NONE_MATCH, HeaderValue::from_str(line).unwrap()));
        lines.collect()
    }

    #[test]
    fn a_long_list_is_cut() {
        let line = vec!["\"x\""; 1000].join(",");
        let Some(IfNoneMatch::OneOf(tags)) = IfNoneMatch::of(&request(&[&line])) else {
            panic!("not a list");
        };
        assert_eq!(tags.len(), IfNoneMatch::MOST);
    }

    #[test]
    fn equal_bodies_have_equal_tags() {
        let tag = EntityTag::of_body(b"hello");
        assert_eq!(tag, EntityTag::of_body(b"hello"));
        assert!(!tag.is_weak() && !tag.weak_eq(&EntityTag::of_body(b"hello ")));
        assert_eq!(tag.opaque().len(), 22);
        let response = HeaderMap::from_iter([(ETAG, tag.to_value())]);
        assert_eq!(EntityTag::of(&response), Some(tag));
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(weak: bool, opaque in "[!#-~]{0,30}") {
            let tag = EntityTag { weak, opaque: opaque.into() };
            prop_assert_eq!(tag.to_string().parse::<EntityTag>(), Ok(tag.clone()));
            let both = format!("{tag} , {}", tag.weakened());
            let expected = IfNoneMatch::OneOf(vec![tag.clone(), tag.weakened()]);
            prop_assert_eq!(IfNoneMatch::of(&request(&[&both])), Some(expected));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = IfNoneMatch::of(&HeaderMap::from_iter([(IF_NONE_MATCH, value.clone())]));
                let _ = EntityTag::of(&HeaderMap::from_iter([(ETAG, value)]));
            }
        }
    }
}
