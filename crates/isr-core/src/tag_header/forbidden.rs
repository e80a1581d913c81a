//! What a CDN's tags may not have in them.

/// Characters that a [`Tag`](crate::Tag) may have, and a tag of some CDN may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forbidden(u128);

impl Forbidden {
    /// No character: the CDN takes whatever a tag can be.
    pub const NOTHING: Self = Self(0);

    /// These characters, which are ASCII, as all of a tag is.
    ///
    /// # Panics
    ///
    /// When one is not.
    #[must_use]
    pub const fn characters(ascii: &str) -> Self {
        let (bytes, mut set, mut at) = (ascii.as_bytes(), 0, 0);
        while at < bytes.len() {
            assert!(bytes[at].is_ascii(), "a tag is nothing but ASCII");
            set |= 1 << bytes[at];
            at += 1;
        }
        Self(set)
    }

    /// These and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The first character of a text that is forbidden.
    #[must_use]
    pub fn first_in(self, text: &str) -> Option<char> {
        text.chars()
            .find(|&c| c.is_ascii() && self.0 & (1 << u32::from(c)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_is_found() {
        let some = Forbidden::characters("*~");
        assert_eq!(some.first_in("a~b*"), Some('~'));
        assert_eq!(some.first_in("*"), Some('*'));
        for text in ["", "a", "j\n", "\u{aa}"] {
            assert_eq!(some.first_in(text), None, "{text:?}");
        }
        assert_eq!(Forbidden::NOTHING.first_in("*~"), None);
        let both = Forbidden::characters("*").and(Forbidden::characters("~"));
        assert_eq!(both, some);
    }
}
