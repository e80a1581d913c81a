//! What was promised, what was seen to be settled, and what must never be shown again since then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::journal::{About, Journal};
use crate::plan::EDGES;
use crate::world::{self, World};

/// Findings told in full; any more are only counted.
const TOLD: usize = 5;
/// Lines of the journal told with each.
const LINES: usize = 120;
/// How far back they go.
const BACK: Duration = Duration::from_mins(1);

/// A change, and the revalidation that was accepted for it.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) id: Uuid,
    /// Data with the versions that they have come to.
    pub(crate) items: Vec<(usize, u64)>,
    /// Whether copies may no longer be served at all. Softly revalidated ones may for a while.
    pub(crate) hard: bool,
}

#[derive(Debug)]
struct Open {
    promise: Promise,
    settled: bool,
}

/// A response that must not have been.
#[derive(Debug)]
pub(crate) struct Finding {
    /// What was shown where, and why that is wrong.
    pub(crate) what: String,
    /// What had happened.
    pub(crate) lines: Vec<String>,
}

/// What is known of every promise.
#[derive(Debug)]
pub(crate) struct Truth {
    /// By datum: the version of the newest hard revalidation that was seen settled.
    floors: Vec<AtomicU64>,
    /// By edge and datum: the version of the newest hard revalidation that this edge accepted.
    told: Vec<Vec<AtomicU64>>,
    /// By datum: the newest version that was revalidated, and whether softly.
    soft: Vec<Mutex<(u64, bool)>>,
    open: Mutex<HashMap<Uuid, Open>>,
    accepted: AtomicU64,
    settled: AtomicU64,
    findings: Mutex<Vec<Finding>>,
    found: AtomicU64,
}

impl Truth {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            floors: none(world.items()),
            told: (0..EDGES).map(|_| none(world.items())).collect(),
            soft: (0..world.items()).map(|_| Mutex::default()).collect(),
            open: Mutex::default(),
            accepted: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            findings: Mutex::default(),
            found: AtomicU64::new(0),
        }
    }

    /// What no tier may show less than from now on, or this edge, which never shows less than it was told.
    pub(crate) fn floors(&self, items: &[usize], edge: Option<usize>) -> Vec<(usize, u64)> {
        let floor = |&item: &usize| {
            let settled = self.floors[item].load(Ordering::SeqCst);
            let told = edge.map_or(0, |edge| self.told[edge][item].load(Ordering::SeqCst));
            (item, settled.max(told))
        };
        items.iter().map(floor).collect()
    }

    /// Whether copies that show older data of this may still be served while they are revalidated.
    pub(crate) fn is_soft(&self, item: usize) -> bool {
        self.soft[item].lock().1
    }

    /// A revalidation was accepted by an edge.
    pub(crate) fn accepted(&self, promise: Promise, edge: usize) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        for &(item, version) in &promise.items {
            let mut newest = self.soft[item].lock();
            if version > newest.0 {
                *newest = (version, !promise.hard);
            }
            if promise.hard {
                self.told[edge][item].fetch_max(version, Ordering::SeqCst);
            }
        }
        let open = Open {
            promise,
            settled: false,
        };
        self.open.lock().insert(open.promise.id, open);
    }

    /// A receipt was seen. Gives the data of which nothing older may be shown from now on.
    pub(crate) fn seen(
        &self,
        journal: &Journal,
        id: Uuid,
        settled: bool,
        done: bool,
    ) -> Vec<usize> {
        let mut all = self.open.lock();
        let mut risen = Vec::new();
        let Some(open) = all.get_mut(&id) else {
            return risen;
        };
        if settled && !open.settled {
            open.settled = true;
            self.settled.fetch_add(1, Ordering::Relaxed);
            for &(item, version) in &open.promise.items {
                if open.promise.hard {
                    self.floors[item].fetch_max(version, Ordering::SeqCst);
                    risen.push(item);
                }
                let text = format!("{id} ({} at {version}) is settled", world::name(item));
                journal.note(About::Item(item), text);
            }
        }
        if settled && done {
            all.remove(&id);
        }
        risen
    }

    /// Revalidations that are not both settled and done.
    pub(crate) fn open(&self) -> Vec<Uuid> {
        self.open.lock().keys().copied().collect()
    }

    /// What one of them is about.
    pub(crate) fn promise(&self, id: Uuid) -> Option<Promise> {
        let open = self.open.lock();
        open.get(&id).map(|open| open.promise.clone())
    }

    /// How many were accepted and how many seen to be settled.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.accepted.load(Ordering::Relaxed),
            self.settled.load(Ordering::Relaxed),
        )
    }

    /// Notes what is wrong with a response that was asked for when these floors held.
    pub(crate) fn judge(
        &self,
        journal: &Journal,
        tier: &str,
        page: usize,
        floors: &[(usize, u64)],
        shown: &[(usize, u64)],
    ) {
        for &(item, version) in shown {
            let floor = floors
                .iter()
                .find(|(it, _)| *it == item)
                .map_or(0, |it| it.1);
            if version < floor {
                let what = format!(
                    "{} at {tier} showed {} at {version}, and {floor} was settled, or told this edge, before it was asked for",
                    world::path(page),
                    world::name(item),
                );
                self.find(journal, what, &[About::Item(item), About::Page(page)]);
            }
        }
    }

    /// Notes something that is wrong, with what the journal has about it.
    pub(crate) fn find(&self, journal: &Journal, what: String, about: &[About]) {
        self.found.fetch_add(1, Ordering::Relaxed);
        let mut findings = self.findings.lock();
        if findings.len() < TOLD {
            let about = [about, &[About::Fault]].concat();
            let from = journal.now().saturating_sub(BACK);
            let lines = journal.lines(&about, from, LINES);
            findings.push(Finding { what, lines });
        }
    }

    /// Everything found, in full as far as it is kept.
    pub(crate) fn findings(&self) -> (u64, Vec<Finding>) {
        let findings = std::mem::take(&mut *self.findings.lock());
        (self.found.load(Ordering::Relaxed), findings)
    }
}

fn none(items: usize) -> Vec<AtomicU64> {
    (0..items).map(|_| AtomicU64::new(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> (Truth, Journal) {
        (Truth::new(&World::new(0)), Journal::new())
    }

    fn promise(item: usize, version: u64, hard: bool) -> Promise {
        Promise {
            id: Uuid::now_v7(),
            items: vec![(item, version)],
            hard,
        }
    }

    #[test]
    fn older_than_settled_is_found_and_older_than_accepted_is_not() {
        let (truth, journal) = truth();
        let promise = promise(3, 7, true);
        truth.accepted(promise.clone(), 1);
        truth.judge(&journal, "edge-1", 0, &truth.floors(&[3], None), &[(3, 6)]);
        assert_eq!(truth.findings().0, 0);
        truth.seen(&journal, promise.id, true, false);
        truth.judge(&journal, "edge-1", 0, &truth.floors(&[3], None), &[(3, 7)]);
        assert_eq!(truth.findings().0, 0);
        truth.judge(&journal, "edge-1", 0, &truth.floors(&[3], None), &[(3, 6)]);
        let (count, findings) = truth.findings();
        assert_eq!(count, 1);
        assert!(findings[0].what.contains("item-3 at 6, and 7 was settled"));
        assert!(
            findings[0]
                .lines
                .iter()
                .any(|line| line.contains("is settled"))
        );
    }

    #[test]
    fn an_edge_shows_nothing_older_than_it_was_told() {
        let (truth, _) = truth();
        truth.accepted(promise(3, 7, true), 1);
        assert_eq!(truth.floors(&[3], Some(0)), [(3, 0)]);
        assert_eq!(truth.floors(&[3], Some(1)), [(3, 7)]);
    }

    #[test]
    fn a_soft_revalidation_lets_old_copies_be_served() {
        let (truth, journal) = truth();
        let promise = promise(3, 7, false);
        truth.accepted(promise.clone(), 1);
        truth.seen(&journal, promise.id, true, true);
        assert_eq!(truth.floors(&[3], None), [(3, 0)]);
        assert!(truth.is_soft(3));
    }

    #[test]
    fn a_promise_is_open_until_it_is_both_settled_and_done() {
        let (truth, journal) = truth();
        let promise = promise(3, 7, true);
        truth.accepted(promise.clone(), 1);
        truth.seen(&journal, promise.id, true, false);
        assert_eq!(truth.open(), [promise.id]);
        truth.seen(&journal, promise.id, true, true);
        assert!(truth.open().is_empty());
        assert_eq!(truth.counts(), (1, 1));
    }
}
