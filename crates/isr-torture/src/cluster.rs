//! The servers of a Redis Cluster: formed, looked at, and made to hand slots over.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use deadpool_redis::redis::{self, FromRedisValue};
use tokio::sync::RwLock;

use crate::plan::MASTERS;

/// Slots of every Redis Cluster.
const SLOTS: usize = 16_384;
/// How long a node may take to answer. `MIGRATE` with large keys takes longest.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the cluster may take to be whole again, and a slot to have moved.
const BOUND: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);
/// Looks before nodes that do not know of one another are introduced again.
const GREETING: u32 = 30;
/// Keys moved at a time.
const KEYS: &str = "50";

/// The nodes, behind their links' backs: what is asked here is no part of what is tortured.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    /// Held by whoever disturbs a node, and alone by whoever moves a slot: `redis-cli --cluster fix` is for
    /// moves that were broken off, and no subject here.
    pub(crate) calm: RwLock<()>,
}

/// A server, by the number that it is called by.
#[derive(Debug)]
struct Node {
    port: u16,
    id: String,
}

/// Where a node listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodePorts {
    pub(crate) clients: u16,
    pub(crate) bus: u16,
}

impl Cluster {
    /// Makes a cluster of servers that know nothing yet: masters first, then a replica of each.
    pub(crate) async fn form(ports: &[NodePorts]) -> anyhow::Result<Self> {
        let mut nodes = Vec::new();
        for at in ports {
            let id = ask(at.clients, &["CLUSTER", "MYID"]).await?;
            nodes.push(Node {
                port: at.clients,
                id,
            });
        }
        for (number, node) in nodes.iter().take(MASTERS).enumerate() {
            let first = (SLOTS * number / MASTERS).to_string();
            let last = (SLOTS * (number + 1) / MASTERS - 1).to_string();
            tell(node.port, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await?;
            let epoch = (number + 1).to_string();
            tell(node.port, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await?;
        }
        let cluster = Self {
            nodes,
            calm: RwLock::new(()),
        };
        cluster.introduce(ports).await?;
        for number in MASTERS..cluster.nodes.len() {
            let master = &cluster.nodes[number - MASTERS].id;
            let follow = ["CLUSTER", "REPLICATE", master];
            // It has to have heard of its master first.
            let port = cluster.nodes[number].port;
            let patience = Patience::new("a replica follows its master");
            while let Err(error) = tell(port, &follow).await {
                patience.after(error).await?;
            }
        }
        cluster.until_whole().await?;
        Ok(cluster)
    }

    /// Has the nodes know of one another. A node that is busy may miss that another one greets it, which does so
    /// only once.
    async fn introduce(&self, ports: &[NodePorts]) -> anyhow::Result<()> {
        let patience = Patience::new("the nodes know of one another");
        for look in 0_u32.. {
            if look.is_multiple_of(GREETING) {
                for at in &ports[1..] {
                    let (port, bus) = (at.clients.to_string(), at.bus.to_string());
                    let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
                    tell(self.nodes[0].port, &meet).await?;
                }
            }
            let Err(error) = self.acquainted().await else {
                break;
            };
            patience.after(error).await?;
        }
        Ok(())
    }

    /// Fails if a node does not know of another one.
    async fn acquainted(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            let nodes: String = ask(node.port, &["CLUSTER", "NODES"]).await?;
            for other in &self.nodes {
                let mut lines = nodes.lines();
                let known =
                    lines.any(|line| line.starts_with(&other.id) && !line.contains("handshake"));
                ensure!(known, "a node does not know of another one");
            }
        }
        Ok(())
    }

    /// Whether a node is a master just now; not if it does not say.
    pub(crate) async fn is_master(&self, number: usize) -> bool {
        let asked = ask::<String>(self.nodes[number].port, &["INFO", "replication"]);
        let role = tokio::time::timeout(Duration::from_millis(300), asked).await;
        matches!(role, Ok(Ok(info)) if info.contains("role:master"))
    }

    /// Moves a partition's slot to the next master, once the cluster is whole. Says from where to where.
    pub(crate) async fn move_partition(&self, partition: u16) -> anyhow::Result<(usize, usize)> {
        let _alone = self.calm.write().await;
        self.until_whole().await?;
        let key = format!("isr:{{torture:{partition}}}:");
        let slot = ask::<usize>(self.nodes[0].port, &["CLUSTER", "KEYSLOT", &key]).await?;
        let (from, to) = self.way(slot).await?;
        let patience = Patience::new("a slot has moved");
        while let Err(error) = self.hand_over(slot, from, to).await {
            patience.after(error).await?;
        }
        Ok((from, to))
    }

    /// Who has a slot, and the master after him.
    async fn way(&self, slot: usize) -> anyhow::Result<(usize, usize)> {
        let from = self.owner(slot, 0).await?;
        let count = self.nodes.len();
        for step in 1..count {
            let number = (from + step) % count;
            if self.is_master(number).await {
                return Ok((from, number));
            }
        }
        bail!("there is no other master")
    }

    /// Every step can be done again, whichever was the last that was done.
    async fn hand_over(&self, slot: usize, from: usize, to: usize) -> anyhow::Result<()> {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let slot_name = slot.to_string();
        let name = slot_name.as_str();
        if self.owner(slot, to).await? != to {
            let importing = ["CLUSTER", "SETSLOT", name, "IMPORTING", &source.id];
            tell(target.port, &importing).await?;
            let migrating = ["CLUSTER", "SETSLOT", name, "MIGRATING", &target.id];
            tell(source.port, &migrating).await?;
            while Self::move_keys(name, source, target).await? {}
        }
        // Also if they have heard of it: only by this do they forget that the slot was on its way.
        given(target, name, target).await?;
        given(source, name, target).await?;
        for asked in 0..self.nodes.len() {
            let owner = self.owner(slot, asked).await?;
            ensure!(owner == to, "a node has not heard of it");
        }
        Ok(())
    }

    /// Moves some keys; says whether there were any.
    async fn move_keys(slot: &str, from: &Node, to: &Node) -> anyhow::Result<bool> {
        // Keys may hold any bytes.
        let list = ["CLUSTER", "GETKEYSINSLOT", slot, KEYS];
        let keys: Vec<Vec<u8>> = ask(from.port, &list).await?;
        if keys.is_empty() {
            return Ok(false);
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg(&["127.0.0.1", &to.port.to_string(), "", "0", "10000", "KEYS"]);
        migrate.arg(&keys);
        query::<()>(from.port, &migrate).await?;
        Ok(true)
    }

    /// Which of the nodes has a slot, as one of them sees it.
    async fn owner(&self, slot: usize, asked: usize) -> anyhow::Result<usize> {
        let nodes: String = ask(self.nodes[asked].port, &["CLUSTER", "NODES"]).await?;
        let owner = owner_in(&nodes, slot).context("the slot has no owner")?;
        let known = self.nodes.iter().position(|node| node.id == owner);
        known.context("the slot's owner is a stranger")
    }

    /// Waits until every node takes the cluster for whole, and each master has a replica that follows it.
    pub(crate) async fn until_whole(&self) -> anyhow::Result<()> {
        let patience = Patience::new("the cluster is whole");
        while let Err(error) = self.whole().await {
            patience.after(error).await?;
        }
        Ok(())
    }

    /// Fails if it is not.
    async fn whole(&self) -> anyhow::Result<()> {
        let everybody = format!("cluster_known_nodes:{}", self.nodes.len());
        let mut masters = 0;
        for node in &self.nodes {
            let state: String = ask(node.port, &["CLUSTER", "INFO"]).await?;
            let serves = state.contains("cluster_state:ok") && state.contains(&everybody);
            ensure!(serves, "a node does not serve");
            let role: String = ask(node.port, &["INFO", "replication"]).await?;
            let is_master = role.contains("role:master");
            let follows = role.contains(if is_master {
                "state=online"
            } else {
                "master_link_status:up"
            });
            ensure!(follows, "a replica does not follow");
            masters += usize::from(is_master);
        }
        ensure!(masters == MASTERS, "there are {masters} masters");
        Ok(())
    }
}

/// Tells a node whose a slot is now.
async fn given(told: &Node, slot: &str, to: &Node) -> anyhow::Result<()> {
    tell(told.port, &["CLUSTER", "SETSLOT", slot, "NODE", &to.id]).await
}

/// The id of the node that has a slot, in what `CLUSTER NODES` says.
fn owner_in(nodes: &str, slot: usize) -> Option<&str> {
    let has = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&slot),
            // A slot that is being moved stands in brackets as well.
            _ => false,
        }
    };
    let mut lines = nodes.lines();
    let line = lines.find(|line| line.split(' ').skip(8).any(has))?;
    line.split(' ').next()
}

/// The arguments that make a server a node of a cluster. Clients, and replicas, come by way of its link.
pub(crate) fn arguments(bus: u16, link: u16) -> Vec<String> {
    let (bus, link) = (bus.to_string(), link.to_string());
    let arguments = [
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "1000",
        "--cluster-port",
        &bus,
        "--cluster-announce-bus-port",
        &bus,
        "--cluster-announce-ip",
        "127.0.0.1",
        "--cluster-announce-port",
        &link,
    ];
    arguments.map(str::to_owned).to_vec()
}

async fn tell(port: u16, command: &[&str]) -> anyhow::Result<()> {
    ask(port, command).await
}

async fn ask<T: FromRedisValue>(port: u16, command: &[&str]) -> anyhow::Result<T> {
    let mut words = redis::Cmd::new();
    words.arg(command);
    query(port, &words).await
}

async fn query<T: FromRedisValue>(port: u16, command: &redis::Cmd) -> anyhow::Result<T> {
    let asked = async {
        let client = redis::Client::open(("127.0.0.1", port))?;
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        command.query_async(&mut connection).await
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    let answer = answer.context("a node of the cluster does not answer")?;
    answer.context("a node of the cluster cannot do what it is asked")
}

/// How long something is tried again.
struct Patience {
    what: &'static str,
    started: Instant,
}

impl Patience {
    fn new(what: &'static str) -> Self {
        let started = Instant::now();
        Self { what, started }
    }

    /// Waits a moment after an error, or gives up with it.
    async fn after(&self, error: anyhow::Error) -> anyhow::Result<()> {
        if self.started.elapsed() > BOUND {
            let (waited, what) = (BOUND.as_secs(), self.what);
            return Err(error.context(format!("waited {waited} s in vain until {what}")));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slots_owner_is_the_node_that_lists_it() {
        let nodes = "aa 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-99 200 [300->-bb]\n\
                     bb 127.0.0.1:3@4 master - 0 0 2 connected 100-199 300\n\
                     cc 127.0.0.1:5@6 slave aa 0 0 1 connected\n";
        for (slot, owner) in [(0, "aa"), (99, "aa"), (100, "bb"), (200, "aa"), (300, "bb")] {
            assert_eq!(owner_in(nodes, slot), Some(owner), "{slot}");
        }
        assert_eq!(owner_in(nodes, 400), None);
    }
}
