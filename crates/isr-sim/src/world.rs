//! The world of a seed: what is in it, what happens step by step, and how it comes to rest.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{Clock, JobStore as _, QueueDepth};
use isr_graph::{MemoryOptions, MemoryStore};
use isr_pipeline::TokioClock;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::cdn::ModelCdn;
use crate::desk::Desk;
use crate::embargo::Embargo;
use crate::fault::Fault;
use crate::host::Armed;
use crate::journal::Journal;
use crate::loss::Loss;
use crate::net::{FROM_SHIELD, Net};
use crate::process::{Kind, Process, Servers};
use crate::random::{below, millis, stream};
use crate::rule::Rules;
use crate::scenario::Scenario;
use crate::server::{Errand, Server};
use crate::site::{Data, Site};
use crate::tearing::{Tearing, partitions};
use crate::truth::Truth;
use crate::violation::{self, Violation};

/// How long a world is given to come to rest, in rounds.
const ROUNDS: u32 = 8_000;
/// And how long a round takes.
const ROUND: Duration = Duration::from_millis(50);

/// Whoever has not heard from the store for this long knows that he is behind.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// The most requests that are answered at once.
const MOST_REQUESTS: usize = 12;

/// A place for a process: when it dies, another takes its place.
#[derive(Debug)]
struct Slot {
    kind: Kind,
    process: Process,
    /// When the next one starts, once this one is dead.
    again_at: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) net: Arc<Net>,
    tiers: Vec<Arc<ModelCdn>>,
    slots: Vec<Slot>,
    servers: Servers,
    pub(crate) desk: Arc<Desk>,
    pub(crate) embargoes: Vec<Embargo>,
    /// How likely it is that a process or the store is hurt where a step could do that: where everything is
    /// always broken, nothing ever settles before the faults stop.
    turmoil: f64,
    pub(crate) loss: Loss,
    processes: u64,
    tick: u32,
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut random = stream(scenario.seed, "world", 0);
        let clock = TokioClock::new();
        let options = MemoryOptions {
            partitions: partitions(scenario.seed),
            history: if random.random_bool(0.3) { 2 } else { 1_000 },
            ..MemoryOptions::default()
        };
        let tearing = Arc::new(Tearing::default());
        let store = MemoryStore::new(Arc::new(clock) as Arc<dyn Clock>, options);
        let store = Arc::new(store.with_between(Arc::clone(&tearing) as _));
        let journal = Journal::new(scenario.journal);
        let site = Site::random(&mut random);
        let tiers = random.random_range(1..=3);
        let shielded = shielded(scenario.seed, tiers);
        let truth = Arc::new(Truth::new((site, shielded), journal, Arc::clone(&store)));
        let loss = Loss::new(scenario.seed, &store);
        let lag = replica_lag(scenario.seed, &loss);
        let net = Arc::new(Net::new(
            (scenario.seed, tiers, lag),
            Rules(scenario.without),
            scenario.faults,
            clock,
            (store, truth),
        ));
        tearing.begin(&net);
        let tiers: Vec<_> = (0..tiers).map(|index| ModelCdn::new(index, &net)).collect();
        let by_url = tiers.iter().all(|cdn| cdn.is_purged_by_url());
        let mut world = Self {
            desk: Desk::new(&net, by_url),
            embargoes: vec![],
            net,
            tiers,
            slots: vec![],
            servers: Servers::default(),
            turmoil: [0.03, 0.1, 0.3, 0.9][random.random_range(0..4)],
            loss,
            processes: 0,
            tick: 0,
        };
        for kind in kinds(&mut random) {
            let process = world.process(kind);
            world.slots.push(Slot {
                kind,
                process,
                again_at: None,
            });
        }
        world
    }

    fn process(&mut self, kind: Kind) -> Process {
        self.processes += 1;
        let name = format!("p{}", self.processes);
        Process::start((name, kind), &self.net, &self.tiers, &self.servers)
    }

    /// One thing happens, or nothing, and some time passes. The number of the step alone says what.
    pub(crate) async fn step(&mut self, number: u64, happens: bool) {
        let mut random = stream(self.net.seed, "step", number);
        let pause = match random.random_range(0..8) {
            0..3 => Duration::ZERO,
            3..6 => below(&mut random, 20),
            6 => below(&mut random, 250),
            _ => below(&mut random, 2_000),
        };
        self.replace_the_dead(&mut random);
        self.purge_after_loss();
        if happens {
            self.happen(&mut random);
        }
        tokio::time::sleep(pause).await;
        self.net.truth.look();
        self.look_at_edges();
    }

    /// No edge takes anything of a history for current that it knows to be over.
    fn look_at_edges(&self) {
        let servers = self.servers.lock();
        let found = servers
            .iter()
            .find_map(|server| Some((server, server.believes()?)));
        if let Some((server, page)) = found {
            let name = &server.host.name;
            let text = format!("{name} serves page {page} from a history that it knows to be lost");
            let violation = Violation::new(violation::Kind::OldAtAnEdge, text);
            self.net.truth.wrong(violation);
        }
        // Whoever renders from a replica that lags may read older data even now.
        let lost = self.net.truth.lost_since(HEARD_WITHIN);
        let lost = lost.filter(|_| self.net.lag.is_zero());
        let older = lost.and_then(|lost| {
            servers
                .iter()
                .find_map(|it| Some((it, it.knows_better(&lost)?)))
        });
        if let Some((server, (page, data))) = older {
            let name = &server.host.name;
            let text = format!(
                "{name} serves page {page} of {data:?} from before a loss that it has heard of"
            );
            let violation = Violation::new(violation::Kind::OldAtAnEdge, text);
            self.net.truth.wrong(violation);
        }
    }

    fn happen(&mut self, random: &mut StdRng) {
        let calm = !random.random_bool(self.turmoil);
        match random.random_range(0..110) {
            0..50 => self.request(random),
            50..60 => self.visit(random),
            60..67 => self.change(random),
            67..85 => self.revalidate(random),
            104..108 => self.schedule(random),
            108..110 => self.call_off(random),
            _ if calm => self.request(random),
            85..90 => self.crash(random),
            90..93 => self.pause(random),
            93..96 => self.cut_off(random),
            96 => self.restart_store(random),
            97..100 => self.leave(random),
            100..102 => self.cut_off_tier(random),
            102 => self.loss.back_up(&self.net.store),
            _ => self.lose_history(random),
        }
    }

    /// A process that has died is started anew, after a while.
    fn replace_the_dead(&mut self, random: &mut StdRng) {
        let long = below(random, 6_000);
        let now = Instant::now();
        self.servers
            .lock()
            .retain(|server| !server.host.dead.is_cancelled());
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if !slot.process.host.dead.is_cancelled() {
                continue;
            }
            let at = *slot.again_at.get_or_insert(now + long);
            if now >= at || self.net.is_calm() {
                self.net.count(Fault::Restart);
                self.replace(index);
            }
        }
    }

    fn replace(&mut self, index: usize) {
        let process = self.process(self.slots[index].kind);
        let slot = &mut self.slots[index];
        slot.process = process;
        slot.again_at = None;
    }

    pub(crate) fn server(&self, random: &mut StdRng) -> Option<Arc<Server>> {
        let index = random.random_range(0..self.slots.len());
        let server = self.slots[index].process.server.clone()?;
        server.host.is_awake().then_some(server)
    }

    fn request(&self, random: &mut StdRng) {
        let page = random.random_range(0..self.net.truth.site.pages());
        let errand = Errand::random(random, page);
        if let Some(server) = self.server(random)
            && Arc::strong_count(&server) < MOST_REQUESTS
        {
            let host = Arc::clone(&server.host);
            host.spawn(async move {
                server.respond(errand).await;
            });
        }
    }

    fn visit(&self, random: &mut StdRng) {
        let tier = random.random_range(0..self.tiers.len());
        let page = random.random_range(0..self.net.truth.site.pages());
        self.net.recache(tier, page, below(random, FROM_SHIELD));
        self.net.truth.visit(tier, page);
    }

    /// A datum changes, and somebody is going to revalidate it.
    pub(crate) fn change(&mut self, random: &mut StdRng) {
        let datum = random.random_range(0..self.net.truth.site.data);
        let wanted = self.desk.wanted(random, datum);
        let mut covers = Data::default();
        covers[datum] = self.net.truth.change(datum);
        self.desk.put_out(wanted, covers);
        // Mostly whoever changed it asks at once, and an outbox is there for when that fails.
        if random.random_bool(0.7) {
            self.revalidate(random);
        }
    }

    /// Somebody asks for the oldest revalidation that nobody has acknowledged, perhaps once more.
    pub(crate) fn revalidate(&self, random: &mut StdRng) {
        if !self.desk.is_empty()
            && let Some(server) = self.server(random)
        {
            self.desk.ask(server);
        }
    }

    pub(crate) fn slot(&self, random: &mut StdRng) -> &Process {
        &self.slots[random.random_range(0..self.slots.len())].process
    }

    /// A process is going to crash at one of its next calls.
    fn crash(&self, random: &mut StdRng) {
        let armed = Armed {
            calls: random.random_range(0..8),
            changes_only: random.random_bool(0.7),
            after: random.random_bool(0.5),
        };
        self.slot(random).host.arm(armed);
    }

    fn pause(&self, random: &mut StdRng) {
        let host = &self.slot(random).host;
        let long = below(random, 9_000);
        if self.net.strikes(Fault::Pause, true) {
            self.note(format_args!("{} stands still for {long:?}", host.name));
            host.pause(long);
        }
    }

    fn cut_off(&self, random: &mut StdRng) {
        let host = &self.slot(random).host;
        let long = below(random, 9_000);
        if self.net.strikes(Fault::Partition, true) {
            self.note(format_args!("{} is cut off for {long:?}", host.name));
            host.cut_off(long);
        }
    }

    /// Some processes cannot reach the store for a while.
    pub(crate) fn cut_some_off(&self, random: &mut StdRng, long: Duration) {
        for slot in &self.slots {
            let drawn = random.random_bool(0.5);
            if self.net.strikes(Fault::Partition, drawn) {
                slot.process.host.cut_off(long);
            }
        }
    }

    fn cut_off_tier(&self, random: &mut StdRng) {
        let host = &self.slot(random).host;
        let tier = random.random_range(0..self.tiers.len());
        let long = below(random, 9_000);
        if self.net.strikes(Fault::TierPartition, true) {
            let name = &host.name;
            self.note(format_args!(
                "{name} is cut off from cdn{tier} for {long:?}"
            ));
            host.cut_off_tier(tier, long);
        }
    }

    fn restart_store(&self, random: &mut StdRng) {
        let long = below(random, 4_000);
        if self.net.strikes(Fault::StoreRestart, true) {
            self.note(format_args!("the store is away for {long:?}"));
            self.net.restart_store(long);
        }
    }

    /// A process ends in good order, and another takes its place, as when a release is rolled out.
    fn leave(&mut self, random: &mut StdRng) {
        let index = random.random_range(0..self.slots.len());
        let process = &self.slots[index].process;
        if process.host.dead.is_cancelled() {
            return;
        }
        self.note(format_args!("{} is asked to end", process.host.name));
        process.stop();
        if let Some(server) = &process.server {
            let name = &server.host.name;
            self.servers.lock().retain(|it| it.host.name != *name);
        }
        self.replace(index);
    }

    pub(crate) fn note(&self, line: std::fmt::Arguments<'_>) {
        self.net.truth.journal.note(line);
    }

    /// Lets everything that has begun come to its end; says what is wrong then.
    pub(crate) async fn rest(&mut self) -> Option<Violation> {
        self.note(format_args!("the faults stop"));
        self.net.calm();
        for _ in 0..ROUNDS {
            self.round();
            tokio::time::sleep(ROUND).await;
            self.net.truth.look();
            if let Some(violation) = self.net.truth.violation() {
                return Some(violation);
            }
            if self.is_at_rest().await {
                // What the network still carried has been delivered by then, and what came of it is done.
                tokio::time::sleep(Duration::from_secs(10)).await;
                self.net.truth.look();
                if self.is_at_rest().await {
                    return self.wrong_at_rest();
                }
            }
        }
        self.not_at_rest().await
    }

    fn round(&mut self) {
        let mut random = stream(self.net.seed, "round", u64::from(self.tick));
        self.replace_the_dead(&mut random);
        self.purge_after_loss();
        for slot in &self.slots {
            slot.process.host.calm();
        }
        if self.tick.is_multiple_of(4) {
            self.revalidate(&mut random);
        }
        self.tick += 1;
    }

    async fn depth(&self) -> QueueDepth {
        self.net.store.depth().await.unwrap_or_default()
    }

    async fn is_at_rest(&self) -> bool {
        let truth = &self.net.truth;
        self.desk.is_empty()
            && !self.is_something_embargoed()
            && !self.loss.is_to_be_purged()
            && truth.nothing_under_way()
            && truth.unsettled().is_empty()
            && nothing_left(self.depth().await)
    }

    fn wrong_at_rest(&self) -> Option<Violation> {
        let truth = &self.net.truth;
        let at_an_edge = || {
            let servers = self.servers.lock();
            servers.iter().find_map(|server| {
                let (page, data) = server.outdated(&truth.data())?;
                let name = &server.host.name;
                let newest = truth.data();
                let text = format!(
                    "in the end {name} serves page {page} of {data:?}, and {newest:?} is the newest"
                );
                Some(Violation::new(violation::Kind::OldAtAnEdge, text))
            })
        };
        truth
            .violation()
            .or_else(|| truth.outdated())
            .or_else(at_an_edge)
    }

    async fn not_at_rest(&self) -> Option<Violation> {
        let unsettled = self.net.truth.unsettled();
        if !unsettled.is_empty() {
            let text = format!("never settled: {unsettled:?}");
            return Some(Violation::new(violation::Kind::NeverSettled, text));
        }
        let depth = self.depth().await;
        let text = format!("left in the end: {depth:?}");
        Some(Violation::new(violation::Kind::JobLeft, text))
    }
}

fn nothing_left(depth: QueueDepth) -> bool {
    depth.revalidations + depth.scheduled + depth.pages + depth.dead == 0
}

/// Which processes there are: at least one that serves and one that works.
fn kinds(random: &mut StdRng) -> Vec<Kind> {
    let mut kinds = match random.random_range(0..4) {
        0 => vec![Kind::Both],
        1 => vec![Kind::Both, Kind::Both],
        _ => vec![Kind::Server, Kind::Worker],
    };
    for _ in 0..random.random_range(0..3) {
        let more = [Kind::Server, Kind::Worker, Kind::Both];
        kinds.push(more[random.random_range(0..more.len())]);
    }
    kinds
}

/// Few CDNs have a shield.
fn shielded(seed: u64, tiers: usize) -> Option<usize> {
    let mut random = stream(seed, "shield", 0);
    let tier = random.random_range(0..tiers);
    random.random_bool(0.3).then_some(tier)
}

/// Many sites have none; one that leaves its CDNs to age after a loss must have none.
fn replica_lag(seed: u64, loss: &Loss) -> Duration {
    let mut random = stream(seed, "lag", 0);
    let (lags, lag) = (
        random.random_bool(0.3),
        millis(random.random_range(500..3_000)),
    );
    if lags && loss.is_followed_by_a_purge() {
        lag
    } else {
        Duration::ZERO
    }
}
