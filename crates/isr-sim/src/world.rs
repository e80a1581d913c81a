//! The world of a seed: what is in it, what happens step by step, and how it comes to rest.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Clock, JobStore as _, Mode, QueueDepth, Receipt, RevalidateOptions, Revalidator as _, Source,
    Target, Targets,
};
use isr_graph::{MemoryOptions, MemoryStore};
use isr_pipeline::TokioClock;
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::cdn::ModelCdn;
use crate::fault::Fault;
use crate::host::Armed;
use crate::journal::Journal;
use crate::loss::Loss;
use crate::net::{FROM_SHIELD, Net};
use crate::process::{Kind, Process, Servers};
use crate::random::{below, millis, stream};
use crate::rule::{Rule, Rules};
use crate::scenario::Scenario;
use crate::server::{Errand, Server};
use crate::site::{Data, Site, datum_tag};
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

/// Revalidations that nobody has acknowledged yet, as an outbox keeps them.
type Outbox = Arc<Mutex<Vec<Receipt>>>;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) net: Arc<Net>,
    tiers: Vec<Arc<ModelCdn>>,
    slots: Vec<Slot>,
    servers: Servers,
    outbox: Outbox,
    /// Whether pages are purged by URL and everything is, besides by tag: some tiers know tags alone.
    by_url: bool,
    /// How likely it is that a process or the store is hurt where a step could do that: where everything is
    /// always broken, nothing ever settles before the faults stop.
    turmoil: f64,
    pub(crate) loss: Loss,
    revalidations: u128,
    processes: u64,
    tick: u32,
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut random = stream(scenario.seed, "world", 0);
        let clock = TokioClock::new();
        let options = MemoryOptions {
            history: if random.random_bool(0.3) { 2 } else { 1_000 },
            ..MemoryOptions::default()
        };
        let store = Arc::new(MemoryStore::new(Arc::new(clock) as Arc<dyn Clock>, options));
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
        let tiers: Vec<_> = (0..tiers).map(|index| ModelCdn::new(index, &net)).collect();
        let by_url = tiers.iter().all(|cdn| cdn.is_purged_by_url());
        let mut world = Self {
            net,
            tiers,
            slots: vec![],
            servers: Servers::default(),
            outbox: Outbox::default(),
            by_url,
            turmoil: [0.03, 0.1, 0.3, 0.9][random.random_range(0..4)],
            loss,
            revalidations: 0,
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
        match random.random_range(0..104) {
            0..50 => self.request(random),
            50..60 => self.visit(random),
            60..67 => self.change(random),
            67..85 => self.revalidate(random),
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

    fn server(&self, random: &mut StdRng) -> Option<Arc<Server>> {
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
        let site = &self.net.truth.site;
        let datum = random.random_range(0..site.data);
        let second_purge = random.random_bool(0.1).then_some(millis(700));
        let second_purge = second_purge.filter(|_| self.net.truth.shielded.is_none());
        let options = RevalidateOptions {
            mode: if random.random_bool(0.7) {
                Mode::Hard
            } else {
                Mode::Soft
            }
            .into(),
            warm: random.random_bool(0.3),
            second_purge: second_purge.or(self.net.second_purge()),
            replica_lag: Some(self.net.lag)
                .filter(|lag| !lag.is_zero() && self.net.rules.hold(Rule::ReplicaLag)),
            ..RevalidateOptions::default()
        };
        let kind = random.random_range(0..10);
        let urls = site.urls_with(datum);
        let targets = match kind {
            0 | 1 if self.by_url && !urls.is_empty() => Targets::new(urls),
            _ => Targets::new([Target::Tag(datum_tag(datum))]),
        };
        let mut covers = Data::default();
        covers[datum] = self.net.truth.change(datum);
        self.put_out((targets.expect("they are few and some"), options), covers);
        // Mostly whoever changed it asks at once, and an outbox is there for when that fails.
        if random.random_bool(0.7) {
            self.revalidate(random);
        }
    }

    /// Somebody is going to ask for a revalidation.
    pub(crate) fn put_out(
        &mut self,
        (targets, options): (Targets, RevalidateOptions),
        covers: Data,
    ) {
        self.revalidations += 1;
        // Not drawn from the machine's own randomness: jobs that are due at once are taken in its order.
        let id = format!("00000000-0000-7000-8000-{:012x}", self.revalidations);
        let id = id.parse().expect("it is a UUID");
        let receipt = Receipt::new(targets, options, Source::Library).with_id(id);
        self.net.truth.promise(receipt.clone(), covers);
        self.outbox.lock().push(receipt);
    }

    /// Somebody asks for the oldest revalidation that nobody has acknowledged, perhaps once more.
    pub(crate) fn revalidate(&self, random: &mut StdRng) {
        let Some(receipt) = self.outbox.lock().first().cloned() else {
            return;
        };
        let Some(server) = self.server(random) else {
            return;
        };
        let (outbox, net) = (Arc::clone(&self.outbox), Arc::clone(&self.net));
        let host = Arc::clone(&server.host);
        host.spawn(async move {
            let (id, name) = (receipt.id, net.truth.name(&receipt.id));
            let taken = server.intake.revalidate(receipt).await.is_ok();
            let host = &server.host.name;
            net.truth.journal.note(format_args!(
                "{host} has asked for revalidation {name}: {}",
                if taken { "taken" } else { "no answer" }
            ));
            if taken {
                outbox.lock().retain(|waiting| waiting.id != id);
            }
        });
    }

    fn slot(&self, random: &mut StdRng) -> &Process {
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
        self.outbox.lock().is_empty()
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
    depth.revalidations + depth.pages + depth.dead == 0
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
