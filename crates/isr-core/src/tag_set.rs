//! The tags of one page.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::Tag;

/// How many tags a set holds before it needs memory of its own.
const INLINE: usize = 8;

/// The tags of one page: in order, each once, and no more than a limit.
///
/// Two sets are equal when they hold the same tags, whatever their limits.
#[derive(Clone)]
pub struct TagSet {
    tags: SmallVec<[Tag; INLINE]>,
    limit: usize,
}

/// A [`TagSet`] was asked to hold more tags than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {limit} tags on one page: bind the page to a tag that stands for the group, or raise \
     the limit"
)]
pub struct TooManyTags {
    /// The limit of the set.
    pub limit: usize,
}

impl TagSet {
    /// The most tags of a set whose limit was not chosen.
    pub const DEFAULT_LIMIT: usize = 256;

    /// An empty set that holds at most [`TagSet::DEFAULT_LIMIT`] tags.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// An empty set that holds at most `limit` tags.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            tags: SmallVec::new(),
            limit,
        }
    }

    /// A set of `tags`, with the default limit.
    ///
    /// # Errors
    ///
    /// More than [`TagSet::DEFAULT_LIMIT`] different tags are refused; see [`TagSet::try_extend`]
    /// for a set with another limit.
    pub fn try_from_iter(tags: impl IntoIterator<Item = Tag>) -> Result<Self, TooManyTags> {
        let mut set = Self::new();
        set.try_extend(tags)?;
        Ok(set)
    }

    /// Adds a tag, and says whether it was new.
    ///
    /// # Errors
    ///
    /// A new tag beyond the limit is refused and the set stays as it was.
    pub fn insert(&mut self, tag: Tag) -> Result<bool, TooManyTags> {
        match self.tags.binary_search(&tag) {
            Ok(_) => Ok(false),
            Err(_) if self.tags.len() >= self.limit => Err(TooManyTags { limit: self.limit }),
            Err(position) => {
                self.tags.insert(position, tag);
                Ok(true)
            }
        }
    }

    /// Adds every one of `tags`.
    ///
    /// # Errors
    ///
    /// Stops at the first tag beyond the limit; those before it have been added.
    pub fn try_extend(&mut self, tags: impl IntoIterator<Item = Tag>) -> Result<(), TooManyTags> {
        tags.into_iter()
            .try_for_each(|tag| self.insert(tag).map(|_| ()))
    }

    /// Whether the set holds the tag with this text, which must be in lower case.
    #[must_use]
    pub fn contains(&self, tag: &str) -> bool {
        self.tags
            .binary_search_by(|held| held.as_str().cmp(tag))
            .is_ok()
    }

    /// Whether a tag is in both sets.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        let (few, many) = if self.len() < other.len() {
            (self, other)
        } else {
            (other, self)
        };
        few.iter().any(|tag| many.contains(tag.as_str()))
    }

    /// The tags, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.tags.iter()
    }

    /// The tags as a slice, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Tag] {
        &self.tags
    }

    /// How many tags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The most tags that the set holds.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

impl Default for TagSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for TagSet {
    fn eq(&self, other: &Self) -> bool {
        self.tags == other.tags
    }
}

impl Eq for TagSet {}

impl fmt::Debug for TagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.tags.iter().map(Tag::as_str))
            .finish()
    }
}

impl<'a> IntoIterator for &'a TagSet {
    type Item = &'a Tag;
    type IntoIter = std::slice::Iter<'a, Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for TagSet {
    type Item = Tag;
    type IntoIter = smallvec::IntoIter<[Tag; INLINE]>;

    fn into_iter(self) -> Self::IntoIter {
        self.tags.into_iter()
    }
}

impl Serialize for TagSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// Reads a list of tags in any order; more than [`TagSet::DEFAULT_LIMIT`] different ones are an error.
impl<'de> Deserialize<'de> for TagSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = TagSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of tags")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TagSet, A::Error> {
                let mut set = TagSet::new();
                while let Some(tag) = list.next_element()? {
                    set.insert(tag).map_err(serde::de::Error::custom)?;
                }
                Ok(set)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag;

    fn numbered(count: usize) -> impl Iterator<Item = Tag> {
        (0..count).map(|n| tag("post", n))
    }

    #[test]
    fn tags_are_in_order_and_each_once() {
        let set = TagSet::try_from_iter(["b", "a", "c", "a", "B"].map(|t| Tag::new(t).unwrap()));
        let set = set.unwrap();
        assert_eq!(
            set.iter().map(Tag::as_str).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert!(set.contains("b") && !set.contains("d"));
    }

    #[test]
    fn a_full_set_takes_known_tags_and_refuses_new_ones() {
        let mut set = TagSet::with_limit(2);
        set.try_extend(numbered(2)).unwrap();
        assert_eq!(set.insert(tag("post", 0)), Ok(false));
        assert_eq!(set.insert(tag("post", 2)), Err(TooManyTags { limit: 2 }));
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn the_default_limit_is_kept_when_reading() {
        assert!(TagSet::try_from_iter(numbered(TagSet::DEFAULT_LIMIT)).is_ok());
        assert!(TagSet::try_from_iter(numbered(TagSet::DEFAULT_LIMIT + 1)).is_err());
        let long: Vec<Tag> = numbered(TagSet::DEFAULT_LIMIT + 1).collect();
        let json = serde_json::to_string(&long).unwrap();
        assert!(
            serde_json::from_str::<TagSet>(&json)
                .unwrap_err()
                .to_string()
                .contains("256 tags")
        );
    }

    #[test]
    fn a_set_reads_back_as_it_was_written() {
        let set = TagSet::try_from_iter(numbered(20)).unwrap();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<TagSet>(&json).unwrap(), set);
        assert!(serde_json::from_str::<TagSet>(r#"["a", ""]"#).is_err());
    }

    #[test]
    fn sets_intersect_when_they_share_a_tag() {
        let few = TagSet::try_from_iter(numbered(1)).unwrap();
        let many = TagSet::try_from_iter(numbered(9)).unwrap();
        let other = TagSet::try_from_iter([tag("page", 0)]).unwrap();
        assert!(few.intersects(&many) && many.intersects(&few));
        assert!(!many.intersects(&other) && !TagSet::new().intersects(&few));
    }
}
