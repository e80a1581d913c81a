//! Variants: the several responses that one URL can have (RFC 9110 §12.5.5).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::vary::VaryRule;

const KEY_BYTES: usize = 16;
const TEXT_LEN: usize = 22;

/// Which variant of a page a response is: 128 bits that stand for the fields its `Vary` names and
/// the values the request had for them (RFC 9111 §4.1).
///
/// The default is the one variant of a page whose responses have no `Vary`. Written as text it is
/// empty, any other 22 characters of base64url.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariantKey(Option<[u8; KEY_BYTES]>);

/// A text that no [`VariantKey`] is written as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("variant key `{input}` is malformed: it is empty or 22 characters of base64url")]
pub struct InvalidVariantKey {
    input: String,
}

impl VariantKey {
    /// The variant that a request selects under a response's `Vary`; `None` under `*`, which no
    /// request selects again.
    ///
    /// A field that is absent differs from one that is empty. Several lines of a field count as one
    /// joined by commas, and whitespace around values does not count (RFC 9111 §4.1); nothing
    /// else about a value is touched.
    #[must_use]
    pub fn select(rule: &VaryRule, request: &HeaderMap) -> Option<Self> {
        let fields = match rule {
            VaryRule::Star => return None,
            VaryRule::Fields(fields) if fields.is_empty() => return Some(Self::default()),
            VaryRule::Fields(fields) => fields,
        };
        let mut hasher = blake3::Hasher::new();
        let mut part = |marker: u8, bytes: &[u8]| {
            // With a marker and a length before each part, no two requests run into one another.
            hasher.update(&[marker]);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for field in fields {
            part(b'f', field.as_str().as_bytes());
            let lines = request
                .get_all(field)
                .iter()
                .map(|value| value.as_bytes().trim_ascii());
            let lines: Vec<&[u8]> = lines.collect();
            if !lines.is_empty() {
                part(b'v', &lines.join(&b","[..]));
            }
        }
        let mut key = [0; KEY_BYTES];
        hasher.finalize_xof().fill(&mut key);
        Some(Self(Some(key)))
    }

    /// Whether this is the one variant of a page without `Vary`.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for VariantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(key) = self.0 else { return f.pad("") };
        let mut text = [0; TEXT_LEN];
        URL_SAFE_NO_PAD
            .encode_slice(key, &mut text)
            .expect("16 bytes are 22 characters");
        f.pad(std::str::from_utf8(&text).expect("base64url is ASCII"))
    }
}

impl fmt::Debug for VariantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VariantKey({self})")
    }
}

impl FromStr for VariantKey {
    type Err = InvalidVariantKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let key = URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        match key {
            Some(key) => Ok(Self(Some(key))),
            None => Err(InvalidVariantKey {
                input: crate::excerpt::excerpt(text),
            }),
        }
    }
}

impl Serialize for VariantKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VariantKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, ACCEPT_LANGUAGE};
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn request(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn key(fields: &[HeaderName], lines: &[(HeaderName, &str)]) -> VariantKey {
        VariantKey::select(&VaryRule::Fields(fields.into()), &request(lines)).unwrap()
    }

    #[test]
    fn without_vary_there_is_one_variant() {
        assert_eq!(key(&[], &[(ACCEPT, "text/html")]), VariantKey::default());
        assert_eq!(VariantKey::default().to_string(), "");
    }

    #[test]
    fn a_star_selects_nothing() {
        assert_eq!(VariantKey::select(&VaryRule::Star, &HeaderMap::new()), None);
    }

    #[test]
    fn values_select_and_everything_else_does_not() {
        let fields = [ACCEPT, ACCEPT_LANGUAGE];
        let german = key(&fields, &[(ACCEPT_LANGUAGE, "de")]);
        assert_eq!(german, key(&fields, &[(ACCEPT_LANGUAGE, " de ")]));
        assert_eq!(
            german,
            key(
                &fields,
                &[(ACCEPT_LANGUAGE, "de"), (http::header::HOST, "h")]
            )
        );
        let others = [
            key(&fields, &[(ACCEPT_LANGUAGE, "en")]),
            key(&fields, &[(ACCEPT_LANGUAGE, "DE")]),
            key(&fields, &[(ACCEPT_LANGUAGE, "de"), (ACCEPT, "")]),
            key(&fields, &[(ACCEPT, "de")]),
            key(&fields, &[]),
            key(&[ACCEPT_LANGUAGE], &[(ACCEPT_LANGUAGE, "de")]),
        ];
        for other in others {
            assert_ne!(german, other);
        }
    }

    #[test]
    fn lines_of_a_field_count_as_one() {
        let one = key(&[ACCEPT], &[(ACCEPT, "a,b")]);
        assert_eq!(one, key(&[ACCEPT], &[(ACCEPT, "a"), (ACCEPT, "b")]));
        assert_ne!(one, key(&[ACCEPT], &[(ACCEPT, "b"), (ACCEPT, "a")]));
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in [
            "x",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAAAAAAAAAAAA+",
            "\u{e9}",
        ] {
            assert!(text.parse::<VariantKey>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_key_reads_back_as_it_was_written(value in "[ -~]{0,20}") {
            let key = key(&[ACCEPT], &[(ACCEPT, &value)]);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            let json = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(serde_json::from_str::<VariantKey>(&json).unwrap(), key);
        }
    }
}
