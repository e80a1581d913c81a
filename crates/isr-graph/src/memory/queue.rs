//! Jobs with a due time, a lease while somebody works on them, and a grave.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

use isr_core::{Claim, Claimed, PageJobState, WorkerId};

#[derive(Clone, Debug)]
struct Held {
    worker: WorkerId,
    token: u64,
    until: Duration,
}

#[derive(Clone, Debug)]
struct Entry<W> {
    work: W,
    due: Duration,
    attempt: u32,
    held: Option<Held>,
    /// Queued again while somebody works on it: what to do next, and when.
    again: Option<(W, Duration)>,
    dead: Option<String>,
}

impl<W> Entry<W> {
    fn waiting(work: W, due: Duration) -> Self {
        Self {
            work,
            due,
            attempt: 0,
            held: None,
            again: None,
            dead: None,
        }
    }

    /// When somebody may claim it; `None` for a dead job.
    fn claimable_at(&self) -> Option<Duration> {
        match (&self.dead, &self.held) {
            (Some(_), _) => None,
            (None, Some(held)) => Some(held.until),
            (None, None) => Some(self.due),
        }
    }
}

/// A queue of jobs of one kind, by their key.
#[derive(Clone, Debug)]
pub(super) struct Queue<W> {
    entries: HashMap<String, Entry<W>>,
    /// Every job that is not dead, by the time from which it may be claimed.
    schedule: BTreeSet<(Duration, String)>,
    /// The jobs that are.
    dead: BTreeSet<String>,
    tokens: u64,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            schedule: BTreeSet::new(),
            dead: BTreeSet::new(),
            tokens: 0,
        }
    }
}

impl<W: Clone> Queue<W> {
    /// Queues a job; `merge` says what becomes of earlier and later work under the same key.
    pub(super) fn push(
        &mut self,
        key: &str,
        work: W,
        due: Duration,
        now: Duration,
        merge: impl Fn(&W, W) -> W,
    ) {
        self.change(key, |slot| {
            let Some(entry) = slot else {
                *slot = Some(Entry::waiting(work, due));
                return;
            };
            if entry.dead.take().is_some() {
                *entry = Entry::waiting(merge(&entry.work, work), due);
            } else if entry.held.is_none() && due <= entry.due.max(now) {
                entry.work = merge(&entry.work, work);
            } else {
                entry.again = Some(match entry.again.take() {
                    Some((behind, at)) => (merge(&behind, work), at.max(due)),
                    None => (work, due),
                });
            }
        });
    }

    pub(super) fn claim(
        &mut self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
        now: Duration,
    ) -> Vec<Claimed<W>> {
        let keys: Vec<String> = self
            .schedule
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(limit)
            .map(|(_, key)| key.clone())
            .collect();
        keys.iter()
            .map(|key| self.hold(key, worker, now + lease))
            .collect()
    }

    fn hold(&mut self, key: &str, worker: &WorkerId, until: Duration) -> Claimed<W> {
        self.tokens += 1;
        let token = self.tokens;
        self.change(key, |slot| {
            let entry = slot.as_mut().expect("the schedule lists entries only");
            entry.attempt += 1;
            entry.held = Some(Held {
                worker: worker.clone(),
                token,
                until,
            });
            let claim = Claim {
                job: key.to_owned(),
                token,
            };
            Claimed {
                work: entry.work.clone(),
                attempt: entry.attempt,
                claim,
            }
        })
    }

    /// Lets a claim last longer; `false` when it is lost.
    pub(super) fn renew(&mut self, key: &str, token: u64, until: Duration) -> bool {
        self.with_claim(key, token, |slot| {
            if let Some(held) = slot.as_mut().and_then(|entry| entry.held.as_mut()) {
                held.until = until;
            }
        })
    }

    /// Gives a finished job up; one that was queued again meanwhile waits again.
    pub(super) fn finish(&mut self, key: &str, token: u64) -> bool {
        self.with_claim(key, token, |slot| {
            if let Some(entry) = slot.take()
                && let Some((work, due)) = entry.again
            {
                *slot = Some(Entry::waiting(work, due));
            }
        })
    }

    /// Puts a job off; what is queued behind it stays there.
    pub(super) fn put_off(&mut self, key: &str, token: u64, due: Duration, failed: bool) -> bool {
        self.with_claim(key, token, |slot| {
            if let Some(entry) = slot {
                entry.held = None;
                entry.due = due;
                if !failed {
                    entry.attempt = 0;
                }
            }
        })
    }

    /// Gives a job up for dead, unless more is queued behind it: then all of it is done then.
    pub(super) fn bury(
        &mut self,
        key: &str,
        token: u64,
        error: &str,
        merge: impl Fn(&W, W) -> W,
    ) -> bool {
        self.with_claim(key, token, |slot| {
            if let Some(entry) = slot {
                entry.held = None;
                match entry.again.take() {
                    Some((work, due)) => *entry = Entry::waiting(merge(&entry.work, work), due),
                    None => entry.dead = Some(error.to_owned()),
                }
            }
        })
    }

    /// Gives up every claim of a worker.
    pub(super) fn hand_back(&mut self, worker: &WorkerId, now: Duration) {
        let held: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                entry
                    .held
                    .as_ref()
                    .is_some_and(|held| held.worker == *worker)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in held {
            self.change(&key, |slot| {
                if let Some(entry) = slot {
                    entry.held = None;
                    entry.attempt = entry.attempt.saturating_sub(1);
                    entry.due = now;
                }
            });
        }
    }

    /// Queues a dead job again; `false` when there is no such dead job.
    pub(super) fn replay(&mut self, key: &str, now: Duration) -> bool {
        self.change(key, |slot| match slot {
            Some(entry) if entry.dead.is_some() => {
                (entry.dead, entry.attempt, entry.due) = (None, 0, now);
                true
            }
            _ => false,
        })
    }

    /// Key, attempts and error of each dead job whose key comes after `key`, by their keys.
    pub(super) fn dead_after(&self, key: &str) -> impl Iterator<Item = (&str, u32, &str)> {
        let beyond = (Bound::Excluded(key), Bound::Unbounded);
        self.dead.range::<str, _>(beyond).filter_map(|key| {
            let entry = self.entries.get(key)?;
            let error = entry.dead.as_deref()?;
            Some((key.as_str(), entry.attempt, error))
        })
    }

    /// A job's work, what it is at, how often it was tried, and whether more is queued behind it.
    pub(super) fn get(&self, key: &str, now: Duration) -> Option<(&W, PageJobState, u32, bool)> {
        let entry = self.entries.get(key)?;
        let state = match (&entry.dead, &entry.held) {
            (Some(error), _) => PageJobState::Dead {
                error: error.clone(),
            },
            (None, Some(held)) => PageJobState::Claimed {
                lease: held.until.saturating_sub(now),
            },
            (None, None) => PageJobState::Waiting {
                due_in: entry.due.saturating_sub(now),
            },
        };
        Some((&entry.work, state, entry.attempt, entry.again.is_some()))
    }

    /// How many jobs are dead.
    pub(super) fn dead(&self) -> usize {
        self.dead.len()
    }

    /// Forgets a job, whatever it is at.
    pub(super) fn forget(&mut self, key: &str) {
        self.change(key, |slot| *slot = None);
    }

    /// Everything there is to do, dead jobs included.
    pub(super) fn works(&self) -> impl Iterator<Item = &W> {
        self.entries.values().flat_map(|entry| {
            std::iter::once(&entry.work).chain(entry.again.as_ref().map(|(work, _)| work))
        })
    }

    /// How many jobs are not dead.
    pub(super) fn len(&self) -> usize {
        self.schedule.len()
    }

    /// How long the oldest job that may be claimed has been waiting.
    pub(super) fn oldest_due(&self, now: Duration) -> Option<Duration> {
        self.schedule
            .first()
            .and_then(|(at, _)| now.checked_sub(*at))
    }

    fn with_claim(
        &mut self,
        key: &str,
        token: u64,
        act: impl FnOnce(&mut Option<Entry<W>>),
    ) -> bool {
        let held = self.entries.get(key).and_then(|entry| entry.held.as_ref());
        let mine = held.is_some_and(|held| held.token == token);
        if mine {
            self.change(key, act);
        }
        mine
    }

    /// The one place where entries change, so that the schedule always agrees with them.
    fn change<R>(&mut self, key: &str, act: impl FnOnce(&mut Option<Entry<W>>) -> R) -> R {
        let mut slot = self.entries.remove(key);
        if let Some(at) = slot.as_ref().and_then(Entry::claimable_at) {
            self.schedule.remove(&(at, key.to_owned()));
        }
        self.dead.remove(key);
        let result = act(&mut slot);
        if let Some(entry) = slot {
            if entry.dead.is_some() {
                self.dead.insert(key.to_owned());
            }
            if let Some(at) = entry.claimable_at() {
                self.schedule.insert((at, key.to_owned()));
            }
            self.entries.insert(key.to_owned(), entry);
        }
        result
    }
}
