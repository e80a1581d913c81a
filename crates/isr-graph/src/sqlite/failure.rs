//! What goes wrong in SQLite, in the words of the store.

use isr_core::{BoxError, StoreError};
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// The store's name in errors.
pub(super) const STORE: &str = "embedded";

/// Why a request failed, before it is put in the store's words.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    /// What is stored cannot be read.
    Unreadable(BoxError),
    Refused(StoreError),
}

impl Failure {
    pub(super) fn unreadable(what: impl Into<BoxError>) -> Self {
        Self::Unreadable(what.into())
    }

    /// The same failure for another request of the same transaction.
    pub(super) fn of_whole_transaction(&self) -> Self {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(error, message)) => {
                Self::Sqlite(rusqlite::Error::SqliteFailure(*error, message.clone()))
            }
            Self::Sqlite(error) => Self::unreadable(error.to_string()),
            Self::Unreadable(error) => Self::unreadable(error.to_string()),
            Self::Refused(error) => Self::unreadable(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::unreadable(error)
    }
}

impl From<isr_core::InvalidUrl> for Failure {
    fn from(error: isr_core::InvalidUrl) -> Self {
        Self::unreadable(error)
    }
}

impl From<isr_core::InvalidTag> for Failure {
    fn from(error: isr_core::InvalidTag) -> Self {
        Self::unreadable(error)
    }
}

impl From<isr_core::InvalidRevalidationId> for Failure {
    fn from(error: isr_core::InvalidRevalidationId) -> Self {
        Self::unreadable(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => from_sqlite(error),
            Failure::Unreadable(source) => Self::Corrupt {
                store: STORE.to_owned(),
                source,
            },
            Failure::Refused(error) => error,
        }
    }
}

/// The store cannot be used, for a reason that SQLite knows nothing of.
pub(super) fn unavailable(source: impl Into<BoxError>) -> StoreError {
    StoreError::Unavailable {
        store: STORE.to_owned(),
        source: source.into(),
    }
}

fn from_sqlite(error: rusqlite::Error) -> StoreError {
    let store = STORE.to_owned();
    let rusqlite::Error::SqliteFailure(code, _) = &error else {
        return StoreError::Corrupt {
            store,
            source: error.into(),
        };
    };
    match code.code {
        ErrorCode::DiskFull => StoreError::Full {
            store,
            source: error.into(),
        },
        // The file shared by all processes could not grow.
        _ if code.extended_code == SQLITE_IOERR_SHMSIZE => StoreError::Full {
            store,
            source: error.into(),
        },
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::TooBig => StoreError::Corrupt {
            store,
            source: error.into(),
        },
        _ => StoreError::Unavailable {
            store,
            source: error.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn word(code: i32) -> &'static str {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        match StoreError::from(Failure::from(error)) {
            StoreError::Full { .. } => "full",
            StoreError::Corrupt { .. } => "corrupt",
            StoreError::Unavailable { .. } => "unavailable",
            _ => "other",
        }
    }

    #[test]
    fn each_failure_of_sqlite_has_its_word() {
        let cases = [
            (ffi::SQLITE_FULL, "full"),
            (SQLITE_IOERR_SHMSIZE, "full"),
            (ffi::SQLITE_IOERR_READ, "unavailable"),
            (ffi::SQLITE_BUSY, "unavailable"),
            (ffi::SQLITE_CANTOPEN, "unavailable"),
            (ffi::SQLITE_READONLY, "unavailable"),
            (ffi::SQLITE_CORRUPT, "corrupt"),
            (ffi::SQLITE_NOTADB, "corrupt"),
        ];
        for (code, expected) in cases {
            assert_eq!(word(code), expected, "code {code}");
        }
    }
}
