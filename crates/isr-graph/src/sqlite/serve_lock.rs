//! One `serve` for each data directory.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The file that is locked, in the data directory.
const FILE: &str = "serve.lock";

/// The right to serve from a data directory, until it is dropped or its process ends, however it ends.
///
/// It is advisory, and nothing but `serve` takes it: the command line and the application's workers
/// share the directory's store all the same.
#[derive(Debug)]
pub struct ServeLock {
    /// The lock goes with it. The file itself stays: removing it would let two others lock different ones.
    _file: File,
}

/// Why the right to serve from a data directory could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeLockError {
    /// Somebody else serves from it.
    #[error(
        "another edge-isr serves from {}: stop it, or give this one a data directory of its own",
        directory.display()
    )]
    AlreadyServed {
        /// The data directory.
        directory: PathBuf,
    },
    /// The file cannot be created or locked.
    #[error("cannot lock {}: check that the directory can be written to", path.display())]
    Inaccessible {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

impl ServeLock {
    /// Takes the right to serve from `directory`, which is created when there is none. Does not wait.
    ///
    /// # Errors
    ///
    /// [`ServeLockError::AlreadyServed`] while somebody else has it.
    pub fn acquire(directory: impl AsRef<Path>) -> Result<Self, ServeLockError> {
        let directory = directory.as_ref();
        let path = directory.join(FILE);
        let opened = fs::create_dir_all(directory).and_then(|()| File::create(&path));
        let locked = opened
            .map_err(TryLockError::Error)
            .and_then(|file| file.try_lock().map(|()| file));
        match locked {
            Ok(file) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ServeLockError::AlreadyServed {
                directory: directory.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(ServeLockError::Inaccessible { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_serves_from_a_directory_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("not/yet/there");
        let first = ServeLock::acquire(&data).unwrap();
        let second = ServeLock::acquire(&data).unwrap_err();
        assert!(
            matches!(second, ServeLockError::AlreadyServed { .. }),
            "{second}"
        );
        assert!(second.to_string().contains(&data.display().to_string()));
        drop(first);
        ServeLock::acquire(&data).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = ServeLock::acquire(file.path().join("data")).unwrap_err();
        assert!(
            matches!(refused, ServeLockError::Inaccessible { .. }),
            "{refused}"
        );
    }
}
