//! What an observer knows who sees everything, and what must hold of it at every moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use isr_core::{Flight, Receipt, RevalidationId, TagGraph as _, Target};
use isr_graph::MemoryStore;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::journal::Journal;
use crate::seen::{Schedule, Seen};
use crate::site::{Copy, Data, Site};
use crate::violation::{Kind, Violation};

/// A change of the data, and the revalidation made for it.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) receipt: Receipt,
    /// What the journal calls it.
    pub(crate) name: usize,
    /// The versions that nothing may be older than once it is settled; 0 for the data it is not about.
    covers: Data,
    /// When the first partition of the store took it.
    accepted: Option<Instant>,
    settled: bool,
    /// Whether the store has it, perhaps to begin later.
    stored: bool,
    schedule: Schedule,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    data: Data,
    since: Instant,
}

/// A response whose head has left, and whose last byte has not.
#[derive(Debug)]
struct Sending {
    host: String,
    copy: Copy,
    flight: Arc<Flight>,
}

/// What tiers keep is not known to be right until everything has been purged.
#[derive(Debug)]
struct Recovering {
    /// From when on a purge of everything finds all that was sent before the loss.
    from: Instant,
    /// What receipts say is settled meanwhile: that counts from then on.
    settled: Data,
}

#[derive(Debug, Default)]
struct State {
    data: Data,
    /// What the data were from when on, oldest first.
    past: Vec<(Instant, Data)>,
    promises: Vec<Promise>,
    /// The version of every datum from which on nothing may be older, since a receipt that says so is
    /// settled.
    settled: Data,
    /// When the history was lost last, and how new everything was that had been revalidated by then.
    lost: Option<(Instant, Data)>,
    /// Since the history was lost.
    recovering: Option<Recovering>,
    /// By tier and page.
    kept: BTreeMap<(usize, usize), Kept>,
    /// All bytes sent and not yet stored, by the response's number and tier.
    wires: BTreeMap<(u64, usize), Copy>,
    /// By the response's number.
    sending: BTreeMap<u64, Sending>,
    violation: Option<Violation>,
}

/// What is added to the number of a tier for the shield that stands behind it.
const SHIELD: usize = 100;

fn name_of(tier: usize) -> String {
    match tier.checked_sub(SHIELD) {
        Some(tier) => format!("the shield of cdn{tier}"),
        None => format!("cdn{tier}"),
    }
}

#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) site: Site,
    /// The tier, if any, that keeps copies in two places, the outer of which fills itself from the inner.
    pub(crate) shielded: Option<usize>,
    pub(crate) journal: Journal,
    store: Arc<MemoryStore>,
    state: Mutex<State>,
}

impl Truth {
    pub(crate) fn new(
        (site, shielded): (Site, Option<usize>),
        journal: Journal,
        store: Arc<MemoryStore>,
    ) -> Self {
        Self {
            site,
            shielded,
            journal,
            store,
            state: Mutex::default(),
        }
    }

    pub(crate) fn data(&self) -> Data {
        self.state.lock().data
    }

    /// The data now, and as they were this long ago.
    pub(crate) fn data_and_before(&self, long: Duration) -> (Data, Data) {
        let state = self.state.lock();
        let then = Instant::now() - long;
        let mut past = state.past.iter().rev();
        let found = past.find(|(since, _)| *since <= then);
        (state.data, found.map_or(Data::default(), |(_, data)| *data))
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.state.lock().violation.clone()
    }

    /// Something wrong was seen.
    pub(crate) fn wrong(&self, violation: Violation) {
        self.state.lock().violation.get_or_insert(violation);
    }

    /// A datum changes; gives its new version.
    pub(crate) fn change(&self, datum: usize) -> u64 {
        let mut state = self.state.lock();
        state.data[datum] += 1;
        let data = state.data;
        state.past.push((Instant::now(), data));
        self.journal
            .note(format_args!("the data change: {:?}", state.data));
        state.data[datum]
    }

    /// A revalidation is going to be asked for, because some data have come to versions.
    pub(crate) fn promise(&self, receipt: Receipt, covers: Data) {
        let mut state = self.state.lock();
        let name = state.promises.len() + 1;
        state.promises.push(Promise {
            receipt,
            name,
            covers,
            accepted: None,
            settled: false,
            stored: false,
            schedule: Schedule::default(),
        });
    }

    /// What the journal calls a revalidation.
    pub(crate) fn name(&self, id: &RevalidationId) -> usize {
        let state = self.state.lock();
        let found = state.promises.iter().find(|it| it.receipt.id == *id);
        found.map_or(0, |promise| promise.name)
    }

    fn with_promise<R: Default>(
        &self,
        id: &RevalidationId,
        act: impl FnOnce(&mut Promise) -> R,
    ) -> R {
        let mut state = self.state.lock();
        let mut promises = state.promises.iter_mut();
        let promise = promises.find(|it| it.receipt.id == *id);
        promise.map(act).unwrap_or_default()
    }

    /// Something may have been stored, or have begun, in the first partition at least: what is purged from
    /// then on for later revalidations counts for it.
    pub(crate) fn look_for_begun(&self) {
        let mut state = self.state.lock();
        let waiting = state.promises.iter_mut().filter(|it| it.accepted.is_none());
        for promise in waiting {
            let id = &promise.receipt.id;
            let begun = self.store.look_at(id, |it| it.position.is_some());
            promise.stored |= begun.is_some();
            if begun == Some(true) {
                promise.accepted = Some(Instant::now());
                let (name, covers) = (promise.name, &promise.covers[..self.site.data]);
                self.journal
                    .note(format_args!("revalidation {name} is made, for {covers:?}"));
            }
        }
    }

    pub(crate) fn schedule(&self, id: &RevalidationId) -> Schedule {
        self.with_promise(id, |promise| promise.schedule)
    }

    pub(crate) fn asks_to_call_off(&self, id: &RevalidationId) {
        self.with_promise(id, |promise| promise.schedule.asked_to_call_off = true);
    }

    pub(crate) fn called_off(&self, id: &RevalidationId) {
        self.with_promise(id, |promise| promise.schedule.called_off = true);
        self.look();
    }

    /// A datum has changed as it was said to when its revalidation was scheduled.
    pub(crate) fn cover(&self, id: &RevalidationId, datum: usize, version: u64) {
        self.with_promise(id, |promise| promise.covers[datum] = version);
    }

    /// The head of a response leaves.
    pub(crate) fn leaves(&self, number: u64, host: &str, copy: Copy, flight: &Arc<Flight>) {
        let sending = Sending {
            host: host.to_owned(),
            copy,
            flight: Arc::clone(flight),
        };
        self.state.lock().sending.insert(number, sending);
        self.look();
    }

    /// The last byte of a response has left, or nothing more of it leaves.
    pub(crate) fn left(&self, number: u64) {
        self.state.lock().sending.remove(&number);
    }

    /// The responses that a process was sending when it died, and was still allowed to send.
    pub(crate) fn orphans(&self, host: &str) -> Vec<(u64, Copy)> {
        let sending = &mut self.state.lock().sending;
        let orphans = sending
            .iter()
            .filter(|(_, it)| it.host == host && it.flight.may_go_on());
        let orphans = orphans.map(|(number, it)| (*number, it.copy)).collect();
        sending.retain(|_, it| it.host != host);
        orphans
    }

    /// All bytes of a response have left: a tier stores it a while later.
    pub(crate) fn send(self: &Arc<Self>, number: u64, tier: usize, copy: Copy, delay: Duration) {
        self.state.lock().wires.insert((number, tier), copy);
        let truth = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            truth.look();
            truth.state.lock().wires.remove(&(number, tier));
            truth.store_at(tier, copy);
        });
    }

    fn store_at(&self, tier: usize, copy: Copy) {
        let Copy { page, data } = copy;
        let name = name_of(tier);
        self.journal
            .note(format_args!("{name} stores page {page} of {data:?}"));
        let since = Instant::now();
        let kept = Kept { data, since };
        self.state.lock().kept.insert((tier, page), kept);
        self.look();
    }

    /// Somebody visits a page at a tier; what it lacks it takes from the one nearer the origin.
    pub(crate) fn visit(&self, tier: usize, page: usize) {
        let found = {
            let state = self.state.lock();
            let here = state.kept.contains_key(&(tier, page));
            let nearer = tier.checked_sub(1).map(|nearer| (nearer, page));
            nearer
                .and_then(|key| state.kept.get(&key))
                .filter(|_| !here)
                .map(|kept| kept.data)
        };
        if let Some(data) = found {
            self.store_at(tier, Copy { page, data });
        }
    }

    /// The shield behind a tier, if it has one.
    pub(crate) fn shield(&self, tier: usize) -> Option<usize> {
        self.shielded.filter(|&it| it == tier).map(|it| SHIELD + it)
    }

    /// What a tier that lacks a page would find in its shield.
    pub(crate) fn in_shield(&self, tier: usize, page: usize) -> Option<Copy> {
        let shield = self.shield(tier)?;
        let state = self.state.lock();
        if state.kept.contains_key(&(tier, page)) {
            return None;
        }
        let data = state.kept.get(&(shield, page))?.data;
        Some(Copy { page, data })
    }

    /// Carries a purge out.
    pub(crate) fn forget(&self, tier: usize, targets: &[Target]) {
        self.look();
        let shown: Vec<String> = targets.iter().map(Target::to_string).collect();
        self.journal.note(format_args!(
            "{} is purged of {}",
            name_of(tier),
            shown.join(" ")
        ));
        let mut state = self.state.lock();
        state
            .kept
            .retain(|&(at, page), _| at != tier || !self.site.concerns(targets, page));
    }

    /// Notes a violation when something is not as a receipt says.
    pub(crate) fn look(&self) {
        let mut state = self.state.lock();
        let state = &mut *state;
        for promise in &mut state.promises {
            if promise.settled || promise.schedule.void || !promise.stored {
                continue;
            }
            let id = &promise.receipt.id;
            let seen = self.store.look_at(id, Seen::of);
            let Some(receipt) = seen else {
                continue;
            };
            promise.schedule.called_off |= receipt.called_off;
            if let Some(violation) = self.out_of_time(promise, &receipt) {
                state.violation.get_or_insert(violation);
            }
            if promise.accepted.is_none() {
                continue;
            }
            if receipt.settled {
                promise.settled = true;
                let name = promise.name;
                self.journal
                    .note(format_args!("revalidation {name} is settled"));
                // Everything is purged: that heals what the loss left behind.
                let everything = promise.receipt.targets.as_slice() == [Target::Everything];
                let heals = |it: &mut Recovering| everything && promise.accepted >= Some(it.from);
                if let Some(healed) = state.recovering.take_if(heals) {
                    raise(&mut state.settled, &healed.settled);
                }
                let recovering = state.recovering.as_mut().map(|it| &mut it.settled);
                raise(recovering.unwrap_or(&mut state.settled), &promise.covers);
            }
            if state.recovering.is_some() {
                continue;
            }
            if let Some(violation) = self.too_early(&state.kept, promise, &receipt) {
                state.violation.get_or_insert(violation);
            }
        }
        if let Some(what) = self.older_than_settled(state) {
            let settled = &state.settled[..self.site.data];
            let text = format!("{settled:?} is settled, and older is {what}");
            state
                .violation
                .get_or_insert(Violation::new(Kind::Settled, text));
        }
    }

    /// One that has begun, and was to begin later, or not at all.
    fn out_of_time(&self, promise: &Promise, receipt: &Seen) -> Option<Violation> {
        let (name, at) = (promise.name, promise.receipt.options.at?);
        let now = self.store.time().now_or_never()?.ok()?;
        let why = if promise.schedule.called_off {
            "when it has been called off".to_owned()
        } else if now < at {
            format!("{:?} before its time", at.since(now))
        } else {
            return None;
        };
        let text = format!("revalidation {name} has begun {why}");
        let acts = receipt.begun || receipt.settled || receipt.confirmed != 0;
        acts.then(|| Violation::new(Kind::OutOfTime, text))
    }

    /// A tier that counts as confirmed and keeps something from before the revalidation.
    fn too_early(
        &self,
        kept: &BTreeMap<(usize, usize), Kept>,
        promise: &Promise,
        receipt: &Seen,
    ) -> Option<Violation> {
        if receipt.confirmed == 0 {
            return None;
        }
        let targets = promise.receipt.targets.as_slice();
        let from_before = kept.iter().find(|&(&(tier, page), kept)| {
            Some(kept.since) < promise.accepted
                && tier < SHIELD
                && receipt.confirmed & 1 << tier != 0
                && self.site.concerns(targets, page)
        });
        from_before.map(|(&(tier, page), _)| {
            let name = promise.name;
            let text = format!(
                "revalidation {name} is confirmed for cdn{tier}, which still keeps page {page} from before it"
            );
            Violation::new(Kind::Confirmed, text)
        })
    }

    fn older_than_settled(&self, state: &State) -> Option<String> {
        let old = |copy: Copy| self.site.is_older(copy, &state.settled);
        let kept = state.kept.iter().find_map(|(&(tier, page), kept)| {
            let data = kept.data;
            let name = name_of(tier);
            old(Copy { page, data }).then(|| format!("page {page} of {data:?} at {name}"))
        });
        let wires = state.wires.iter().find(|(_, copy)| old(**copy));
        let wire = wires.map(|((_, tier), copy)| {
            let name = name_of(*tier);
            format!("{copy:?} on its way to {name}")
        });
        let sending = state
            .sending
            .values()
            .find(|it| old(it.copy) && it.flight.may_go_on());
        let sending = sending.map(|it| format!("{:?}, which {} still sends", it.copy, it.host));
        kept.or(wire).or(sending)
    }

    /// What a tier keeps in the end that is not the newest.
    pub(crate) fn outdated(&self) -> Option<Violation> {
        let state = self.state.lock();
        if state.recovering.is_some() {
            return None;
        }
        let newest = &state.data;
        let found = state.kept.iter().find(|&(&(_, page), kept)| {
            let data = kept.data;
            self.site.is_older(Copy { page, data }, newest)
        });
        found.map(|((tier, page), kept)| {
            let (data, name) = (kept.data, name_of(*tier));
            let text = format!(
                "in the end {name} keeps page {page} of {data:?}, and {newest:?} is the newest"
            );
            Violation::new(Kind::OldAtATier, text)
        })
    }

    /// The store has lost what it had taken. What tiers keep is right again once everything has been purged
    /// that is asked for from some moment on.
    pub(crate) fn lose_history(&self, from: Instant) {
        self.journal.note(format_args!("the history is lost"));
        let mut state = self.state.lock();
        let mut taken = Data::default();
        let accepted = state.promises.iter().filter(|it| it.accepted.is_some());
        accepted.for_each(|promise| raise(&mut taken, &promise.covers));
        state.lost = Some((Instant::now(), taken));
        for promise in &mut state.promises {
            promise.schedule.void |= promise.stored && !promise.settled;
        }
        let settled = Data::default();
        let recovering = state.recovering.get_or_insert(Recovering { from, settled });
        recovering.from = from;
    }

    /// What nobody may serve as current who has heard from the store since it lost its history: anything
    /// older than this. `None` while that may be nobody.
    pub(crate) fn lost_since(&self, long: Duration) -> Option<Data> {
        let lost = self.state.lock().lost;
        lost.filter(|(at, _)| at.elapsed() >= long)
            .map(|(_, data)| data)
    }

    /// What tiers keep counts as right again, rightly or not.
    pub(crate) fn recover(&self) {
        self.state.lock().recovering = None;
    }

    /// Revalidations that are not settled, as far as the store has taken them.
    pub(crate) fn unsettled(&self) -> Vec<usize> {
        let state = self.state.lock();
        let open = |it: &&Promise| !it.settled && !it.schedule.void && !it.schedule.called_off;
        let unsettled = state.promises.iter().filter(open);
        unsettled.map(|promise| promise.name).collect()
    }

    /// Whether nothing is being sent or stored.
    pub(crate) fn nothing_under_way(&self) -> bool {
        let state = self.state.lock();
        state.wires.is_empty() && state.sending.is_empty()
    }
}

fn raise(settled: &mut Data, to: &Data) {
    for (settled, to) in settled.iter_mut().zip(to) {
        *settled = (*settled).max(*to);
    }
}
