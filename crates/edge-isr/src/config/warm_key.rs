//! The key that signs warm-up requests.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use isr_core::{Secret, WarmupKey};

/// Bytes of a key that is made here.
const KEY_BYTES: usize = 32;

/// Where the key that signs warm-up requests comes from.
#[derive(Debug, Clone)]
pub enum WarmKeySource {
    /// The configuration.
    Given(WarmupKey),
    /// A file beside the store, made when it is missing and readable by its owner alone.
    Kept(PathBuf),
    /// Made when the process starts and known to it alone. Warm-up requests that another process
    /// sends here are then treated like a visitor's.
    PerProcess,
}

/// Why a key could not be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WarmKeyError {
    /// The file could not be read, or not be made.
    #[error("the warm-up key {path} can be neither read nor made: set warm.key or warm.key_file")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The file holds no key.
    #[error("{path} holds no warm-up key: remove it to have a new one made")]
    Weak {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: isr_core::WeakWarmupKey,
    },
}

impl WarmKeySource {
    /// The key; reads or makes its file where it is kept in one. Several processes that make it at
    /// once end up with the same.
    ///
    /// # Errors
    ///
    /// A file that can be neither read nor made, or holds no key.
    pub fn key(&self) -> Result<WarmupKey, WarmKeyError> {
        match self {
            Self::Given(key) => Ok(key.clone()),
            Self::Kept(path) => kept(path),
            Self::PerProcess => Ok(WarmupKey::new(new_secret()).expect("a new key is long enough")),
        }
    }
}

fn kept(path: &Path) -> Result<WarmupKey, WarmKeyError> {
    let unusable = |source| WarmKeyError::Unusable {
        path: path.to_owned(),
        source,
    };
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(unusable)?,
        read => read.map_err(unusable)?,
    };
    WarmupKey::new(Secret::new(text.trim_end())).map_err(|source| WarmKeyError::Weak {
        path: path.to_owned(),
        source,
    })
}

/// Writes a new key beside `path` and links it into place whole, so that nobody reads half of one;
/// answers with whichever key is there in the end.
fn make(path: &Path) -> io::Result<String> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    writable_by_owner_alone(&draft)?.write_all(new_secret().expose().as_bytes())?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read_to_string(path),
    }
}

fn writable_by_owner_alone(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn new_secret() -> Secret {
    let bytes = rand::random::<[u8; KEY_BYTES]>();
    Secret::new(
        bytes
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/store.warm-key");
        let source = WarmKeySource::Kept(path.clone());
        source.key().unwrap();
        let first = fs::read_to_string(&path).unwrap();
        source.key().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no draft is left"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "short").unwrap();
        let error = WarmKeySource::Kept(path.clone()).key().unwrap_err();
        assert!(matches!(error, WarmKeyError::Weak { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
    }
}
