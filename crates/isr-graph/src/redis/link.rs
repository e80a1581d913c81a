//! Connections to the server.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Cmd, FromRedisValue};
use deadpool_redis::{Connection, Manager, Pool, Runtime};
use tokio::sync::Mutex;

use super::error::Failure;
use super::options::{InvalidRedisOptions, RedisOptions};

/// Which connection a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// One that many calls share, without waiting for one another's answers. For short calls with
    /// short answers: everything the hot path waits for.
    Shared,
    /// One that nobody else uses meanwhile, for calls whose answers are large.
    Own,
}

/// The connection that is shared, and which one it is.
#[derive(Default)]
struct Shared {
    connection: Option<Connection>,
    number: u64,
}

/// The way to one server. Connects when it is first used, and again when a connection broke.
pub(super) struct Link {
    pool: Pool,
    shared: Mutex<Shared>,
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
            .max_size(options.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.response_timeout))
            .create_timeout(Some(options.connect_timeout))
            .recycle_timeout(Some(options.response_timeout))
            .build()
            .expect("a runtime is given, which is all that building asks for");
        Ok(Self {
            pool,
            shared: Mutex::default(),
        })
    }

    /// Sends a command. Every command of the store may be sent twice, so one whose connection was
    /// found broken is sent again over another.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        lane: Lane,
        command: &Cmd,
    ) -> Result<T, Failure> {
        match self.try_query(lane, command).await {
            Err(failure) if failure.is_dropped_connection() => self.try_query(lane, command).await,
            result => result,
        }
    }

    async fn try_query<T: FromRedisValue>(&self, lane: Lane, command: &Cmd) -> Result<T, Failure> {
        if lane == Lane::Own {
            let mut connection = self.pool.get().await?;
            let result = command
                .query_async(&mut connection)
                .await
                .map_err(Failure::from);
            if result.as_ref().is_err_and(Failure::breaks_connection) {
                // Not to be handed out again: a late answer could be taken for another's.
                drop(Connection::take(connection));
            }
            return result;
        }
        let (mut connection, number) = self.shared().await?;
        let result = command
            .query_async(&mut connection)
            .await
            .map_err(Failure::from);
        if result.as_ref().is_err_and(Failure::breaks_connection) {
            self.discard(number).await;
        }
        result
    }

    async fn shared(&self) -> Result<(MultiplexedConnection, u64), Failure> {
        let mut shared = self.shared.lock().await;
        if shared.connection.is_none() {
            shared.connection = Some(self.pool.get().await?);
            shared.number += 1;
        }
        let connection = shared.connection.as_deref().expect("it was just put there");
        Ok((connection.clone(), shared.number))
    }

    /// Gives the shared connection up, unless somebody has done so already.
    async fn discard(&self, number: u64) {
        let mut shared = self.shared.lock().await;
        if shared.number == number
            && let Some(connection) = shared.connection.take()
        {
            drop(Connection::take(connection));
        }
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
