//! One folder of nginx's cache: what is in it, and whether that has changed.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::cache_file::Name;

/// Filesystems note changes by a clock that ticks seldom, every two seconds at worst. A folder that changed less
/// than that before it was listed may change again without looking any different, so it is listed again.
const TICK: Duration = Duration::from_secs(2);

/// By what is told that a folder has changed since it was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    modified: i128,
    changed: i128,
}

impl Stamp {
    /// That of a folder that has not been changed of late; `None` means that it has to be listed anyway.
    pub(crate) fn settled(stat: &Stat) -> Option<Self> {
        let moment = |seconds: i128, nanoseconds: i128| seconds * 1_000_000_000 + nanoseconds;
        let stamp = Self {
            inode: stat.st_ino,
            modified: moment(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed: moment(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        };
        // The filesystem's own times are compared, so this is the machine's clock and no other.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let settled = now.checked_sub(TICK)?.as_nanos();
        let latest = u128::try_from(stamp.modified.max(stamp.changed)).ok()?;
        (latest < settled).then_some(stamp)
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: BTreeSet<Name>,
    /// Folders of a level: one or two hexadecimal digits.
    pub(crate) folders: BTreeSet<CString>,
}

/// Opens the cache's own folder, which may be a symbolic link.
///
/// # Errors
///
/// When it cannot be opened.
pub(crate) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens a folder of a level; `None` when it is gone or no folder. A symbolic link is never followed.
///
/// # Errors
///
/// When it cannot be opened.
pub(crate) fn open(parent: &OwnedFd, name: &CString) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    absent_is_none(rustix::fs::openat(parent, name, flags, Mode::empty()))
}

/// What is known of a folder of a level without opening it; `None` when it is gone.
///
/// # Errors
///
/// When it cannot be looked at.
pub(crate) fn look(parent: &OwnedFd, name: &CString) -> io::Result<Option<Stat>> {
    absent_is_none(rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW))
}

fn absent_is_none<T>(result: Result<T, Errno>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Lists a folder. What is neither a file's nor a level's name is left out, and so is what has such a name and
/// is something else, where the filesystem tells.
///
/// # Errors
///
/// When it cannot be read.
pub(crate) fn list(folder: &OwnedFd) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type();
        let may_be = |wanted: FileType| kind == wanted || kind == FileType::Unknown;
        if let Some(name) = Name::parse(name.to_bytes())
            && may_be(FileType::RegularFile)
        {
            listing.files.insert(name);
        } else if is_level(name.to_bytes()) && may_be(FileType::Directory) {
            listing.folders.insert(name.to_owned());
        }
    }
    Ok(listing)
}

fn is_level(name: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    matches!(name.len(), 1 | 2) && name.iter().all(is_digit)
}

/// Removes a file; says whether it was there.
///
/// # Errors
///
/// When it cannot be removed.
pub(crate) fn remove(folder: &OwnedFd, name: Name) -> io::Result<bool> {
    match rustix::fs::unlinkat(folder, name.text(), AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_changed_a_moment_ago_may_change_again_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let stat = rustix::fs::stat(folder.path()).unwrap();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(since.as_secs()).unwrap();
        for (ago, is_settled) in [(-3_600, false), (0, false), (1, false), (4, true)] {
            for (modified, changed) in [(ago, 3_600), (3_600, ago)] {
                let mut stat = stat;
                (stat.st_mtime, stat.st_ctime) = (now - modified, now - changed);
                let stamp = Stamp::settled(&stat);
                assert_eq!(stamp.is_some(), is_settled, "{modified} and {changed}");
            }
        }
    }
}
