//! The process that has a partition, over a connection of its own.
//!
//! Whatever is sent over one connection goes to one process. That is what looking at a server needs: between
//! two questions nobody else may have taken its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, FromRedisValue as _, Value, cmd,
};
use parking_lot::Mutex;

use super::error::Failure;
use super::server::Server;

/// A way to single processes.
#[derive(Debug)]
pub(super) struct Nodes {
    /// Where to ask first, and with which credentials.
    seeds: Vec<ConnectionInfo>,
    /// Masters of a cluster as they were last heard of: seeds may all have gone.
    known: Mutex<Vec<Arc<str>>>,
    /// Counts questions: what one node says of the others may be old.
    turns: AtomicUsize,
    config: AsyncConnectionConfig,
    is_cluster: bool,
}

/// A process, and how to talk to it.
pub(super) struct Node {
    pub(super) connection: MultiplexedConnection,
    pub(super) server: Server,
}

impl Nodes {
    pub(super) fn new(
        seeds: Vec<ConnectionInfo>,
        config: AsyncConnectionConfig,
        is_cluster: bool,
    ) -> Self {
        Self {
            seeds,
            known: Mutex::default(),
            turns: AtomicUsize::new(0),
            config,
            is_cluster,
        }
    }

    /// The processes that have `keys` now, with the places of the keys that each has.
    pub(super) async fn of_keys(
        &self,
        keys: &[String],
    ) -> Result<Vec<(Node, Vec<usize>)>, Failure> {
        if !self.is_cluster {
            let seed = self
                .seeds
                .first()
                .expect("options have at least one address");
            let node = self.look(self.connect(seed).await?).await?;
            if node.server.is_in_cluster {
                return Err(Failure::InCluster);
            }
            return Ok(vec![(node, (0..keys.len()).collect())]);
        }
        let mut nodes = Vec::new();
        for (address, places) in self.masters_of(keys).await? {
            let connection = self.connect(&self.at(&address)?).await?;
            nodes.push((self.look(connection).await?, places));
        }
        Ok(nodes)
    }

    /// The names of all processes that `node` takes for living masters of its cluster.
    pub(super) async fn living_masters(&self, node: &mut Node) -> Result<Vec<Server>, Failure> {
        if !self.is_cluster {
            return Ok(Vec::new());
        }
        let text: String = cmd("CLUSTER")
            .arg("NODES")
            .query_async(&mut node.connection)
            .await?;
        let mut masters = Vec::new();
        for address in living_masters(&text) {
            // One that cannot be asked is not known to live.
            let Ok(connection) = self.connect(&self.at(&address)?).await else {
                continue;
            };
            masters.extend(self.look(connection).await.ok().map(|node| node.server));
        }
        Ok(masters)
    }

    /// Which master has which of the keys, by their places.
    async fn masters_of(&self, keys: &[String]) -> Result<Vec<(Arc<str>, Vec<usize>)>, Failure> {
        let (mut connection, host) = self.anybody().await?;
        let ranges: Vec<Value> = cmd("CLUSTER")
            .arg("SLOTS")
            .query_async(&mut connection)
            .await?;
        let ranges: Vec<(u16, u16, Arc<str>)> = ranges
            .into_iter()
            .filter_map(|range| read_range(range, &host))
            .collect();
        *self.known.lock() = ranges.iter().map(|(_, _, node)| Arc::clone(node)).collect();

        let mut found: Vec<(Arc<str>, Vec<usize>)> = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            let slot: u16 = cmd("CLUSTER")
                .arg("KEYSLOT")
                .arg(key)
                .query_async(&mut connection)
                .await?;
            let (.., master) = ranges
                .iter()
                .find(|&&(first, last, _)| (first..=last).contains(&slot))
                .ok_or(Failure::NoMaster { slot })?;
            match found.iter_mut().find(|(other, _)| other == master) {
                Some((_, places)) => places.push(place),
                None => found.push((Arc::clone(master), vec![place])),
            }
        }
        Ok(found)
    }

    /// Some node of the cluster, and under which name it was reached.
    async fn anybody(&self) -> Result<(MultiplexedConnection, String), Failure> {
        let known = self.known.lock().clone();
        let known = known.iter().filter_map(|address| self.at(address).ok());
        let candidates: Vec<ConnectionInfo> = self.seeds.iter().cloned().chain(known).collect();
        let turn = self.turns.fetch_add(1, Ordering::Relaxed) % candidates.len();
        let (before, after) = candidates.split_at(turn);
        let mut failure = Failure::NoMaster { slot: 0 };
        for candidate in after.iter().chain(before) {
            match self.connect(candidate).await {
                Ok(connection) => return Ok((connection, host_of(candidate))),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn connect(&self, to: &ConnectionInfo) -> Result<MultiplexedConnection, Failure> {
        let client = Client::open(to.clone())?;
        Ok(client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?)
    }

    async fn look(&self, mut connection: MultiplexedConnection) -> Result<Node, Failure> {
        let server = Server::ask(&mut connection).await?;
        Ok(Node { connection, server })
    }

    /// Another node of the seeds' cluster: its credentials and its TLS are those of the seeds.
    fn at(&self, address: &str) -> Result<ConnectionInfo, Failure> {
        let seed = self
            .seeds
            .first()
            .expect("options have at least one address");
        let (host, port) = address.rsplit_once(':').ok_or(Failure::Information)?;
        let port = port.parse().map_err(|_| Failure::Information)?;
        let host = host.to_owned();
        let there = match seed.addr().clone() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure,
                tls_params,
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(seed.clone().set_addr(there))
    }
}

fn host_of(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    }
}

/// A range of slots in an answer to `CLUSTER SLOTS`, and its master's address: the first slot, the last, and the
/// nodes that have them, the master first. Each begins with its name or address and its port; one that says
/// neither is where it was `asked`.
fn read_range(range: Value, asked: &str) -> Option<(u16, u16, Arc<str>)> {
    let mut parts = Vec::<Value>::from_redis_value(range).ok()?.into_iter();
    let first = u16::from_redis_value(parts.next()?).ok()?;
    let last = u16::from_redis_value(parts.next()?).ok()?;
    let mut master = Vec::<Value>::from_redis_value(parts.next()?)
        .ok()?
        .into_iter();
    let host = Option::<String>::from_redis_value(master.next()?).ok()?;
    let port = u16::from_redis_value(master.next()?).ok()?;
    let host = host.filter(|host| !host.is_empty());
    let address = format!("{}:{port}", host.as_deref().unwrap_or(asked));
    Some((first, last, address.into()))
}

/// The addresses of the masters that an answer to `CLUSTER NODES` takes for alive: lines of an id,
/// `host:port@bus[,name]`, flags, and more.
fn living_masters(text: &str) -> Vec<String> {
    let master = |line: &str| {
        let mut words = line.split(' ');
        let (_, address, flags) = (words.next()?, words.next()?, words.next()?);
        let alive = flags.split(',').any(|flag| flag == "master")
            && !flags
                .split(',')
                .any(|flag| matches!(flag, "fail" | "fail?" | "noaddr" | "handshake"));
        let (address, _) = address.split_once('@')?;
        alive.then(|| address.to_owned())
    };
    text.lines().filter_map(master).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_with_their_masters() {
        let text = |text: &str| Value::BulkString(text.into());
        let node = |host, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        let range = |nodes: Vec<Value>| {
            let slots = [Value::Int(0), Value::Int(5460)];
            Value::Array(slots.into_iter().chain(nodes).collect())
        };
        let with_replica = range(vec![
            node(text("10.0.0.1"), 7000),
            node(text("10.0.0.2"), 7001),
        ]);
        let expected = |address: &str| Some((0, 5460, Arc::from(address)));
        assert_eq!(read_range(with_replica, "seed"), expected("10.0.0.1:7000"));
        let nameless = range(vec![node(Value::Nil, 7000)]);
        assert_eq!(read_range(nameless, "seed"), expected("seed:7000"));
        assert_eq!(read_range(range(vec![]), "seed"), None);
    }

    #[test]
    fn masters_that_live_are_found_among_the_nodes() {
        let text = "07c3 127.0.0.1:30004@31004 slave e7d1 0 1426238317239 4 connected\n\
            67ed 127.0.0.1:30002@31002,name master - 0 1426238316232 2 connected 5461-10922\n\
            292f 127.0.0.1:30003@31003 master,fail - 0 1426238318243 3 connected\n\
            e7d1 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460\n";
        assert_eq!(living_masters(text), ["127.0.0.1:30002", "127.0.0.1:30001"]);
        assert!(living_masters("").is_empty());
    }
}
