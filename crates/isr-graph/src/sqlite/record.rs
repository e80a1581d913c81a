//! What is stored with a page: its newest bind, and its tags with the ends of their copies' lifetimes.

use isr_core::{Epoch, Generation, TagSet};

/// The packed form of a page's tags.
///
/// Eight bytes of epoch (little-endian); then, each as a LEB128 number: the number of the newest bind,
/// the latest end, how many tags; then each tag in order: its length, its bytes, and how much
/// earlier than the latest its own end is. Ends are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// Of the newest bind.
    pub(super) generation: Generation,
    /// When the last copy of the page has ended.
    pub(super) ends: i64,
    /// By name: when the last copy that shows the tag's data has ended.
    pub(super) tags: Vec<(&'a str, i64)>,
}

/// What a bind has changed about a record.
#[derive(Debug, Default)]
pub(super) struct Merged<'a> {
    /// Whether anything is different now.
    pub(super) changed: bool,
    /// Tags that the page did not have.
    pub(super) added: Vec<&'a str>,
}

impl<'a> Record<'a> {
    /// A page that has not been bound to anything yet.
    pub(super) fn new(generation: Generation, ends: i64) -> Self {
        Self {
            generation,
            ends,
            tags: Vec::new(),
        }
    }

    /// `None` for bytes that are not a record.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (epoch, mut rest) = bytes.split_first_chunk::<8>()?;
        let epoch = Epoch::new(u64::from_le_bytes(*epoch));
        let number = read_number(&mut rest)?;
        let ends = i64::try_from(read_number(&mut rest)?).ok()?;
        let count = usize::try_from(read_number(&mut rest)?).ok()?;
        let mut tags = Vec::with_capacity(count.min(rest.len()));
        for _ in 0..count {
            let length = usize::try_from(read_number(&mut rest)?).ok()?;
            let (name, after) = rest.split_at_checked(length)?;
            rest = after;
            let earlier = i64::try_from(read_number(&mut rest)?).ok()?;
            tags.push((std::str::from_utf8(name).ok()?, ends.checked_sub(earlier)?));
        }
        rest.is_empty().then_some(Self {
            generation: Generation { epoch, number },
            ends,
            tags,
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let names: usize = self.tags.iter().map(|(name, _)| name.len() + 4).sum();
        let mut bytes = Vec::with_capacity(8 + 20 + names);
        bytes.extend(self.generation.epoch.number().to_le_bytes());
        write_number(&mut bytes, self.generation.number);
        write_number(&mut bytes, self.ends.cast_unsigned());
        write_number(&mut bytes, self.tags.len() as u64);
        for (name, ends) in &self.tags {
            write_number(&mut bytes, name.len() as u64);
            bytes.extend(name.as_bytes());
            write_number(&mut bytes, (self.ends - ends).cast_unsigned());
        }
        bytes
    }

    /// Adds the tags of a bind, or lets them live longer.
    pub(super) fn merge(
        &mut self,
        tags: &'a TagSet,
        generation: Generation,
        ends: i64,
    ) -> Merged<'a> {
        let mut merged = Merged::default();
        if !self.generation.covers(generation) {
            self.generation = generation;
            merged.changed = true;
        }
        merged.changed |= raise(&mut self.ends, ends);
        for tag in tags {
            match self
                .tags
                .binary_search_by(|(name, _)| (*name).cmp(tag.as_str()))
            {
                Ok(at) => merged.changed |= raise(&mut self.tags[at].1, ends),
                Err(at) => {
                    self.tags.insert(at, (tag.as_str(), ends));
                    merged.added.push(tag.as_str());
                }
            }
        }
        merged.changed |= !merged.added.is_empty();
        merged
    }

    /// Takes out the tags whose copies have ended by `now`, in milliseconds, and names them.
    pub(super) fn take_ended(&mut self, now: i64) -> Vec<&'a str> {
        self.tags
            .extract_if(.., |(_, ends)| *ends <= now)
            .map(|(name, _)| name)
            .collect()
    }
}

fn raise(ends: &mut i64, to: i64) -> bool {
    let raised = to > *ends;
    if raised {
        *ends = to;
    }
    raised
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let low = u64::from(byte & 0x7f);
        if low << shift >> shift != low {
            return None;
        }
        number |= low << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use isr_core::tag;

    use super::*;

    fn generation(number: u64) -> Generation {
        Generation {
            epoch: Epoch::new(u64::MAX - 5),
            number,
        }
    }

    fn set(ids: &[u32]) -> TagSet {
        TagSet::try_from_iter(ids.iter().map(|id| tag("post", id))).unwrap()
    }

    #[test]
    fn a_record_reads_what_it_writes() {
        for number in [0, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut record = Record::new(generation(number), 1_800_000_000_000);
            let (some, more) = (set(&[1, 2]), set(&[3]));
            record.merge(&some, generation(number), 1_800_000_000_000);
            record.merge(&more, generation(number), 1_800_000_060_000);
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes), Some(record));
        }
    }

    #[test]
    fn no_part_of_a_record_and_nothing_longer_is_a_record() {
        let tags = set(&[1, 22]);
        let mut record = Record::new(generation(9), 5);
        record.merge(&tags, generation(9), 5);
        let mut bytes = record.encode();
        for end in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..end]), None, "{end} bytes");
        }
        bytes.push(0);
        assert_eq!(Record::decode(&bytes), None);
        assert_eq!(Record::decode(&[0xff; 40]), None);
    }

    #[test]
    fn binding_the_same_again_changes_nothing() {
        let tags = set(&[1, 2]);
        let mut record = Record::new(generation(1), 10);
        assert!(record.merge(&tags, generation(1), 10).changed);
        assert!(!record.merge(&tags, generation(1), 10).changed);
        assert!(!record.merge(&tags, generation(0), 9).changed);
        assert!(record.merge(&tags, generation(2), 10).changed);
        assert!(record.merge(&tags, generation(2), 11).changed);
    }

    #[test]
    fn a_tag_stays_until_its_own_copies_have_ended() {
        let (old, new) = (set(&[1, 2]), set(&[2, 3]));
        let mut record = Record::new(generation(1), 10);
        record.merge(&old, generation(1), 10);
        let merged = record.merge(&new, generation(2), 20);
        assert_eq!(merged.added, ["post:3"]);
        assert_eq!(record.take_ended(9), [""; 0]);
        assert_eq!(record.take_ended(10), ["post:1"]);
        assert_eq!(record.tags, [("post:2", 20), ("post:3", 20)]);
    }
}
