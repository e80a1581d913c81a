//! Model CDNs that forget only when purged, and what must hold of them at every moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Ability, Capabilities, CdnConnector, Completion, ConnectorError, Finding, JobStore, Partition,
    PurgeBatch, PurgeReceipt, Receipt, Reference, RevalidationId, Target,
};
use isr_graph::MemoryStore;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::site::{Data, millis, print_of, shows};
use crate::support::unreachable;

/// A copy of a page, by the data that it was made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    pub(super) page: usize,
    pub(super) data: Data,
}

/// A revalidation whose receipt was returned: what it was made for.
#[derive(Clone, Copy, Debug)]
struct Promise {
    id: RevalidationId,
    number: u64,
    datum: usize,
    version: u64,
    settled: bool,
}

/// What an observer who sees everything knows.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) store: Arc<MemoryStore>,
    start: tokio::time::Instant,
    promises: Mutex<Vec<Promise>>,
    /// By CDN and page.
    kept: Mutex<BTreeMap<(usize, usize), Data>>,
    /// All bytes sent, and not yet stored; by CDN and a running number.
    wires: Mutex<BTreeMap<(usize, u64), Copy>>,
    violation: Mutex<Option<String>>,
    journal: Mutex<Vec<String>>,
}

impl Truth {
    pub(super) fn new(store: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            start: tokio::time::Instant::now(),
            promises: Mutex::default(),
            kept: Mutex::default(),
            wires: Mutex::default(),
            violation: Mutex::default(),
            journal: Mutex::default(),
        })
    }

    pub(super) fn note(&self, line: std::fmt::Arguments<'_>) {
        let at = self.start.elapsed().as_millis();
        self.journal.lock().push(format!("{at:>7} {line}"));
    }

    pub(super) fn journal(&self) -> Vec<String> {
        self.journal.lock().clone()
    }

    /// A revalidation of a datum has been accepted, and says so.
    pub(super) fn promised(&self, receipt: &Receipt, datum: usize, version: u64) {
        let number = receipt.position.as_ref().unwrap().number(Partition(0));
        self.note(format_args!(
            "revalidation {number}: datum {datum} is at {version}"
        ));
        self.promises.lock().push(Promise {
            id: receipt.id,
            number,
            datum,
            version,
            settled: false,
        });
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.violation.lock().clone()
    }

    /// Whether every revalidation is settled.
    pub(super) async fn all_settled(&self) -> bool {
        self.settled_promises().await.len() == self.promises.lock().len()
    }

    /// Looks which are settled. None of them is ever unsettled again.
    async fn settled_promises(&self) -> Vec<Promise> {
        let mut promises = self.promises.lock().clone();
        for promise in promises.iter_mut().filter(|promise| !promise.settled) {
            let receipt = self.store.receipt(&promise.id).await.unwrap();
            promise.settled = receipt.is_some_and(|receipt| receipt.settled);
        }
        for (known, seen) in self.promises.lock().iter_mut().zip(&promises) {
            known.settled |= seen.settled;
        }
        promises.retain(|promise| promise.settled);
        promises
    }

    /// Notes a violation when something settled can still be older than it may be. `sending` are the
    /// responses whose bodies are on their way.
    pub(super) async fn look(&self, sending: &[Copy]) {
        for promise in self.settled_promises().await {
            self.judge(&promise, sending);
        }
    }

    fn judge(&self, promise: &Promise, sending: &[Copy]) {
        let old = |page: usize, data: Data| {
            shows(page, promise.datum) && data[promise.datum] < promise.version
        };
        let kept = self.kept.lock();
        let kept = kept
            .iter()
            .find(|((_, page), data)| old(*page, **data))
            .map(|found| format!("kept {found:?}"));
        let wires = self.wires.lock();
        let wire = wires
            .values()
            .find(|copy| old(copy.page, copy.data))
            .map(|found| format!("still to be stored {found:?}"));
        let sent = sending
            .iter()
            .find(|copy| old(copy.page, copy.data))
            .map(|found| format!("still being sent {found:?}"));
        if let Some(found) = kept.or(wire).or(sent) {
            let what = format!(
                "revalidation {} for version {} of datum {} is settled, and older is {found}",
                promise.number, promise.version, promise.datum
            );
            self.note(format_args!("VIOLATION {what}"));
            self.violation.lock().get_or_insert(what);
        }
    }

    /// What a CDN keeps at the end that is not the newest.
    pub(super) fn outdated(&self, newest: Data) -> Option<String> {
        let kept = self.kept.lock();
        let old = |page: usize, data: Data| {
            (0..newest.len()).any(|datum| shows(page, datum) && data[datum] < newest[datum])
        };
        let found = kept.iter().find(|((_, page), data)| old(*page, **data));
        found.map(|found| format!("in the end {found:?} is kept, and {newest:?} is the newest"))
    }

    pub(super) fn nothing_on_the_wire(&self) -> bool {
        self.wires.lock().is_empty()
    }

    /// All bytes of a response have left: a CDN stores it a while later.
    pub(super) fn send(self: &Arc<Self>, cdn: usize, number: u64, copy: Copy, delay: Duration) {
        self.wires.lock().insert((cdn, number), copy);
        let truth = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            truth.look(&[]).await;
            truth.wires.lock().remove(&(cdn, number));
            truth.note(format_args!("cdn {cdn} stores {copy:?}"));
            truth.kept.lock().insert((cdn, copy.page), copy.data);
            truth.look(&[]).await;
        });
    }

    /// Carries a purge out.
    async fn forget(&self, cdn: usize, targets: &[Target]) {
        self.look(&[]).await;
        let concerned = |page: usize| {
            let print = print_of(page);
            let hit = |target: &Target| target.concerns(&print.url, print.tags.iter());
            targets.iter().any(hit)
        };
        let shown: Vec<String> = targets.iter().map(Target::to_string).collect();
        self.note(format_args!("cdn {cdn} is purged of {}", shown.join(" ")));
        self.kept
            .lock()
            .retain(|&(at, page), _| at != cdn || !concerned(page));
    }
}

/// How a CDN treats one purge call.
#[derive(Debug)]
struct Fate {
    /// Until the purge takes effect.
    before: Duration,
    /// From then on until the answer.
    after: Duration,
    heard: bool,
    answered: bool,
}

/// A CDN that fails now and then, answers late, and may have to be asked whether it is done.
#[derive(Debug)]
pub(super) struct ModelCdn {
    index: usize,
    name: String,
    capabilities: Capabilities,
    truth: Arc<Truth>,
    random: Mutex<StdRng>,
    /// When each purge that may be asked about takes effect.
    effects: Mutex<Vec<tokio::time::Instant>>,
}

impl ModelCdn {
    pub(super) fn new(index: usize, truth: &Arc<Truth>, settles: Duration, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let purge_tag = random.random_bool(0.5);
        let capabilities = Capabilities {
            url: (!purge_tag || random.random_bool(0.5)).then_some(Ability::UNLIMITED),
            tag: purge_tag.then_some(Ability::UNLIMITED),
            observes_completion: random.random_bool(0.3),
            settling_time: settles,
            ..Capabilities::default()
        };
        Self {
            index,
            name: format!("cdn{index}"),
            capabilities,
            truth: Arc::clone(truth),
            random: Mutex::new(random),
            effects: Mutex::default(),
        }
    }

    fn fate(&self) -> Fate {
        let mut random = self.random.lock();
        let mut delay = || match random.random_range(0..4) {
            0 | 1 => Duration::ZERO,
            2 => millis(random.random_range(1..50)),
            _ => millis(random.random_range(50..1_500)),
        };
        let (before, after) = (delay(), delay());
        Fate {
            before,
            after,
            heard: random.random_bool(0.9),
            answered: random.random_bool(0.9),
        }
    }

    /// Takes a purge on, to carry it out later.
    fn take_on(&self, batch: &PurgeBatch, before: Duration) -> Reference {
        let mut effects = self.effects.lock();
        effects.push(tokio::time::Instant::now() + before);
        let (truth, index, targets) = (
            Arc::clone(&self.truth),
            self.index,
            batch.targets().to_vec(),
        );
        tokio::spawn(async move {
            tokio::time::sleep(before).await;
            truth.forget(index, &targets).await;
        });
        Reference((effects.len() - 1).to_string())
    }
}

#[async_trait]
impl CdnConnector for ModelCdn {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let fate = self.fate();
        let mut reference = None;
        if !fate.heard {
            tokio::time::sleep(fate.after).await;
            return Err(unreachable(self.name.clone()));
        }
        if self.capabilities.observes_completion {
            reference = Some(self.take_on(batch, fate.before));
        } else {
            tokio::time::sleep(fate.before).await;
            self.truth.forget(self.index, batch.targets()).await;
        }
        tokio::time::sleep(fate.after).await;
        if !fate.answered {
            return Err(unreachable(self.name.clone()));
        }
        Ok(PurgeReceipt {
            reference,
            ..PurgeReceipt::accepted(batch)
        })
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        let effect = self.effects.lock()[reference.0.parse::<usize>().unwrap()];
        // The purge's task must have run, too.
        let left = (effect + millis(1)).saturating_duration_since(tokio::time::Instant::now());
        Ok(if left.is_zero() {
            Completion::Complete
        } else {
            Completion::Pending { retry_after: left }
        })
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        Ok(Vec::new())
    }
}
