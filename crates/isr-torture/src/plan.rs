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

/// Before the first fault: the caches fill.
const QUIET: Duration = Duration::from_secs(3);

/// A process that can be killed and stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Redis,
    Worker(usize),
    Edge(usize),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis => f.write_str("redis"),
            Self::Worker(number) => write!(f, "worker-{}", number + 1),
            Self::Edge(number) => write!(f, "edge-{}", number + 1),
        }
    }
}

/// A link that can be cut, refuse, and stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Which {
    /// Between a process and Redis.
    Store(Who),
    /// Between Varnish and an edge.
    Front(usize),
    /// Between the workers and Varnish.
    Purges,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(who) => write!(f, "the link between {who} and redis"),
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
}

impl Fault {
    /// How long it lasts; a process takes a moment more to come up again.
    pub(crate) const fn lasts(&self) -> Duration {
        match self {
            Self::Cut(_) => Duration::ZERO,
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
    Link(Which),
}

/// The faults of a run that lasts so long, in order; the last has ended by then.
pub(crate) fn plan(seed: u64, lasts: Duration) -> Vec<Planned> {
    let mut random = stream(seed, "faults", 0);
    let mut free_from: HashMap<Subject, Duration> = HashMap::new();
    let mut planned = Vec::new();
    let mut at = QUIET;
    loop {
        at += millis(&mut random, 50, 600);
        if at >= lasts {
            return planned;
        }
        let (fault, subject) = draw(&mut random);
        let free = free_from.get(&subject).copied().unwrap_or_default();
        let until = at + fault.lasts();
        if at < free || until > lasts {
            continue;
        }
        // A process has a moment of peace after each fault, to do something that a fault can hit.
        free_from.insert(subject, until + millis(&mut random, 300, 2_500));
        planned.push(Planned { at, fault });
    }
}

fn draw(random: &mut StdRng) -> (Fault, Subject) {
    let which = link(random);
    let link = Subject::Link(which);
    match random.random_range(0..100) {
        0..26 => {
            let who = process(random, 2);
            let away = millis(random, 0, 2_000);
            (Fault::Kill(who, away), Subject::Process(who))
        }
        26..50 => {
            let who = process(random, 2);
            (Fault::Stop(who, standstill(random)), Subject::Process(who))
        }
        50..70 => (Fault::Cut(which), link),
        70..82 => (Fault::Refuse(which, millis(random, 100, 3_000)), link),
        _ => (Fault::Stall(which, stall(random, which)), link),
    }
}

/// Redis in as many of twenty; the workers and edges share the rest.
fn process(random: &mut StdRng, redis: u32) -> Who {
    match random.random_range(0..20) {
        number if number < redis => Who::Redis,
        number if number < 13 => Who::Worker(random.random_range(0..WORKERS)),
        _ => Who::Edge(random.random_range(0..EDGES)),
    }
}

/// Mostly short; now and then so long that a lease runs out and others take the process for dead.
fn standstill(random: &mut StdRng) -> Duration {
    if random.random_range(0..8) == 0 {
        millis(random, 5_000, 8_000)
    } else {
        millis(random, 50, 2_500)
    }
}

fn link(random: &mut StdRng) -> Which {
    match random.random_range(0..10) {
        0..4 => Which::Store(Who::Worker(random.random_range(0..WORKERS))),
        4..7 => Which::Store(Who::Edge(random.random_range(0..EDGES))),
        7..9 => Which::Front(random.random_range(0..EDGES)),
        _ => Which::Purges,
    }
}

/// What is held up between an edge and Varnish is stored later, which the settling time has to cover.
fn stall(random: &mut StdRng, which: Which) -> Duration {
    match which {
        Which::Front(_) => millis(random, 50, 1_500),
        Which::Store(_) | Which::Purges => millis(random, 50, 4_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everybody() -> impl Iterator<Item = Who> {
        let workers = (0..WORKERS).map(Who::Worker);
        [Who::Redis]
            .into_iter()
            .chain(workers)
            .chain((0..EDGES).map(Who::Edge))
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_seed_has_one_plan() {
        assert_eq!(plan(7, MINUTE), plan(7, MINUTE));
        assert_ne!(plan(7, MINUTE), plan(8, MINUTE));
    }

    #[test]
    fn every_kind_of_fault_happens_to_everybody() {
        let faults: Vec<Fault> = (0..10)
            .flat_map(|seed| plan(seed, MINUTE))
            .map(|planned| planned.fault)
            .collect();
        for who in everybody() {
            let killed = |fault: &Fault| matches!(fault, Fault::Kill(it, _) if *it == who);
            let stopped = |fault: &Fault| matches!(fault, Fault::Stop(it, _) if *it == who);
            assert!(faults.iter().any(killed), "{who} is never killed");
            assert!(faults.iter().any(stopped), "{who} never stands still");
        }
        for which in [Which::Purges, Which::Front(1), Which::Store(Who::Worker(0))] {
            let cut = |fault: &Fault| matches!(fault, Fault::Cut(it) if *it == which);
            let refuses = |fault: &Fault| matches!(fault, Fault::Refuse(it, _) if *it == which);
            let stalls = |fault: &Fault| matches!(fault, Fault::Stall(it, _) if *it == which);
            assert!(faults.iter().any(cut), "{which} is never cut");
            assert!(faults.iter().any(refuses), "{which} never refuses");
            assert!(faults.iter().any(stalls), "{which} never stalls");
        }
    }

    #[test]
    fn nothing_has_two_faults_at_once_and_all_end_in_time() {
        for seed in 0..50 {
            let planned = plan(seed, MINUTE);
            for (index, one) in planned.iter().enumerate() {
                assert!(one.at >= QUIET && one.at + one.fault.lasts() <= MINUTE);
                let process = |fault: &Fault| match *fault {
                    Fault::Kill(who, _) | Fault::Stop(who, _) => Some(who),
                    _ => None,
                };
                let overlaps = planned[index + 1..].iter().any(|later| {
                    process(&one.fault).is_some()
                        && process(&one.fault) == process(&later.fault)
                        && later.at < one.at + one.fault.lasts()
                });
                assert!(!overlaps);
            }
        }
    }
}
