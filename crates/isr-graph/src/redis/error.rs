//! What failures of the server mean to whoever uses the store.

use deadpool_redis::PoolError;
use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};
use isr_core::{BoxError, StoreError};

/// The store's name in errors, as the configuration has it.
pub(super) const STORE: &str = "redis";

/// The server's answers when it has no room left, or cannot keep what it takes.
const FULL: [&str; 2] = ["OOM", "MISCONF"];
/// The server's answers when it cannot serve right now, or not to us.
const AWAY: [&str; 13] = [
    OTHER_EPOCH,
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "NOREPLICAS",
    "MOVED",
    "ASK",
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
];
/// The scripts' answer when the data belong to another history than the caller's.
const OTHER_EPOCH: &str = "ISREPOCH";

/// A failure on the way to the server, or its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the Redis server answered with an error, or the connection broke")]
    Redis(#[from] RedisError),
    #[error("no connection to the Redis server")]
    Pool(#[from] PoolError),
    #[error("the Redis server does not say who it is as Redis does")]
    Information,
    #[error("the server is a replica, and replicas take no changes")]
    Replica,
    #[error(
        "the server belongs to a Redis Cluster: set store.cluster = true, and name several of its nodes"
    )]
    InCluster,
    #[error("no server of the Redis Cluster has slot {slot}")]
    NoMaster { slot: u16 },
    #[error(
        "only {reached} of {wanted} replicas have the change in time: it stands, but a failover could lose it"
    )]
    NotReplicated { reached: u16, wanted: u16 },
}

impl Failure {
    pub(super) fn is_missing_script(&self) -> bool {
        matches!(self, Self::Redis(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
    }

    pub(super) fn is_other_epoch(&self) -> bool {
        matches!(self, Self::Redis(error) if names(error, &[OTHER_EPOCH]))
    }

    /// Whether the connection is of no use any more.
    pub(super) fn breaks_connection(&self) -> bool {
        match self {
            Self::Redis(error) => error.is_io_error() || error.is_unrecoverable_error(),
            _ => false,
        }
    }

    /// Whether nobody answered in time.
    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_timeout())
    }

    /// Whether another connection may do at once. One that timed out is not tried again: the server
    /// may be overwhelmed.
    pub(super) fn is_dropped_connection(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_connection_dropped() && !error.is_timeout())
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let store = STORE.to_owned();
        match failure {
            Failure::Redis(error) if names(&error, &FULL) => Self::Full {
                store,
                source: whole(&error),
            },
            Failure::Redis(error) if is_answer(&error) && !names(&error, &AWAY) => Self::Corrupt {
                store,
                source: whole(&error),
            },
            Failure::Redis(error) => Self::Unavailable {
                store,
                source: whole(&error),
            },
            Failure::Pool(PoolError::Backend(error)) => Failure::Redis(error).into(),
            Failure::Pool(error) => Self::Unavailable {
                store,
                source: whole(&error),
            },
            other => Self::Unavailable {
                store,
                source: whole(&other),
            },
        }
    }
}

/// An error whose text tells its sources too: with them as its sources they would be told twice.
fn whole(error: &impl std::error::Error) -> BoxError {
    error.to_string().into()
}

/// An answer, or a stored value, that cannot be read.
pub(super) fn corrupt(source: impl Into<BoxError>) -> StoreError {
    StoreError::Corrupt {
        store: STORE.to_owned(),
        source: source.into(),
    }
}

/// Whether the server has understood and refused, or has answered what makes no sense.
fn is_answer(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(_)
            | ErrorKind::Extension
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Parse
    )
}

/// Whether the server's answer begins with one of `codes`; or holds it, since older servers wrap the
/// errors of commands that scripts call.
fn names(error: &RedisError, codes: &[&str]) -> bool {
    let wrapped = |code: &str| {
        error
            .detail()
            .is_some_and(|detail| detail.contains(&format!("-{code} ")))
    };
    // A call that waits for replicas is two commands, and the error of one of them is inside that of both.
    let inside = error.clone().into_server_errors();
    let inside: Vec<&str> = inside
        .iter()
        .flat_map(|all| all.iter().map(|(_, one)| one.code()))
        .collect();
    codes
        .iter()
        .any(|&code| error.code() == Some(code) || inside.contains(&code) || wrapped(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: &str, detail: &str) -> StoreError {
        let error = deadpool_redis::redis::make_extension_error(code.into(), Some(detail.into()));
        Failure::Redis(error).into()
    }

    #[test]
    fn a_server_without_room_is_full() {
        assert!(matches!(
            answered("OOM", "command not allowed"),
            StoreError::Full { .. }
        ));
        assert!(matches!(
            answered("MISCONF", "cannot persist"),
            StoreError::Full { .. }
        ));
        let wrapped = "Error running script: @user_script: 3: -OOM command not allowed";
        assert!(matches!(answered("ERR", wrapped), StoreError::Full { .. }));
    }

    #[test]
    fn a_server_that_cannot_serve_now_is_unavailable() {
        for code in AWAY {
            assert!(
                matches!(answered(code, "later"), StoreError::Unavailable { .. }),
                "{code}"
            );
        }
    }

    #[test]
    fn what_went_wrong_is_told_once() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = StoreError::from(Failure::Redis(refused.into()));
        let told = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        let told: Vec<String> = told.map(ToString::to_string).collect();
        assert_eq!(told.join(": ").matches("refused").count(), 1, "{told:?}");
    }

    #[test]
    fn a_refusal_of_a_well_formed_request_is_corruption() {
        assert!(matches!(
            answered("WRONGTYPE", "not a hash"),
            StoreError::Corrupt { .. }
        ));
    }
}
