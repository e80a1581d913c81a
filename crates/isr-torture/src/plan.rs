//! Which faults happen when: drawn from the seed before the run begins.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::random::{millis, stream};

/// How many workers there are.
pub(crate) const WORKERS: usize = 4;
/// How many edges.
pub(crate) const EDGES: usize = 2;

/// Masters of a cluster; each has one replica.
pub(crate) const MASTERS: usize = 3;

/// The servers that keep the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// One Redis.
    One,
    /// A Redis Cluster of three masters, each with a replica.
    Cluster,
}

impl Servers {
    /// How many there are.
    pub(crate) const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Cluster => 2 * MASTERS,
        }
    }
}

/// Before the first fault: the caches fill.
const QUIET: Duration = Duration::from_secs(3);

/// A process that can be killed and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Redis(usize),
    Worker(usize),
    Edge(usize),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(number) => write!(f, "redis-{}", number + 1),
            Self::Worker(number) => write!(f, "worker-{}", number + 1),
            Self::Edge(number) => write!(f, "edge-{}", number + 1),
        }
    }
}

/// A link that can be cut, refuse, and stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Which {
    /// Between a process and the one Redis.
    Store(Who),
    /// Between a node of the cluster and everybody: processes, and the replica.
    Node(usize),
    /// Between Varnish and an edge.
    Front(usize),
    /// Between the workers and Varnish.
    Purges,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(who) => write!(f, "the link between {who} and redis"),
            Self::Node(node) => write!(f, "the link to {}", Who::Redis(*node)),
            Self::Front(edge) => write!(f, "the link between varnish and {}", Who::Edge(*edge)),
            Self::Purges => f.write_str("the link between the workers and varnish"),
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A process is killed, and started again after a while.
    Kill(Who, Duration),
    /// A process stands still for a while.
    Stop(Who, Duration),
    /// Every connection of a link breaks.
    Cut(Which),
    /// So they do, and no new one is taken for a while.
    Refuse(Which, Duration),
    /// A link passes nothing on for a while.
    Stall(Which, Duration),
    /// A partition of the store moves to another master.
    Move(u16),
}

impl Fault {
    /// How long it lasts; a process takes a moment more to come up again.
    pub(crate) const fn lasts(&self) -> Duration {
        match self {
            // It takes as long as it takes, and nothing is planned by it.
            Self::Cut(_) | Self::Move(_) => Duration::ZERO,
            Self::Kill(_, during)
            | Self::Stop(_, during)
            | Self::Refuse(_, during)
            | Self::Stall(_, during) => *during,
        }
    }

    /// Whether a visitor may notice although the pages can be had: his edge, or the way there, is away.
    pub(crate) const fn shows(&self) -> bool {
        matches!(
            self,
            Self::Kill(Who::Edge(_), _)
                | Self::Stop(Who::Edge(_), _)
                | Self::Cut(Which::Front(_))
                | Self::Refuse(Which::Front(_), _)
                | Self::Stall(Which::Front(_), _)
        )
    }
}

/// A fault and its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// What a fault happens to: one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Process(Who),
    /// A master and its replica: one of them is always there to take over.
    Shard(usize),
    Link(Which),
    Partition(u16),
}

impl Subject {
    const fn of(who: Who, servers: Servers) -> Self {
        match (who, servers) {
            (Who::Redis(node), Servers::Cluster) => Self::Shard(node % MASTERS),
            _ => Self::Process(who),
        }
    }

    /// A moment of peace after each fault, to do something that a fault can hit. A replica takes a second
    /// to notice that its master is gone, and another one to be chosen; then the old one has to catch up.
    /// Meanwhile nothing is accepted, since a tag's pages may be in any partition.
    fn peace(self, random: &mut StdRng) -> Duration {
        match self {
            Self::Shard(_) => millis(random, 8_000, 20_000),
            Self::Partition(_) => millis(random, 5_000, 30_000),
            Self::Link(Which::Node(_)) => millis(random, 5_000, 15_000),
            Self::Process(_) | Self::Link(_) => millis(random, 300, 2_500),
        }
    }
}

/// The store that faults happen to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    pub(crate) servers: Servers,
    pub(crate) partitions: u16,
}

/// The faults of a run that lasts so long, in order; the last has ended by then.
pub(crate) fn plan(seed: u64, lasts: Duration, store: Store) -> Vec<Planned> {
    let mut random = stream(seed, "faults", 0);
    let mut free_from: HashMap<Subject, Duration> = HashMap::new();
    let mut planned = Vec::new();
    let mut at = QUIET;
    loop {
        at += millis(&mut random, 50, 600);
        if at >= lasts {
            return planned;
        }
        let (fault, subject) = draw(&mut random, store);
        let free = free_from.get(&subject).copied().unwrap_or_default();
        let until = at + fault.lasts();
        if at < free || until > lasts {
            continue;
        }
        free_from.insert(subject, until + subject.peace(&mut random));
        planned.push(Planned { at, fault });
    }
}

fn draw(random: &mut StdRng, store: Store) -> (Fault, Subject) {
    let servers = store.servers;
    if servers == Servers::Cluster && random.random_range(0..25) == 0 {
        let partition = random.random_range(0..store.partitions);
        return (Fault::Move(partition), Subject::Partition(partition));
    }
    let which = link(random, servers);
    let link = Subject::Link(which);
    match random.random_range(0..100) {
        0..26 => {
            let who = process(random, servers);
            let away = away(random, who, servers);
            (Fault::Kill(who, away), Subject::of(who, servers))
        }
        26..50 => {
            let who = process(random, servers);
            let fault = Fault::Stop(who, standstill(random));
            (fault, Subject::of(who, servers))
        }
        50..70 => (Fault::Cut(which), link),
        70..82 => (Fault::Refuse(which, millis(random, 100, 3_000)), link),
        _ => (Fault::Stall(which, stall(random, which)), link),
    }
}

/// The one Redis in two of twenty, any of a cluster's in three; the workers and edges share the rest.
fn process(random: &mut StdRng, servers: Servers) -> Who {
    let redis = match servers {
        Servers::One => 2,
        Servers::Cluster => 3,
    };
    match random.random_range(0..20) {
        number if number < redis => match servers {
            Servers::One => Who::Redis(0),
            Servers::Cluster => Who::Redis(random.random_range(0..servers.count())),
        },
        number if number < 13 => Who::Worker(random.random_range(0..WORKERS)),
        _ => Who::Edge(random.random_range(0..EDGES)),
    }
}

/// A node of a cluster may be back before its replica has taken over, or after.
fn away(random: &mut StdRng, who: Who, servers: Servers) -> Duration {
    let most = match (who, servers) {
        (Who::Redis(_), Servers::Cluster) => 6_000,
        _ => 2_000,
    };
    millis(random, 0, most)
}

/// Mostly short; now and then so long that a lease runs out and others take the process for dead.
fn standstill(random: &mut StdRng) -> Duration {
    if random.random_range(0..8) == 0 {
        millis(random, 5_000, 8_000)
    } else {
        millis(random, 50, 2_500)
    }
}

fn link(random: &mut StdRng, servers: Servers) -> Which {
    match (servers, random.random_range(0..10)) {
        (_, 9) => Which::Purges,
        (Servers::One, 0..4) => Which::Store(Who::Worker(random.random_range(0..WORKERS))),
        (Servers::One, 4..7) => Which::Store(Who::Edge(random.random_range(0..EDGES))),
        (Servers::Cluster, 0..3) => Which::Node(random.random_range(0..servers.count())),
        _ => Which::Front(random.random_range(0..EDGES)),
    }
}

/// What is held up between an edge and Varnish is stored later, which the settling time has to cover.
fn stall(random: &mut StdRng, which: Which) -> Duration {
    match which {
        Which::Front(_) => millis(random, 50, 1_500),
        Which::Store(_) | Which::Node(_) | Which::Purges => millis(random, 50, 4_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    const STORES: [Store; 2] = [
        Store {
            servers: Servers::One,
            partitions: 4,
        },
        Store {
            servers: Servers::Cluster,
            partitions: 4,
        },
    ];

    fn everybody(servers: Servers) -> impl Iterator<Item = Who> {
        let redis = (0..servers.count()).map(Who::Redis);
        let workers = (0..WORKERS).map(Who::Worker);
        redis.chain(workers).chain((0..EDGES).map(Who::Edge))
    }

    #[test]
    fn a_seed_has_one_plan() {
        for store in STORES {
            assert_eq!(plan(7, MINUTE, store), plan(7, MINUTE, store));
            assert_ne!(plan(7, MINUTE, store), plan(8, MINUTE, store));
        }
    }

    #[test]
    fn every_kind_of_fault_happens_to_everybody() {
        for store in STORES {
            let faults: Vec<Fault> = (0..20)
                .flat_map(|seed| plan(seed, MINUTE, store))
                .map(|planned| planned.fault)
                .collect();
            let any = |is: &dyn Fn(&Fault) -> bool| faults.iter().any(is);
            for who in everybody(store.servers) {
                let killed = any(&|fault| matches!(fault, Fault::Kill(it, _) if *it == who));
                let stopped = any(&|fault| matches!(fault, Fault::Stop(it, _) if *it == who));
                assert!(killed && stopped, "{who}: {killed}, {stopped}");
            }
            let link = match store.servers {
                Servers::One => Which::Store(Who::Worker(0)),
                Servers::Cluster => Which::Node(5),
            };
            for which in [Which::Purges, Which::Front(1), link] {
                let cut = any(&|fault| matches!(fault, Fault::Cut(it) if *it == which));
                let refuses = any(&|fault| matches!(fault, Fault::Refuse(it, _) if *it == which));
                let stalls = any(&|fault| matches!(fault, Fault::Stall(it, _) if *it == which));
                assert!(
                    cut && refuses && stalls,
                    "{which}: {cut}, {refuses}, {stalls}"
                );
            }
            for partition in 0..store.partitions {
                let moves = any(&|fault| *fault == Fault::Move(partition));
                assert_eq!(moves, store.servers == Servers::Cluster);
            }
        }
    }

    #[test]
    fn nothing_has_two_faults_at_once_and_all_end_in_time() {
        for (seed, store) in (0..50).flat_map(|seed| STORES.map(|store| (seed, store))) {
            let planned = plan(seed, MINUTE, store);
            for (index, one) in planned.iter().enumerate() {
                assert!(one.at >= QUIET && one.at + one.fault.lasts() <= MINUTE);
                let subject = |fault: &Fault| match *fault {
                    Fault::Kill(who, _) | Fault::Stop(who, _) => {
                        Some(Subject::of(who, store.servers))
                    }
                    _ => None,
                };
                let overlaps = planned[index + 1..].iter().any(|later| {
                    subject(&one.fault).is_some()
                        && subject(&one.fault) == subject(&later.fault)
                        && later.at < one.at + one.fault.lasts()
                });
                assert!(!overlaps);
            }
        }
    }
}
