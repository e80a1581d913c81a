//! The record of a page, as the scripts write it; see `pages.lua`.

use super::identity::Id;

/// A page's record, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// The number of the page's origin.
    pub(super) origin: u16,
    /// Its path and query.
    pub(super) path: &'a str,
    /// Groups of tags, one behind the other.
    groups: &'a [u8],
}

/// Origin, generation, and how many groups there are.
const HEAD: usize = 2 + 6 + 1;
/// When the pairs of a group end, and how many tags it has.
const GROUP_HEAD: usize = 4 + 1;

impl<'a> Record<'a> {
    /// Reads a record; `None` when it is none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let mut length = 0;
        for _ in 0..head[HEAD - 1] {
            let count = *rest.get(length + GROUP_HEAD - 1)?;
            length += GROUP_HEAD + usize::from(count) * size_of::<Id>();
        }
        let (groups, path) = rest.split_at_checked(length)?;
        Some(Self {
            origin: u16::from_le_bytes([head[0], head[1]]),
            path: std::str::from_utf8(path).ok()?,
            groups,
        })
    }

    /// In which second of the server's clock the pair with a tag ends; `None` when there is no such
    /// pair.
    pub(super) fn end_of(&self, tag: Id) -> Option<u32> {
        let mut groups = self.groups;
        while let Some((head, rest)) = groups.split_first_chunk::<GROUP_HEAD>() {
            let &[a, b, c, d, count] = head;
            let (ids, others) = rest.split_at_checked(usize::from(count) * size_of::<Id>())?;
            if ids.chunks_exact(size_of::<Id>()).any(|id| id == tag) {
                return Some(u32::from_le_bytes([a, b, c, d]));
            }
            groups = others;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"\x07\x00\x01\x00\x00\x00\x00\x00\x02\
        \x09\x00\x00\x01\x02aaaaaaaabbbbbbbb\
        \xff\xff\xff\xff\x01cccccccc\
        /path?aaaaaaaa";

    #[test]
    fn a_record_is_read_part_by_part() {
        let record = Record::read(BYTES).unwrap();
        assert_eq!((record.origin, record.path), (7, "/path?aaaaaaaa"));
        assert_eq!(record.end_of(*b"bbbbbbbb"), Some(0x0100_0009));
        assert_eq!(record.end_of(*b"cccccccc"), Some(u32::MAX));
        for absent in [b"dddddddd", b"abbbbbbb", b"/path?aa"] {
            assert_eq!(record.end_of(*absent), None);
        }
    }

    #[test]
    fn what_is_cut_off_is_no_record() {
        for length in 0..BYTES.len() - b"/path?aaaaaaaa".len() {
            assert_eq!(Record::read(&BYTES[..length]), None, "{length} bytes");
        }
    }
}
