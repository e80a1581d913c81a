//! Connections to the server.

use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_redis::redis::{AsyncConnectionConfig, Cmd, FromRedisValue};
use deadpool_redis::{Connection, Manager, Pool, Runtime};
use tokio::sync::Mutex;

use super::error::Failure;
use super::options::{InvalidRedisOptions, RedisOptions};

/// Which connection a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The one kept for short calls with short answers: everything that somebody's response waits for.
    Fast,
    /// One of the others, for calls whose answers may be large.
    Bulk,
}

/// A connection that many calls share, without waiting for one another's answers; and how many there
/// have been in its place.
#[derive(Default)]
struct Shared {
    connection: Option<Connection>,
    number: u64,
}

/// The way to one server. Connects when it is first used, and again when a connection broke.
///
/// Connections are taken from the pool for good, since handing one out anew costs a round trip.
pub(super) struct Link {
    pool: Pool,
    /// The first is the fast one.
    connections: Vec<Mutex<Shared>>,
    /// Counts calls in the bulk lane, which take turns.
    turns: AtomicUsize,
}

impl Link {
    pub(super) fn new(options: &RedisOptions) -> Result<Self, InvalidRedisOptions> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        let manager = Manager::new_with_config(options.url.expose(), config).map_err(|error| {
            InvalidRedisOptions::Url {
                source: error.into(),
            }
        })?;
        let pool = Pool::builder(manager)
            .max_size(options.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.response_timeout))
            .create_timeout(Some(options.connect_timeout))
            .recycle_timeout(Some(options.response_timeout))
            .build()
            .expect("a runtime is given, which is all that building asks for");
        let connections = (0..options.connections).map(|_| Mutex::default()).collect();
        Ok(Self {
            pool,
            connections,
            turns: AtomicUsize::new(0),
        })
    }

    /// Sends a command. Every command of the store may be sent twice, so one whose connection was
    /// found broken is sent again over another.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        lane: Lane,
        command: &Cmd,
    ) -> Result<T, Failure> {
        let slot = self.slot(lane);
        match Self::try_query(&self.pool, slot, command).await {
            Err(failure) if failure.is_dropped_connection() => {
                Self::try_query(&self.pool, slot, command).await
            }
            result => result,
        }
    }

    fn slot(&self, lane: Lane) -> &Mutex<Shared> {
        let index = match lane {
            Lane::Fast => 0,
            Lane::Bulk => {
                1 + self.turns.fetch_add(1, Ordering::Relaxed) % (self.connections.len() - 1)
            }
        };
        &self.connections[index]
    }

    async fn try_query<T: FromRedisValue>(
        pool: &Pool,
        slot: &Mutex<Shared>,
        command: &Cmd,
    ) -> Result<T, Failure> {
        let (mut connection, number) = {
            let mut shared = slot.lock().await;
            if shared.connection.is_none() {
                shared.connection = Some(pool.get().await?);
                shared.number += 1;
            }
            let connection = shared.connection.as_deref().expect("it was just put there");
            (connection.clone(), shared.number)
        };
        let result = command
            .query_async(&mut connection)
            .await
            .map_err(Failure::from);
        if result.as_ref().is_err_and(Failure::breaks_connection) {
            let mut shared = slot.lock().await;
            // Unless somebody has replaced it already.
            if shared.number == number
                && let Some(broken) = shared.connection.take()
            {
                drop(Connection::take(broken));
            }
        }
        result
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The pool's own output names the server's address and user.
        f.debug_struct("Link")
            .field("connections", &self.pool.status().size)
            .finish_non_exhaustive()
    }
}
