//! The secret of a store, in a file beside it that only its owner may read: the store's own file may be
//! open to more.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use isr_core::{Secret, StoreError};

use super::failure::{STORE, unavailable};

/// How long a secret is, in hexadecimal digits.
const DIGITS: usize = 64;

/// Where the secret of the store at `path` is kept.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("secret")
}

/// The secret in the file at `path`, which is made when there is none. Several processes that make it
/// at once end up with the same.
pub(super) fn read_or_make(path: &Path) -> Result<Secret, StoreError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        read => read,
    };
    let text = text.map_err(|error| unavailable(format!("{}: {error}", path.display())))?;
    let digits = text.trim_end();
    if digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Secret::new(digits));
    }
    let source = format!(
        "{} holds no secret: remove it to have a new one made",
        path.display()
    );
    Err(StoreError::Corrupt {
        store: STORE.to_owned(),
        source: source.into(),
    })
}

/// Writes a new secret beside `path` and links it into place whole, so that nobody reads half of one, not even
/// after a loss of power; answers with whichever is there in the end.
fn make(path: &Path) -> io::Result<String> {
    let secret = Secret::random();
    let draft = path.with_extension(format!("secret.{}", std::process::id()));
    let written = writable_by_owner_alone(&draft).and_then(|mut file| {
        file.write_all(secret.expose().as_bytes())?;
        // The name must not be on the disk before what it stands for.
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => {
            removed?;
            sync_names_in(path.parent())?;
            fs::read_to_string(path)
        }
    }
}

/// Makes durable which files there are in a directory.
fn sync_names_in(directory: Option<&Path>) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(directory) = directory {
        let here = Path::new(".");
        let directory = if directory.as_os_str().is_empty() {
            here
        } else {
            directory
        };
        fs::File::open(directory)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = directory; // its names are durable by themselves
    Ok(())
}

fn writable_by_owner_alone(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("store.sqlite3"));
        let first = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), first);
        let files = fs::read_dir(folder.path()).unwrap();
        assert_eq!(files.count(), 1, "no draft is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_holds_no_secret_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.secret");
        fs::write(&path, "short").unwrap();
        let error = read_or_make(&path).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
    }
}
