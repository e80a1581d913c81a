//! Tags: the labels by which pages are found again when data changes.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::excerpt::excerpt;

/// A label on pages, such as `post:42`, by which they are invalidated together.
///
/// A tag is 1 to [`Tag::MAX_LEN`] bytes of printable ASCII (0x21 to 0x7e) without comma and double
/// quote, and does not begin with `#`. That is what the tag header and purge API of nearly every CDN
/// can carry; where one takes less, its [`TagHeaderLimits`](crate::TagHeaderLimits) say so, and pages
/// are purged there by their URLs.
/// It is kept in lower case, because some CDNs fold case and others do not: tags that differ only in
/// case are one tag. A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// Why a text is not a [`Tag`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tag `{input}` {fault}")]
pub struct InvalidTag {
    input: String,
    fault: TagFault,
}

/// What is wrong with a text that is not a [`Tag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagFault {
    /// Nothing at all.
    #[error("is empty: give at least one character")]
    Empty,
    /// More than [`Tag::MAX_LEN`] bytes.
    #[error("is {len} bytes long: shorten it to {} at most", Tag::MAX_LEN)]
    TooLong {
        /// Length of the text, in bytes.
        len: usize,
    },
    /// A byte outside the grammar.
    #[error(
        "has the byte 0x{byte:02x} at position {position}: use printable ASCII without space, comma \
         and double quote"
    )]
    Byte {
        /// The first byte that is not allowed.
        byte: u8,
        /// Where it stands, counted in bytes from 0.
        position: usize,
    },
    /// A leading `#`, by which `CloudFront` tells tags from paths.
    #[error("begins with `#`: drop it")]
    LeadingHash,
}

impl InvalidTag {
    pub(crate) fn new(input: &str, fault: TagFault) -> Self {
        Self {
            input: excerpt(input),
            fault,
        }
    }

    /// The text that was refused, escaped and shortened to what a log line bears.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> TagFault {
        self.fault
    }
}

impl Tag {
    /// The longest tag, in bytes.
    pub const MAX_LEN: usize = 256;

    /// A tag from its text, folded to lower case.
    ///
    /// # Errors
    ///
    /// A text outside the grammar is refused, never repaired: see [`tag`] for identifiers that may
    /// hold anything.
    pub fn new(text: &str) -> Result<Self, InvalidTag> {
        match fault(text) {
            Some(fault) => Err(InvalidTag::new(text, fault)),
            None if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Ok(Self(text.to_ascii_lowercase().into()))
            }
            None => Ok(Self(text.into())),
        }
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tag `namespace:id`, whatever the two hold: `tag("post", 42)` is `post:42`.
///
/// Bytes that a tag cannot hold are percent-encoded, and so are `%` itself and, in the namespace,
/// `:` and `#`. Hence two pairs make the same tag only when they differ in nothing but the case of
/// ASCII letters. A tag that would be longer than [`Tag::MAX_LEN`] is cut and closed with `~` and
/// 128 bits of the BLAKE3 hash of its whole text, in hexadecimal.
///
/// ```
/// use isr_core::tag;
///
/// assert_eq!(tag("post", 42).as_str(), "post:42");
/// assert_eq!(tag("Author", "Ann Lee").as_str(), "author:ann%20lee");
/// ```
#[must_use]
pub fn tag(namespace: &str, id: impl fmt::Display) -> Tag {
    let mut encoder = Encoder {
        text: String::with_capacity(namespace.len() + 24),
        strict: true,
    };
    encoder.push(namespace);
    encoder.text.push(':');
    encoder.strict = false;
    write!(encoder, "{id}").expect("a Display implementation returned an error of its own");
    Tag(shortened(encoder.text).into())
}

/// The pseudo-tag of one build of the application, `build:<id>`: bound to every page, it lets a
/// deployment invalidate what the build before it rendered.
#[must_use]
pub fn build_tag(build_id: &str) -> Tag {
    tag("build", build_id)
}

/// Percent-encodes what is written to it into the grammar of a tag.
struct Encoder {
    text: String,
    /// Whether `:` and `#` are encoded too.
    strict: bool,
}

impl Encoder {
    fn push(&mut self, part: &str) {
        for byte in part.bytes() {
            let encode =
                !is_allowed(byte) || byte == b'%' || (self.strict && matches!(byte, b':' | b'#'));
            if encode {
                let triplet = percent_encoding::percent_encode_byte(byte);
                self.text
                    .extend(triplet.chars().map(|c| c.to_ascii_lowercase()));
            } else {
                self.text.push(char::from(byte.to_ascii_lowercase()));
            }
        }
    }
}

impl fmt::Write for Encoder {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.push(part);
        Ok(())
    }
}

/// `text`, or its beginning and the hash of the whole when it is too long.
fn shortened(mut text: String) -> String {
    const HASH_BYTES: usize = 16;
    if text.len() > Tag::MAX_LEN {
        let hash = blake3::hash(text.as_bytes());
        text.truncate(Tag::MAX_LEN - 1 - 2 * HASH_BYTES);
        text.push('~');
        for byte in &hash.as_bytes()[..HASH_BYTES] {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    text
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b'"')
}

fn fault(text: &str) -> Option<TagFault> {
    let offending = || {
        let (position, byte) = text
            .bytes()
            .enumerate()
            .find(|(_, byte)| !is_allowed(*byte))?;
        Some(TagFault::Byte { byte, position })
    };
    match text.len() {
        0 => Some(TagFault::Empty),
        len if len > Tag::MAX_LEN => Some(TagFault::TooLong { len }),
        _ if text.starts_with('#') => Some(TagFault::LeadingHash),
        _ => offending(),
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Tag {
    type Error = InvalidTag;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
