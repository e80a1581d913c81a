//! One file of nginx's cache: the key in its head.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

/// The version that nginx has written into its files since 1.11.10 (`NGX_HTTP_CACHE_VERSION` in
/// `src/http/ngx_http_cache.h`, read 2026-11-22 in nginx 1.22.1 and 1.29).
const VERSION: usize = 5;
/// The size of what nginx writes first (`ngx_http_file_cache_header_t` on machines of 64 bits), and where the
/// length of the whole head stands in it.
const FIXED: usize = 336;
const LENGTH_AT: usize = 54;
/// What stands before the key.
const MARK: &[u8] = b"\nKEY: ";
/// What is read at first: enough for keys of a usual length.
const FIRST_READ: usize = 768;

/// A file's name: 32 hexadecimal digits, in lower case.
///
/// nginx makes it of the key, and of a variant's request headers; so what is under a name has one key for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(u128);

impl Name {
    pub(crate) const FIRST: Self = Self(0);
    pub(crate) const LAST: Self = Self(u128::MAX);

    /// Reads a name; `None` for what is no file of the cache, such as one that is being written.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.iter().all(is_digit) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        u128::from_str_radix(text, 16).ok().map(Self)
    }

    pub(crate) fn text(self) -> String {
        format!("{:032x}", self.0)
    }
}

/// The key of a file, or `None` where it has none: it is gone, it is no plain file, or it was not written by a
/// version of nginx that is known here. A symbolic link is never followed.
///
/// # Errors
///
/// When it cannot be read.
pub(crate) fn key_of(folder: &OwnedFd, name: &CStr) -> io::Result<Option<String>> {
    // NONBLOCK, so that a pipe of that name holds nobody up.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut head = Vec::with_capacity(FIRST_READ);
    file.by_ref()
        .take(FIRST_READ as u64)
        .read_to_end(&mut head)?;
    if let Some(length) = length(&head).filter(|length| *length > head.len()) {
        file.take((length - head.len()) as u64)
            .read_to_end(&mut head)?;
    }
    Ok(key_in(&head))
}

/// How long the head is, the key included.
fn length(head: &[u8]) -> Option<usize> {
    let (version, _) = head.split_first_chunk()?;
    let (length, _) = head.get(LENGTH_AT..)?.split_first_chunk()?;
    (usize::from_ne_bytes(*version) == VERSION).then(|| u16::from_ne_bytes(*length).into())
}

/// The key in a head. One that is no UTF-8 is read with marks in place of what is not, so that it is no page.
fn key_in(head: &[u8]) -> Option<String> {
    let (mark, rest) = head
        .get(FIXED..length(head)?)?
        .split_at_checked(MARK.len())?;
    let (newline, key) = rest.split_last()?;
    let is_head = mark == MARK && *newline == b'\n';
    is_head.then(|| String::from_utf8_lossy(key).into_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A head as nginx writes it.
    pub(crate) fn head(key: &[u8]) -> Vec<u8> {
        let mut head = vec![0; FIXED];
        head[..8].copy_from_slice(&VERSION.to_ne_bytes());
        let length = u16::try_from(FIXED + MARK.len() + key.len() + 1).unwrap();
        head[LENGTH_AT..LENGTH_AT + 2].copy_from_slice(&length.to_ne_bytes());
        [&head, MARK, key, b"\nHTTP/1.1 200 OK\r\n\r\nbody"].concat()
    }

    #[test]
    fn names_are_digits() {
        let name = "0b52e03c90a9bb378988eb00fa0d30e3";
        assert_eq!(Name::parse(name.as_bytes()).unwrap().text(), name);
        for other in [
            "",
            "0b52e03c90a9bb378988eb00fa0d30e",
            "0B52e03c90a9bb378988eb00fa0d30e3",
            "+b52e03c90a9bb378988eb00fa0d30e3",
            "0b52e03c90a9bb378988eb00fa0d30e3.0000000001",
        ] {
            assert_eq!(Name::parse(other.as_bytes()), None);
        }
    }

    #[test]
    fn a_key_is_read_however_long_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let fd = OwnedFd::from(File::open(folder.path()).unwrap());
        let read = |name: &str| key_of(&fd, &CString::new(name).unwrap()).unwrap();
        for length in [0, 1, 400, 425, 426, 5_000, 60_000] {
            let key = "k".repeat(length);
            fs::write(folder.path().join("f"), head(key.as_bytes())).unwrap();
            assert_eq!(read("f"), Some(key));
        }
    }

    #[test]
    fn what_nginx_did_not_write_has_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let fd = OwnedFd::from(File::open(folder.path()).unwrap());
        let read = |name: &str| key_of(&fd, &CString::new(name).unwrap()).unwrap();
        let good = head(b"http://a/");
        let mut other_version = good.clone();
        other_version[0] = 4;
        for bytes in [
            &b""[..],
            b"notes of the administrator\nKEY: http://a/\n",
            &good[..FIXED],
            &good[..FIXED + 8],
            &other_version,
        ] {
            fs::write(folder.path().join("f"), bytes).unwrap();
            assert_eq!(read("f"), None);
        }
        fs::write(folder.path().join("f"), &good).unwrap();
        symlink(folder.path().join("f"), folder.path().join("link")).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert_eq!(
            (read("link"), read("folder"), read("gone")),
            (None, None, None)
        );
        assert!(read("f").is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..500)) {
            let mut whole = head(&bytes);
            key_in(&bytes);
            whole.truncate(bytes.len() + 100);
            key_in(&whole);
        }
    }
}
