//! The body of an answer, of which only so much is kept.

/// The body of an answer, as its chunks come in. It never holds more than a number of bytes, whatever a
/// service sends.
#[derive(Debug)]
pub struct BoundedBody {
    bytes: Vec<u8>,
    most: usize,
}

/// A body is longer than what is read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its answer is longer than {most} bytes")]
pub struct BodyTooLong {
    most: usize,
}

impl BoundedBody {
    /// A body with nothing in it yet, and room for `most` bytes.
    #[must_use]
    pub const fn with_room_for(most: usize) -> Self {
        let bytes = Vec::new();
        Self { bytes, most }
    }

    /// Adds a chunk, as far as there is room.
    ///
    /// # Errors
    ///
    /// When there was not room for all of it. What had room is kept, for whoever needs no more than the
    /// beginning.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BodyTooLong> {
        let most = self.most;
        let room = most - self.bytes.len();
        let fits = chunk.len().min(room);
        self.bytes.extend_from_slice(&chunk[..fits]);
        if fits == chunk.len() {
            Ok(())
        } else {
            Err(BodyTooLong { most })
        }
    }

    /// What has been kept.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What has been kept, as text: what is no UTF-8 is replaced.
    #[must_use]
    pub fn into_text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_has_room() {
        let mut body = BoundedBody::with_room_for(4);
        assert_eq!(body.push(b"abc"), Ok(()));
        assert_eq!(body.push(b""), Ok(()));
        assert_eq!(body.push(b"d"), Ok(()));
        assert_eq!(body.push(b""), Ok(()), "nothing has room everywhere");
        assert_eq!(body.push(b"e"), Err(BodyTooLong { most: 4 }));
        assert_eq!(body.into_bytes(), b"abcd");
    }

    #[test]
    fn the_beginning_of_what_is_too_long_is_kept() {
        let mut body = BoundedBody::with_room_for(4);
        let text = body.push(b"ab\xff\xff\xff").unwrap_err().to_string();
        assert_eq!(text, "its answer is longer than 4 bytes");
        assert_eq!(body.into_text(), "ab\u{fffd}\u{fffd}");
    }
}
