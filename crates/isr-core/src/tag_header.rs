//! Tag headers: how tags travel with a response.

mod escape;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, List, ListEntry, ListSerializer, Parser, StringRef};

use crate::tag::{InvalidTag, Tag};
use crate::tag_set::TagSet;

/// A response header field that lists tags, with its grammar.
///
/// Members are never matched or cut apart in any other way than the grammar says, and an empty
/// member is no tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TagHeader {
    /// `Cache-Tag`, separated by commas: Cloudflare, Google Cloud CDN, Netlify.
    CacheTag,
    /// `Surrogate-Key`, written with spaces (Fastly) and read with commas too (Souin).
    SurrogateKey,
    /// `Edge-Cache-Tag`, separated by commas: Akamai. See [`TagHeader::encode`].
    EdgeCacheTag,
    /// `xkey`, written with spaces and read with commas too: Varnish's `vmod_xkey`.
    XKey,
    /// `Cache-Groups`, a structured list of strings (RFC 9875 §2).
    CacheGroups,
    /// A field with a name of the user's choice, as `CloudFront` has it.
    Custom {
        /// The field's name.
        name: HeaderName,
        /// What stands between its members.
        separator: TagSeparator,
    },
}

/// What stands between the members of a tag header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TagSeparator {
    /// A comma; whitespace beside it does not count.
    Comma,
    /// Whitespace.
    Space,
    /// Either when read, a space when written.
    CommaOrSpace,
}

/// How much of a tag header a CDN takes. What goes beyond is dropped there without a word, and the
/// page can then not be purged by the tags that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagHeaderLimits {
    /// The most bytes of the field's value.
    pub bytes: usize,
    /// The most tags.
    pub tags: usize,
    /// The most bytes of one tag, as it is written.
    pub tag_bytes: usize,
}

/// What was found besides tags when tag headers were read.
///
/// A response whose tags were not all taken cannot be invalidated by those left out, so it must
/// not be kept as if it could: see [`TagHeaderReport::is_complete`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct TagHeaderReport {
    /// How many members were no valid tag.
    pub rejected: usize,
    /// The first few of those.
    pub examples: Vec<InvalidTag>,
    /// How many valid tags did not fit the set.
    pub dropped: usize,
    /// How many fields could not be read at all.
    pub malformed: usize,
}

/// Why tags cannot be written into a header: all of them must fit, or none is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagsDoNotFit {
    /// There are no tags, where pages are found by nothing else.
    #[error("no tags, and a tier finds pages by `{header}` alone: give the page a tag")]
    None {
        /// The field.
        header: HeaderName,
    },
    /// More tags than the field may have.
    #[error("{count} tags, and `{header}` takes {limit}: use tags that stand for groups")]
    TooMany {
        /// The field.
        header: HeaderName,
        /// How many tags there are.
        count: usize,
        /// How many it takes.
        limit: usize,
    },
    /// One tag is longer than the field allows.
    #[error("tag `{tag}` has {len} bytes in `{header}`, which takes {limit}: shorten it")]
    TagTooLong {
        /// The field.
        header: HeaderName,
        /// The tag.
        tag: Tag,
        /// Its length in bytes, as it would be written.
        len: usize,
        /// The most bytes of a tag.
        limit: usize,
    },
    /// The value would be longer than the field allows.
    #[error("tags of {len} bytes, and `{header}` takes {limit}: use fewer or shorter tags")]
    TooLong {
        /// The field.
        header: HeaderName,
        /// The length of the value, in bytes.
        len: usize,
        /// The most bytes of a value.
        limit: usize,
    },
}

impl TagHeader {
    /// The tag headers that have a name of their own.
    pub const KNOWN: [Self; 5] = [
        Self::CacheTag,
        Self::SurrogateKey,
        Self::EdgeCacheTag,
        Self::XKey,
        Self::CacheGroups,
    ];

    /// The field's name.
    #[must_use]
    pub fn name(&self) -> HeaderName {
        match self {
            Self::CacheTag => HeaderName::from_static("cache-tag"),
            Self::SurrogateKey => HeaderName::from_static("surrogate-key"),
            Self::EdgeCacheTag => HeaderName::from_static("edge-cache-tag"),
            Self::XKey => HeaderName::from_static("xkey"),
            Self::CacheGroups => HeaderName::from_static("cache-groups"),
            Self::Custom { name, .. } => name.clone(),
        }
    }

    /// How much the field takes where nothing else is known. Vendors change these; a connector
    /// states its own.
    ///
    /// `Cache-Tag`: 16 KiB (Cloudflare). `Surrogate-Key`: 16,384 bytes of keys up to 1,024 (Fastly).
    /// `Edge-Cache-Tag`: 128 tags of 128 bytes (Akamai). `xkey`: 7,500 bytes, since Varnish takes
    /// header lines of 8,000. `Cache-Groups`: 32 groups, which every implementation supports (RFC
    /// 9875 §2). Others: 50 tags of 256 bytes (`CloudFront`).
    #[must_use]
    pub const fn limits(&self) -> TagHeaderLimits {
        let (bytes, tags, tag_bytes) = match self {
            Self::CacheTag | Self::SurrogateKey => (16_384, usize::MAX, 1024),
            Self::EdgeCacheTag => (8192, 128, 128),
            Self::XKey => (7500, usize::MAX, 7500),
            Self::CacheGroups => (8192, 32, Tag::MAX_LEN),
            Self::Custom { .. } => (8192, 50, 256),
        };
        TagHeaderLimits {
            bytes,
            tags,
            tag_bytes,
        }
    }

    /// Adds the tags that a response lists in every known header.
    pub fn parse_known(headers: &HeaderMap, tags: &mut TagSet) -> TagHeaderReport {
        let mut report = TagHeaderReport::default();
        for header in Self::KNOWN {
            report.absorb(header.parse(headers, tags));
        }
        report
    }

    /// Adds the tags that a response lists in this header, on however many lines.
    pub fn parse(&self, headers: &HeaderMap, tags: &mut TagSet) -> TagHeaderReport {
        let mut report = TagHeaderReport::default();
        let lines = headers.get_all(self.name());
        let lines = lines.iter().map(HeaderValue::as_bytes);
        let Some(separator) = self.separator() else {
            read_groups(lines, tags, &mut report);
            return report;
        };
        for member in lines.flat_map(|line| line.split(|byte| separator.splits_at(*byte))) {
            let member = String::from_utf8_lossy(member.trim_ascii());
            let text = match self {
                Self::EdgeCacheTag => escape::decode(&member),
                _ => member,
            };
            report.take(&text, tags);
        }
        report
    }

    /// A tag as it is written into this header and named to the CDN in a purge.
    ///
    /// Akamai allows tokens only (RFC 9110 §5.6.2), so in `Edge-Cache-Tag` every other byte, and `~`
    /// itself, is written as `~` and two hexadecimal digits: `post~3a42`. Elsewhere a tag is
    /// written as it is.
    #[must_use]
    pub fn encode<'tag>(&self, tag: &'tag Tag) -> Cow<'tag, str> {
        match self {
            Self::EdgeCacheTag => escape::encode(tag.as_str()),
            _ => Cow::Borrowed(tag.as_str()),
        }
    }

    /// The value that lists all of `tags`; `None` when there are none, because an empty field is
    /// worse than none.
    ///
    /// # Errors
    ///
    /// When not all of them fit the limits; what to do then is for the caller to decide, but never
    /// to let this CDN keep the response.
    pub fn write(
        &self,
        tags: &TagSet,
        limits: TagHeaderLimits,
    ) -> Result<Option<HeaderValue>, TagsDoNotFit> {
        if tags.len() > limits.tags {
            let (header, count, limit) = (self.name(), tags.len(), limits.tags);
            return Err(TagsDoNotFit::TooMany {
                header,
                count,
                limit,
            });
        }
        let encoded: Vec<Cow<'_, str>> = tags.iter().map(|tag| self.encode(tag)).collect();
        let too_long = tags
            .iter()
            .zip(&encoded)
            .find(|(_, text)| text.len() > limits.tag_bytes);
        if let Some((tag, text)) = too_long {
            let (header, len, limit) = (self.name(), text.len(), limits.tag_bytes);
            return Err(TagsDoNotFit::TagTooLong {
                header,
                tag: tag.clone(),
                len,
                limit,
            });
        }
        let value = match self.separator() {
            Some(TagSeparator::Comma) => encoded.join(","),
            Some(TagSeparator::Space | TagSeparator::CommaOrSpace) => encoded.join(" "),
            None => groups(&encoded),
        };
        match value.len() {
            0 => Ok(None),
            len if len > limits.bytes => Err(TagsDoNotFit::TooLong {
                header: self.name(),
                len,
                limit: limits.bytes,
            }),
            _ => Ok(Some(
                HeaderValue::try_from(value).expect("tags are visible ASCII"),
            )),
        }
    }

    /// The value that lists as many of `tags` as fit, `None` when none does, and the tags left out.
    ///
    /// A CDN that gets more drops the rest without a word, so what it is not told must be purged there
    /// in some other way.
    #[must_use]
    pub fn write_what_fits(
        &self,
        tags: &TagSet,
        limits: TagHeaderLimits,
    ) -> (Option<HeaderValue>, Vec<Tag>) {
        let mut listed = TagSet::with_limit(tags.len());
        let mut left_out = Vec::new();
        let mut bytes = 0;
        for tag in tags {
            // What stands between two members, and the quotation marks of a structured field.
            let (len, around) = (
                self.encode(tag).len(),
                if self.separator().is_some() { 1 } else { 4 },
            );
            let fits = listed.len() < limits.tags
                && len <= limits.tag_bytes
                && bytes + len + around <= limits.bytes;
            if fits && listed.insert(tag.clone()).is_ok() {
                bytes += len + around;
            } else {
                left_out.push(tag.clone());
            }
        }
        let value = self.write(&listed, limits);
        (value.expect("no more than fits was listed"), left_out)
    }

    /// What separates members; `None` for structured fields.
    const fn separator(&self) -> Option<TagSeparator> {
        match self {
            Self::CacheTag | Self::EdgeCacheTag => Some(TagSeparator::Comma),
            Self::SurrogateKey | Self::XKey => Some(TagSeparator::CommaOrSpace),
            Self::CacheGroups => None,
            Self::Custom { separator, .. } => Some(*separator),
        }
    }
}

impl TagSeparator {
    const fn splits_at(self, byte: u8) -> bool {
        match self {
            Self::Comma => byte == b',',
            Self::Space => matches!(byte, b' ' | b'\t'),
            Self::CommaOrSpace => matches!(byte, b',' | b' ' | b'\t'),
        }
    }
}

impl TagHeaderReport {
    /// The most rejected members that are kept as examples.
    pub const MOST_EXAMPLES: usize = 4;

    /// Whether every tag that the response lists is in the set.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.rejected == 0 && self.dropped == 0 && self.malformed == 0
    }

    /// Adds what another header had to report.
    pub fn absorb(&mut self, other: Self) {
        self.rejected += other.rejected;
        self.dropped += other.dropped;
        self.malformed += other.malformed;
        let room = Self::MOST_EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }

    fn take(&mut self, member: &str, tags: &mut TagSet) {
        if member.is_empty() {
            return;
        }
        match Tag::new(member) {
            Ok(tag) => self.dropped += usize::from(tags.insert(tag).is_err()),
            Err(invalid) => {
                self.rejected += 1;
                if self.examples.len() < Self::MOST_EXAMPLES {
                    self.examples.push(invalid);
                }
            }
        }
    }
}

/// Reads `Cache-Groups`: a list of strings whose parameters do not matter (RFC 9875 §2). Members of
/// another type are rejected; a field that is no list counts as malformed.
fn read_groups<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    tags: &mut TagSet,
    report: &mut TagHeaderReport,
) {
    let lines: Vec<&[u8]> = lines.collect();
    let Ok(list) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else {
        report.malformed += 1;
        return;
    };
    for entry in &list {
        match entry {
            ListEntry::Item(item) => match &item.bare_item {
                BareItem::String(group) => report.take(group.as_str(), tags),
                _ => report.rejected += 1,
            },
            ListEntry::InnerList(_) => report.rejected += 1,
        }
    }
}

fn groups(tags: &[Cow<'_, str>]) -> String {
    let mut list = ListSerializer::new();
    for tag in tags {
        list.bare_item(StringRef::from_str(tag).expect("tags are printable ASCII"));
    }
    list.finish().unwrap_or_default()
}
