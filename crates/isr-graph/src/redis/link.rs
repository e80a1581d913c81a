//! Connections to the server, or to the servers of a cluster.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::cluster::{ClusterClient, ClusterClientBuilder};
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, FromRedisValue, RedisResult, pipe,
};
use deadpool_redis::{Connection, Manager, Pool, Runtime};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::Failure;
use super::node::Nodes;
use super::options::{InvalidRedisOptions, RedisOptions};

/// How often the client of a cluster follows a redirection or tries again, within the time that an answer
/// may take.
const CLUSTER_RETRIES: u32 = 10;
/// The longest of its pauses in between, in milliseconds.
const CLUSTER_PAUSE: u64 = 200;
/// How long the client of a cluster is left to mend itself, as it does when a server closes a connection. Over
/// one that nobody has closed, and that nothing comes over any more, it waits for ever.
const CLUSTER_MENDS: Duration = Duration::from_secs(2);

/// Which connection a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The one kept for short calls with short answers: everything that somebody's response waits for.
    Fast,
    /// One of the others, for calls whose answers may be large.
    Bulk,
}

/// Where connections come from.
enum Source {
    /// They are taken from the pool for good, since handing one out anew costs a round trip.
    Server(Pool),
    /// Each goes to every server of the cluster, and mends itself.
    Cluster(Box<ClusterClient>),
}

/// What commands are sent over. Many calls share one, without waiting for one another's answers.
enum Held {
    Server(Connection),
    Cluster(ClusterConnection),
}

/// A connection, and how many there have been in its place.
#[derive(Default)]
struct Shared {
    connection: Option<Held>,
    number: u64,
    /// When a call over this connection failed for the first time.
    failing: Option<Instant>,
}

/// The way to the store. Connects when it is first used, and again when a connection broke.
pub(super) struct Link {
    source: Source,
    /// The first is the fast one.
    connections: Vec<Mutex<Shared>>,
    /// Counts calls in the bulk lane, which take turns.
    turns: AtomicUsize,
    pub(super) nodes: Nodes,
}

/// How many replicas have to have a change before it counts as made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) count: u16,
    /// How long they may take.
    pub(super) within: Duration,
}

impl Link {
    pub(super) fn new(options: &RedisOptions) -> Result<Self, InvalidRedisOptions> {
        let seeds = options.seeds()?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        let source = if options.cluster {
            Source::Cluster(Box::new(cluster_client(&seeds, options)?))
        } else {
            Source::Server(pool(&seeds[0], &config, options)?)
        };
        Ok(Self {
            source,
            connections: (0..options.connections).map(|_| Mutex::default()).collect(),
            turns: AtomicUsize::new(0),
            nodes: Nodes::new(seeds, config, options.cluster),
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
        match self.try_query(slot, command).await {
            Err(failure) if failure.is_dropped_connection() => self.try_query(slot, command).await,
            result => result,
        }
    }

    /// As [`Link::query`] in the fast lane, and waits until so many replicas have all that the server had done
    /// by then.
    pub(super) async fn query_replicated<T: FromRedisValue>(
        &self,
        command: &Cmd,
        replicas: Replicas,
    ) -> Result<T, Failure> {
        let slot = self.slot(Lane::Fast);
        let (mut held, number) = self.connected(slot).await?;
        let result = held.query_and_wait(command, replicas).await;
        let (answer, reached) = self.checked(slot, number, result).await?;
        if reached < replicas.count {
            return Err(Failure::NotReplicated {
                reached,
                wanted: replicas.count,
            });
        }
        Ok(answer)
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
        &self,
        slot: &Mutex<Shared>,
        command: &Cmd,
    ) -> Result<T, Failure> {
        let (mut held, number) = self.connected(slot).await?;
        let result = held.query(command).await;
        self.checked(slot, number, result).await
    }

    /// A connection to share, and its number.
    async fn connected(&self, slot: &Mutex<Shared>) -> Result<(Lent, u64), Failure> {
        let mut shared = slot.lock().await;
        if shared.connection.is_none() {
            shared.connection = Some(self.connect().await?);
            shared.number += 1;
            shared.failing = None;
        }
        let lent = match shared.connection.as_ref().expect("it was just put there") {
            Held::Server(connection) => Lent::Server((**connection).clone()),
            Held::Cluster(connection) => Lent::Cluster(connection.clone()),
        };
        Ok((lent, shared.number))
    }

    async fn connect(&self) -> Result<Held, Failure> {
        Ok(match &self.source {
            Source::Server(pool) => Held::Server(pool.get().await?),
            Source::Cluster(client) => Held::Cluster(client.get_async_connection().await?),
        })
    }

    /// Gives a connection up that turned out to be of no use any more.
    async fn checked<T>(
        &self,
        slot: &Mutex<Shared>,
        number: u64,
        result: RedisResult<T>,
    ) -> Result<T, Failure> {
        let result = result.map_err(Failure::from);
        if result.as_ref().is_err_and(Failure::breaks_connection) {
            let mut shared = slot.lock().await;
            // Unless somebody has replaced it already.
            if shared.number == number {
                let timed_out = result.as_ref().is_err_and(Failure::is_timeout);
                shared.has_failed(timed_out);
            }
        }
        result
    }
}

impl Shared {
    /// A call has failed because the connection did.
    fn has_failed(&mut self, timed_out: bool) {
        let gives_up = match self.connection {
            Some(Held::Server(_)) => true,
            // A master may have died with calls under way, which is one of those that nobody closes.
            Some(Held::Cluster(_)) if timed_out => true,
            Some(Held::Cluster(_)) => {
                self.failing.get_or_insert_with(Instant::now).elapsed() >= CLUSTER_MENDS
            }
            None => false,
        };
        if !gives_up {
            return;
        }
        match self.connection.take() {
            // Out of the pool, which would hand it out again.
            Some(Held::Server(broken)) => drop(Connection::take(broken)),
            broken => drop(broken),
        }
    }
}

/// A shared connection, for one call.
enum Lent {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Lent {
    async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// The answer, and how many replicas have got as far.
    async fn query_and_wait<T: FromRedisValue>(
        &mut self,
        command: &Cmd,
        replicas: Replicas,
    ) -> RedisResult<(T, u16)> {
        let mut both = pipe();
        both.add_command(command.clone());
        both.cmd("WAIT")
            .arg(replicas.count)
            .arg(u64::try_from(replicas.within.as_millis()).unwrap_or(u64::MAX));
        match self {
            Self::Server(connection) => both.query_async(connection).await,
            Self::Cluster(connection) => both.query_async(connection).await,
        }
    }
}

fn pool(
    seed: &ConnectionInfo,
    config: &AsyncConnectionConfig,
    options: &RedisOptions,
) -> Result<Pool, InvalidRedisOptions> {
    let manager = Manager::new_with_config(seed.clone(), config.clone()).map_err(|error| {
        InvalidRedisOptions::Url {
            source: error.into(),
        }
    })?;
    Ok(Pool::builder(manager)
        .max_size(options.connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.response_timeout))
        .create_timeout(Some(options.connect_timeout))
        .recycle_timeout(Some(options.response_timeout))
        .build()
        .expect("a runtime is given, which is all that building asks for"))
}

fn cluster_client(
    seeds: &[ConnectionInfo],
    options: &RedisOptions,
) -> Result<ClusterClient, InvalidRedisOptions> {
    ClusterClientBuilder::new(seeds.iter().cloned())
        .connection_timeout(options.connect_timeout)
        .response_timeout(options.response_timeout)
        .retries(CLUSTER_RETRIES)
        .max_retry_wait(CLUSTER_PAUSE)
        .build()
        .map_err(|error| InvalidRedisOptions::Url {
            source: error.into(),
        })
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The pool's own output names the server's address and user.
        f.debug_struct("Link")
            .field("connections", &self.connections.len())
            .finish_non_exhaustive()
    }
}
