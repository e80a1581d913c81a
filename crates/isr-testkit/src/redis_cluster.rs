//! A real Redis Cluster for one test.

use std::time::Duration;

use crate::RedisServer;
use crate::ports::free_port;

/// Slots of every Redis Cluster.
const SLOTS: usize = 16_384;
/// How long a node may be silent before the others give it up: short, so that a failover does not take long.
const NODE_TIMEOUT: &str = "1000";
/// The same while a test breaks nothing: a node that is only slow shall not be given up.
const PATIENT_TIMEOUT: &str = "30000";
/// The pause between two looks at what a cluster has come to.
const PAUSE: Duration = Duration::from_millis(50);
/// Looks before nodes that do not know of one another are introduced again.
const GREETING: u32 = 60;
/// How long a cluster may take to come to what is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Servers that form a cluster on the loopback interface: first the masters, then a replica of each where
/// wanted. All of them end when this is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    ids: Vec<String>,
    masters: usize,
}

impl RedisCluster {
    /// Starts a cluster of so many masters, over which the slots are spread evenly, and waits until it serves.
    ///
    /// # Panics
    ///
    /// When there is no Redis of release 7.0 or newer on `PATH`, or the cluster does not come up.
    pub async fn start(masters: usize) -> Self {
        Self::form(masters, 0, &[], &[]).await
    }

    /// As [`RedisCluster::start`], with a master for each of `ports`, where it says that clients find it.
    pub(crate) async fn start_announcing(ports: &[u16]) -> Self {
        Self::form(ports.len(), 0, &[], ports).await
    }

    /// The same with a replica of each master, and further arguments for every server.
    ///
    /// # Panics
    ///
    /// As [`RedisCluster::start`].
    pub async fn start_with_replicas(masters: usize, arguments: &[&str]) -> Self {
        Self::form(masters, masters, arguments, &[]).await
    }

    /// `announced` are the ports at which clients are to find the servers, where those are others than theirs.
    async fn form(masters: usize, replicas: usize, arguments: &[&str], announced: &[u16]) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            ids: Vec::new(),
            masters,
        };
        let mut bus_ports = Vec::new();
        for number in 0..masters + replicas {
            let bus_port = free_port().to_string();
            let announced = announced.get(number).map(u16::to_string);
            let mut all = vec!["--cluster-enabled", "yes"];
            all.extend(["--cluster-node-timeout", NODE_TIMEOUT]);
            all.extend(["--cluster-port", &bus_port]);
            if let Some(port) = &announced {
                all.extend(["--cluster-announce-port", port]);
            }
            all.extend(arguments);
            let node = RedisServer::start_with(&all).await;
            cluster
                .ids
                .push(node.words(&["CLUSTER", "MYID"]).await.remove(0));
            cluster.nodes.push(node);
            bus_ports.push(bus_port);
        }
        for (number, node) in cluster.nodes[..masters].iter().enumerate() {
            let first = (SLOTS * number / masters).to_string();
            let last = (SLOTS * (number + 1) / masters - 1).to_string();
            ok(node, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await;
            let epoch = (number + 1).to_string();
            ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
        }
        cluster.introduce(&bus_ports).await;
        for replica in masters..masters + replicas {
            let master = &cluster.ids[replica - masters];
            let follow = ["CLUSTER", "REPLICATE", master];
            let node = &cluster.nodes[replica];
            until("a replica knows its master", async || {
                node.execute(&follow).await == "+OK"
            })
            .await;
        }
        for node in 0..masters + replicas {
            cluster.until_serving(node).await;
        }
        cluster.set_node_timeout(PATIENT_TIMEOUT).await;
        for master in &cluster.nodes[..masters] {
            let wait = ["WAIT", if replicas > 0 { "1" } else { "0" }, "100"];
            until("the replicas follow", async || {
                replicas == 0 || master.execute(&wait).await == ":1"
            })
            .await;
        }
        cluster
    }

    /// Has the nodes know of one another. A node that is busy may miss that another one greets it, which does so
    /// only once.
    async fn introduce(&self, bus_ports: &[String]) {
        let mut looks = 0_u32;
        until("the nodes know of one another", async || {
            if looks.is_multiple_of(GREETING) {
                for (node, bus_port) in self.nodes.iter().zip(bus_ports).skip(1) {
                    let port = node.port().to_string();
                    let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, bus_port];
                    ok(&self.nodes[0], &meet).await;
                }
            }
            looks += 1;
            for node in &self.nodes {
                let nodes = node.words(&["CLUSTER", "NODES"]).await.concat();
                let knows = |id: &String| {
                    let mut lines = nodes.lines();
                    lines.any(|line| line.starts_with(id) && !line.contains("handshake"))
                };
                if !self.ids.iter().all(knows) {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// From now on a node that says nothing for a second is given up, and its replica takes its place.
    pub async fn expect_failures(&self) {
        self.set_node_timeout(NODE_TIMEOUT).await;
    }

    async fn set_node_timeout(&self, milliseconds: &str) {
        for node in &self.nodes {
            let set = ["CONFIG", "SET", "cluster-node-timeout", milliseconds];
            ok(node, &set).await;
        }
    }

    /// Waits until the node takes the cluster for whole, and itself for a part of it.
    ///
    /// # Panics
    ///
    /// When that takes more than a minute.
    pub async fn until_serving(&self, node: usize) {
        let node = &self.nodes[node];
        let everybody = format!("cluster_known_nodes:{}", self.nodes.len());
        until("the cluster serves", async || {
            let info = node.words(&["CLUSTER", "INFO"]).await.concat();
            info.contains("cluster_state:ok") && info.contains(&everybody)
        })
        .await;
    }

    /// Where clients connect to: every node, with commas in between.
    #[must_use]
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(RedisServer::url).collect();
        urls.join(",")
    }

    /// A server: the masters come first, and then their replicas in the same order.
    #[must_use]
    pub fn node(&self, number: usize) -> &RedisServer {
        &self.nodes[number]
    }

    /// A server, to end it or start it again.
    pub fn node_mut(&mut self, number: usize) -> &mut RedisServer {
        &mut self.nodes[number]
    }

    /// How many masters it was started with.
    #[must_use]
    pub fn masters(&self) -> usize {
        self.masters
    }

    /// The slot of a key.
    pub async fn slot_of(&self, key: &str) -> String {
        self.nodes[0]
            .words(&["CLUSTER", "KEYSLOT", key])
            .await
            .remove(0)
    }

    /// Which of the nodes has a slot, as the node `asked` sees it.
    ///
    /// # Panics
    ///
    /// When nobody has it.
    pub async fn owner_of(&self, slot: &str, asked: usize) -> usize {
        let key_slot: usize = slot.parse().expect("a slot is a number");
        let nodes = self.nodes[asked]
            .words(&["CLUSTER", "NODES"])
            .await
            .concat();
        let has = |word: &str| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last) = (first.parse::<usize>(), last.parse::<usize>());
            matches!((first, last), (Ok(first), Ok(last)) if (first..=last).contains(&key_slot))
        };
        let line = nodes
            .lines()
            .find(|line| line.split(' ').skip(8).any(has))
            .expect("every slot has an owner");
        let id = line.split(' ').next().unwrap_or_default();
        self.ids
            .iter()
            .position(|known| known == id)
            .expect("a node of this cluster")
    }

    /// Begins to move a slot between two masters: from now on each knows of the other.
    pub async fn begin_move(&self, slot: &str, from: usize, to: usize) {
        let importing = ["CLUSTER", "SETSLOT", slot, "IMPORTING", &self.ids[from]];
        ok(&self.nodes[to], &importing).await;
        let migrating = ["CLUSTER", "SETSLOT", slot, "MIGRATING", &self.ids[to]];
        ok(&self.nodes[from], &migrating).await;
    }

    /// Moves some keys of a slot; says how many there were.
    pub async fn move_keys(&self, slot: &str, from: usize, to: usize, most: usize) -> usize {
        let most = most.to_string();
        // Keys may hold any bytes.
        let keys = self.nodes[from]
            .answer(&["CLUSTER", "GETKEYSINSLOT", slot, &most])
            .await;
        let port = self.nodes[to].port().to_string();
        let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        let migrate = migrate.iter().map(|word| word.as_bytes());
        let migrate: Vec<&[u8]> = migrate.chain(keys.iter().map(Vec::as_slice)).collect();
        if !keys.is_empty() {
            let moved = self.nodes[from].answer(&migrate).await;
            assert_eq!(moved, [b"OK"], "the keys were moved");
        }
        keys.len()
    }

    /// Ends the move of a slot of which all keys have been moved, and waits until everybody knows.
    pub async fn end_move(&self, slot: &str, from: usize, to: usize) {
        let given = ["CLUSTER", "SETSLOT", slot, "NODE", &self.ids[to]];
        ok(&self.nodes[to], &given).await;
        ok(&self.nodes[from], &given).await;
        until("all nodes agree whose the slot is", async || {
            let mut epochs = Vec::new();
            for asked in 0..self.nodes.len() {
                if self.owner_of(slot, asked).await != to {
                    return false;
                }
                let info = self.nodes[asked].words(&["CLUSTER", "INFO"]).await.concat();
                let epoch = info
                    .lines()
                    .find(|line| line.starts_with("cluster_current_epoch"));
                epochs.push(epoch.map(str::to_owned));
            }
            // Whoever takes the next slot has to know the newest, or its claim would be outranked.
            epochs.windows(2).all(|pair| pair[0] == pair[1])
        })
        .await;
    }

    /// Moves a slot between two masters, with everything in it.
    pub async fn move_slot(&self, slot: &str, from: usize, to: usize) {
        self.begin_move(slot, from, to).await;
        while self.move_keys(slot, from, to, 50).await > 0 {}
        self.end_move(slot, from, to).await;
    }
}

async fn ok(node: &RedisServer, command: &[&str]) {
    let answer = node.execute(command).await;
    assert_eq!(answer, "+OK", "{command:?}");
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let result = tokio::time::timeout(PATIENCE, waited).await;
    assert!(result.is_ok(), "waited in vain until {what}");
}
