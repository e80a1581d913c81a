//! Random interleavings of everything at once: senders that die, workers that are killed, tiers that
//! fail. Whatever the order, nothing old is kept once a receipt says `settled`, nor in the end.
//!
//! Each seed is one world, and replays exactly: `INTERLEAVINGS_SEED=17` runs that one alone and
//! shows its journal when it fails, `INTERLEAVINGS=5000` runs that many.

mod cdn;
mod site;

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    CdnConnector, Clock, Mode, NoRecorder, Receipt, RevalidateOptions, Revalidator, Source, Target,
    Targets, Tier,
};
use isr_graph::{MemoryOptions, MemoryStore};
use isr_pipeline::{Intake, Parts, TokioClock, Worker, WorkerOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::cdn::{Copy, ModelCdn, Truth};
use self::site::{Data, PAGES, Process, SETTLING, datum_tag, millis};
use crate::support::Running;

/// Worlds tried when nobody says how many.
const WORLDS: u64 = 300;

/// What happens in a world before it is left to drain.
const STEPS: usize = 250;

struct World {
    random: StdRng,
    clock: Arc<dyn Clock>,
    truth: Arc<Truth>,
    tiers: Vec<Arc<dyn CdnConnector>>,
    data: Data,
    /// Changes that nobody has revalidated yet.
    changed: Vec<(usize, u64)>,
    processes: Vec<Process>,
    workers: Vec<Option<Running>>,
    wake: Arc<Notify>,
    named: u64,
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let options = MemoryOptions {
            history: if random.random_bool(0.3) { 2 } else { 1_000 },
            ..MemoryOptions::default()
        };
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock), options));
        let truth = Truth::new(store);
        let tiers = (0..random.random_range(1..=2))
            .map(|index| {
                let cdn = ModelCdn::new(index, &truth, SETTLING, random.random());
                truth.note(format_args!("{:?}", cdn.capabilities()));
                Arc::new(cdn) as Arc<dyn CdnConnector>
            })
            .collect();
        let mut world = Self {
            random,
            clock,
            truth,
            tiers,
            data: [0; 2],
            changed: vec![],
            processes: vec![],
            workers: vec![],
            wake: Arc::default(),
            named: 0,
        };
        for _ in 0..2 {
            let process = world.process().await;
            world.processes.push(process);
            let worker = world.worker();
            world.workers.push(Some(worker));
        }
        world
    }

    fn name(&mut self, kind: &str) -> String {
        self.named += 1;
        format!("{kind}{}", self.named)
    }

    async fn process(&mut self) -> Process {
        let name = self.name("sender");
        let store = Arc::clone(&self.truth.store);
        let process = Process::new(name, store, Arc::clone(&self.clock));
        process.follower.step().await.unwrap();
        process
    }

    fn worker(&mut self) -> Running {
        let options = WorkerOptions {
            lease: Duration::from_secs(4),
            // No jitter, so that a seed replays.
            first_delay: Duration::ZERO,
            attempts: 1_000,
            coalesce: [Duration::ZERO, millis(5), millis(300)][self.random.random_range(0..3)],
            call_attempts: self.random.random_range(1..=3),
            concurrency: self.random.random_range(1..=8),
            chunk: 2,
            ..WorkerOptions::new(self.name("worker"))
        };
        let parts = Parts {
            store: Arc::clone(&self.truth.store) as _,
            tiers: self.tiers.iter().cloned().map(Tier::new).collect(),
            warmer: None,
            clock: Arc::clone(&self.clock),
            recorder: Arc::new(NoRecorder),
            wake: Arc::clone(&self.wake),
        };
        Running::start(Worker::new(parts, options))
    }

    /// One thing happens, and some time passes.
    async fn step(&mut self) {
        let which = self.random.random_range(0..self.processes.len());
        match self.random.random_range(0..100) {
            0..22 => self.request(which),
            22..62 => self.advance(which).await,
            62..82 => self.follow(which).await,
            82..86 => self.change(),
            86..92 => self.revalidate(which).await,
            92 => self.die(which).await,
            93 => self.leave(which).await,
            94 => self.hang(which),
            95..97 => self.end_worker().await,
            _ => self.start_worker(),
        }
        let pause = match self.random.random_range(0..8) {
            0..3 => 0,
            3..6 => self.random.random_range(1..20),
            6 => self.random.random_range(20..250),
            _ => self.random.random_range(250..1_000),
        };
        tokio::time::sleep(millis(pause)).await;
        self.look().await;
    }

    async fn look(&self) {
        let sending: Vec<Copy> = self.processes.iter().flat_map(Process::sending).collect();
        self.truth.look(&sending).await;
    }

    fn request(&mut self, which: usize) {
        let page = self.random.random_range(0..PAGES.len());
        let from_store = self.random.random_bool(0.4);
        let process = &mut self.processes[which];
        if !process.hangs() && process.busy() < 6 {
            process.start(page, from_store);
        }
    }

    async fn advance(&mut self, which: usize) {
        let process = &mut self.processes[which];
        if process.busy() == 0 || process.hangs() {
            return;
        }
        let response = self.random.random_range(0..process.busy());
        let sent = process.advance(response, &self.truth, self.data).await;
        if let Some(copy) = sent {
            self.send(copy);
        }
    }

    fn send(&mut self, copy: Copy) {
        for cdn in 0..self.tiers.len() {
            self.named += 1;
            let settling = u64::try_from(SETTLING.as_millis()).unwrap();
            let delay = millis(self.random.random_range(0..settling));
            self.truth.send(cdn, self.named, copy, delay);
        }
    }

    async fn follow(&mut self, which: usize) {
        let process = &self.processes[which];
        if !process.hangs() {
            process.follower.step().await.unwrap();
        }
    }

    fn change(&mut self) {
        let datum = self.random.random_range(0..self.data.len());
        self.data[datum] += 1;
        self.changed.push((datum, self.data[datum]));
        self.truth.note(format_args!("data are {:?}", self.data));
    }

    async fn revalidate(&mut self, which: usize) {
        if self.changed.is_empty() {
            return;
        }
        let (datum, version) = self.changed.remove(0);
        let options = RevalidateOptions {
            mode: Mode::Hard,
            warm: false,
            second_purge: self.random.random_bool(0.1).then_some(millis(700)),
        };
        let targets = Targets::new([Target::Tag(datum_tag(datum))]).unwrap();
        let receipt = Receipt::new(targets, options, Source::Library);
        let process = &self.processes[which];
        let follower = (self.random.random_bool(0.5) && !process.hangs())
            .then(|| Arc::clone(&process.follower));
        let intake = Intake::new(
            Arc::clone(&self.truth.store) as _,
            follower,
            Arc::new(NoRecorder),
            Arc::clone(&self.wake),
        );
        let receipt = intake.revalidate(receipt).await.unwrap();
        self.truth.promised(&receipt, datum, version);
    }

    /// A process is gone from one moment to the next; what it was sending may be whole or not.
    async fn die(&mut self, which: usize) {
        let successor = self.process().await;
        let dead = std::mem::replace(&mut self.processes[which], successor);
        self.truth.note(format_args!("{} dies", dead.name));
        let sending: Vec<Copy> = dead.sending().collect();
        for copy in sending {
            if self.random.random_bool(0.7) {
                self.send(copy);
            }
        }
    }

    /// A process sends what it has begun, and leaves in good order.
    async fn leave(&mut self, which: usize) {
        if self.processes[which].hangs() {
            return;
        }
        while self.processes[which].busy() > 0 {
            self.advance(which).await;
        }
        let successor = self.process().await;
        let gone = std::mem::replace(&mut self.processes[which], successor);
        self.truth.note(format_args!("{} leaves", gone.name));
        let stop = CancellationToken::new();
        stop.cancel();
        tokio::spawn(async move { gone.follower.run(stop).await });
    }

    fn hang(&mut self, which: usize) {
        let long = millis(self.random.random_range(0..9_000));
        let process = &mut self.processes[which];
        process.hangs_until = Some(tokio::time::Instant::now() + long);
        self.truth
            .note(format_args!("{} hangs for {long:?}", process.name));
    }

    async fn end_worker(&mut self) {
        let which = self.random.random_range(0..self.workers.len());
        let Some(worker) = self.workers[which].take() else {
            return;
        };
        self.truth.note(format_args!("worker {which} ends"));
        if self.random.random_bool(0.7) {
            worker.kill().await;
        } else {
            worker.stop().await;
        }
    }

    fn start_worker(&mut self) {
        if let Some(which) = self.workers.iter().position(Option::is_none) {
            let worker = self.worker();
            self.workers[which] = Some(worker);
        }
    }

    /// Lets everything that has begun come to its end.
    async fn drain(&mut self) {
        while !self.changed.is_empty() {
            self.revalidate(0).await;
        }
        self.start_worker();
        self.start_worker();
        for _ in 0..4_000 {
            for which in 0..self.processes.len() {
                self.processes[which].hangs_until = None;
                self.follow(which).await;
                self.advance(which).await;
            }
            self.look().await;
            let idle = self.processes.iter().all(|process| process.busy() == 0);
            let quiet = idle && self.truth.nothing_on_the_wire();
            if quiet && self.truth.all_settled().await {
                return;
            }
            tokio::time::sleep(millis(50)).await;
        }
    }
}

/// What went wrong in the world of a seed, and everything that happened in it.
fn live(seed: u64) -> (Option<String>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
            if world.truth.violation().is_some() {
                break;
            }
        }
        let mut wrong = world.truth.violation();
        if wrong.is_none() {
            world.drain().await;
            let stuck = !world.truth.all_settled().await;
            wrong = world
                .truth
                .violation()
                .or_else(|| world.truth.outdated(world.data))
                .or_else(|| stuck.then(|| "something never settled".to_owned()));
        }
        (wrong, world.truth.journal())
    })
}

fn asked<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn nothing_older_than_a_settled_revalidation_is_kept_in_any_interleaving() {
    if let Some(seed) = asked("INTERLEAVINGS_SEED") {
        let (wrong, journal) = live(seed);
        assert_eq!(wrong, None, "seed {seed}:\n{}", journal.join("\n"));
        return;
    }
    for seed in 0..asked("INTERLEAVINGS").unwrap_or(WORLDS) {
        let (wrong, _) = live(seed);
        assert_eq!(wrong, None, "replay with INTERLEAVINGS_SEED={seed}");
    }
}

#[test]
fn a_world_replays_exactly_from_its_seed() {
    for seed in 0..3 {
        assert_eq!(live(seed).1, live(seed).1);
    }
}
