//! What all simulated processes share: the store, the rules that hold, and the faults between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use isr_core::{BindOutcome, Claimed, DeadLetterChunk, Receipt, Target};
use isr_graph::MemoryStore;
use isr_pipeline::TokioClock;
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::fault::{Counts, Fault, Faults};
use crate::host::Host;
use crate::random::{below, millis, stream};
use crate::rule::{Rule, Rules};
use crate::site::{Copy, Data};
use crate::truth::Truth;

/// The delay of a second purge where tiers re-cache among themselves: longer than a shield may be behind, and
/// a copy on its way from it.
pub(crate) const SECOND_PURGE: Duration = Duration::from_secs(1);

/// How long a shield is behind at most, in milliseconds.
pub(crate) const SHIELD_LATE: u64 = 500;

/// And how long a copy from it takes at most.
pub(crate) const FROM_SHIELD: u64 = 300;

/// How long a tier may take to store what it has received, as its connector states it.
pub(crate) const SETTLING: Duration = Duration::from_secs(2);

/// How long it takes at most, in milliseconds: what is stated has a margin, and clocks differ by less.
const STORED_WITHIN: u64 = 1_800;

/// Of how many revalidations one loses its job where that is not one step with moving the generation.
const ONE_LOST_OF: usize = 4;

#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) seed: u64,
    pub(crate) rules: Rules,
    pub(crate) truth: Arc<Truth>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: TokioClock,
    pub(crate) tiers: usize,
    /// The replica lag that the site states; renders read data that are younger than that.
    pub(crate) lag: Duration,
    faults: Faults,
    counts: Mutex<Counts>,
    /// Once the faults have stopped.
    calm: AtomicBool,
    store_away_until: Mutex<Instant>,
    responses: AtomicU64,
}

impl Net {
    pub(crate) fn new(
        (seed, tiers, lag): (u64, usize, Duration),
        rules: Rules,
        faults: Faults,
        clock: TokioClock,
        (store, truth): (Arc<MemoryStore>, Arc<Truth>),
    ) -> Self {
        Self {
            seed,
            rules,
            truth,
            store,
            clock,
            tiers,
            lag,
            faults,
            counts: Mutex::default(),
            calm: AtomicBool::new(false),
            store_away_until: Mutex::new(Instant::now()),
            responses: AtomicU64::new(0),
        }
    }

    /// When everything is purged a second time, where that is needed.
    pub(crate) fn second_purge(&self) -> Option<Duration> {
        let needed = self.truth.shielded.is_some() && self.rules.hold(Rule::SecondPurge);
        needed.then_some(SECOND_PURGE)
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    /// Whether a fault happens that was drawn; if so it is counted.
    pub(crate) fn strikes(&self, fault: Fault, drawn: bool) -> bool {
        let strikes = drawn && self.faults.has(fault) && !self.is_calm();
        if strikes {
            self.count(fault);
        }
        strikes
    }

    /// Counts what comes of other faults.
    pub(crate) fn count(&self, fault: Fault) {
        self.counts.lock().count(fault);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
        *self.store_away_until.lock() = Instant::now();
    }

    pub(crate) fn restart_store(&self, away: Duration) {
        *self.store_away_until.lock() = Instant::now() + away;
    }

    pub(crate) fn store_away_for(&self) -> Duration {
        let until = *self.store_away_until.lock();
        until.saturating_duration_since(Instant::now())
    }

    pub(crate) fn next_response(&self) -> u64 {
        self.responses.fetch_add(1, Ordering::Relaxed)
    }

    /// The data as a render reads them, from a replica that is behind by some part of the stated lag.
    pub(crate) fn read_data(&self, part: f64) -> Data {
        let (newest, replica) = self.truth.data_and_before(self.lag.mul_f64(part));
        let lags = self.strikes(Fault::ReplicaLag, newest != replica);
        if lags { replica } else { newest }
    }

    /// All bytes of a response have left for the tiers, which store it, or do not.
    pub(crate) fn send(&self, number: u64, copy: Copy) {
        let mut random = stream(self.seed, "wire", number);
        for tier in 0..self.tiers {
            let (delay, stores) = (wire_delay(&mut random), random.random_bool(0.8));
            if stores {
                self.truth.send(number, tier, copy, delay);
            }
            if let Some(shield) = self.truth.shield(tier).filter(|_| stores) {
                let delay = wire_delay(&mut random);
                self.truth.send(number, shield, copy, delay);
            }
        }
    }

    /// A tier that lacks a page takes it from its shield.
    pub(crate) fn recache(&self, tier: usize, page: usize, way: Duration) {
        if let Some(copy) = self.truth.in_shield(tier, page)
            && self.strikes(Fault::Recaching, true)
        {
            self.truth.send(self.next_response(), tier, copy, way);
        }
    }

    /// A purge takes effect at a tier, and a while later at the shield behind it. Visitors come in between.
    pub(crate) fn forget(self: &Arc<Self>, tier: usize, targets: &[Target], later: Duration) {
        self.truth.forget(tier, targets);
        if let Some(shield) = self.truth.shield(tier) {
            let (net, targets) = (Arc::clone(self), targets.to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(later / 2).await;
                let site = &net.truth.site;
                let asked_for = (0..site.pages()).filter(|&page| site.concerns(&targets, page));
                asked_for.for_each(|page| net.recache(tier, page, later / 2));
                tokio::time::sleep(later / 2).await;
                net.truth.forget(shield, &targets);
            });
        }
    }

    /// A process crashes, if it does, and whoever was to go on in it never does.
    pub(crate) async fn crash(&self, host: &Host, what: &str, when: &str) {
        if self.strikes(Fault::Crash, true) {
            let (name, journal) = (&host.name, &self.truth.journal);
            journal.note(format_args!("{name} crashes {when} {what}"));
            self.lose(name);
            host.dead.cancel();
            std::future::pending::<()>().await;
        }
    }

    /// A process is gone; what it was sending may be whole or not.
    pub(crate) fn lose(&self, host: &str) {
        for (number, copy) in self.truth.orphans(host) {
            if stream(self.seed, "orphan", number).random_bool(0.7) {
                self.send(number, copy);
            }
        }
    }

    // What becomes of a call once it has taken effect.

    pub(crate) fn invalidated(&self, receipt: Receipt) -> Receipt {
        self.truth.look_for_begun();
        self.truth.look();
        receipt
    }

    pub(crate) fn bound(&self, outcomes: Vec<BindOutcome>) -> Vec<BindOutcome> {
        self.rules.outcomes(outcomes)
    }

    /// Jobs that were lost are handed to nobody.
    pub(crate) fn claimed(&self, mut claimed: Vec<Claimed<Receipt>>) -> Vec<Claimed<Receipt>> {
        // What was scheduled begins with this.
        self.truth.look_for_begun();
        self.truth.look();
        if !self.rules.hold(Rule::DueSchedule) {
            claimed.retain(|claim| claim.work.options.at.is_none());
        }
        if !self.rules.hold(Rule::AtomicEnqueue) {
            let name = |claim: &Claimed<Receipt>| self.truth.name(&claim.work.id);
            claimed.retain(|claim| !name(claim).is_multiple_of(ONE_LOST_OF));
        }
        claimed
    }

    pub(crate) fn saved(&self, (): ()) {
        self.truth.look();
    }

    /// Sorted as it has always been, so that a seed stays what it was.
    #[expect(clippy::unused_self, reason = "as all that is done with answers")]
    pub(crate) fn listed(&self, mut chunk: DeadLetterChunk) -> DeadLetterChunk {
        chunk
            .letters
            .sort_by_cached_key(|letter| format!("{:?}", letter.job));
        chunk
    }
}

/// Mostly soon, and now and then as late as a tier may be.
fn wire_delay(random: &mut StdRng) -> Duration {
    if random.random_bool(0.5) {
        below(random, 100)
    } else {
        millis(random.random_range(100..STORED_WITHIN))
    }
}
