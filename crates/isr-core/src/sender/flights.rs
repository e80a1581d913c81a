//! What is on its way, and what left so recently that a cache may still be storing it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::{Footprint, Generation, PageReason, PageUrl, PageWork, Partition, Position};

/// Responses that ended, remembered at most. Beyond this a sender can no longer say what it sent.
const REMEMBERED: usize = 65_536;

#[derive(Debug)]
struct Departed {
    footprint: Arc<Footprint>,
    generation: Generation,
    again: Option<Again>,
}

/// The revalidations that concern a response which was on its way when they were learnt of.
#[derive(Clone, Copy, Debug)]
struct Again {
    /// The earliest, before which the sender stays unclean.
    first: u64,
    /// The least generation of the next render.
    least: Generation,
}

#[derive(Debug)]
struct Sent {
    ended: Duration,
    footprint: Arc<Footprint>,
    generation: Generation,
}

/// A page that is to be queued to be purged again, before the sender is clean.
#[derive(Debug)]
struct Owed {
    work: PageWork,
    partition: Partition,
    first: u64,
}

/// A revalidation as far as flights go: whom it concerns, and where it counts.
pub(super) struct Concern<'a> {
    pub(super) partition: Partition,
    pub(super) number: u64,
    pub(super) least: Generation,
    pub(super) concerns: &'a dyn Fn(&Footprint, Generation) -> bool,
}

#[derive(Debug, Default)]
pub(super) struct Flights {
    next: u64,
    departed: HashMap<u64, Departed>,
    sent: VecDeque<Sent>,
    owed: Vec<Owed>,
    /// How many of those have been listed, and so may be queued already as they are.
    listed: usize,
    /// Where each page is in `owed` that was not listed yet.
    unlisted: HashMap<PageUrl, usize>,
    /// Set when something sent had to be forgotten too early.
    pub(super) forgot: bool,
}

impl Flights {
    pub(super) fn depart(&mut self, footprint: Arc<Footprint>, generation: Generation) -> u64 {
        self.next += 1;
        self.departed.insert(
            self.next,
            Departed {
                footprint,
                generation,
                again: None,
            },
        );
        self.next
    }

    /// A response that leaves as `no-store` after all: nobody will keep it.
    pub(super) fn cancel(&mut self, flight: u64) {
        self.departed.remove(&flight);
    }

    pub(super) fn arrive(&mut self, flight: u64, now: Duration, partitions: u16) {
        let Some(departed) = self.departed.remove(&flight) else {
            return;
        };
        if let Some(again) = departed.again {
            self.owe(&departed.footprint, again, partitions);
        }
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
            self.forgot = true;
        }
        let Departed {
            footprint,
            generation,
            ..
        } = departed;
        self.sent.push_back(Sent {
            ended: now,
            footprint,
            generation,
        });
    }

    /// Marks what is on its way, and owes what has been sent, as far as a revalidation concerns it.
    pub(super) fn concern(&mut self, concern: &Concern<'_>, partitions: u16) {
        let hit = |footprint: &Footprint, generation: Generation| {
            Partition::of(&footprint.url, partitions) == concern.partition
                && (concern.concerns)(footprint, generation)
        };
        let again = Again {
            first: concern.number,
            least: concern.least,
        };
        for departed in self.departed.values_mut() {
            if hit(&departed.footprint, departed.generation) {
                let first = departed.again.map_or(again.first, |earlier| earlier.first);
                departed.again = Some(Again { first, ..again });
            }
        }
        let sent: Vec<Arc<Footprint>> = self
            .sent
            .iter()
            .filter(|sent| hit(&sent.footprint, sent.generation))
            .map(|sent| Arc::clone(&sent.footprint))
            .collect();
        for footprint in sent {
            self.owe(&footprint, again, partitions);
        }
    }

    /// Forgets what ended before `moment`: whoever was going to store it has.
    pub(super) fn forget_before(&mut self, moment: Duration) {
        while self.sent.front().is_some_and(|sent| sent.ended < moment) {
            self.sent.pop_front();
        }
    }

    fn owe(&mut self, footprint: &Footprint, again: Again, partitions: u16) {
        let url = footprint.url.clone();
        let first = Generation {
            number: again.first,
            ..again.least
        };
        let work = PageWork {
            oldest: first,
            ..PageWork::new(url, again.least, PageReason::InFlight)
        };
        if let Some(owed) = self
            .unlisted
            .get(&footprint.url)
            .and_then(|&index| self.owed.get_mut(index))
        {
            owed.work = owed.work.merge(work);
            owed.first = owed.first.min(again.first);
            return;
        }
        let partition = Partition::of(&footprint.url, partitions);
        self.unlisted.insert(footprint.url.clone(), self.owed.len());
        self.owed.push(Owed {
            work,
            partition,
            first: again.first,
        });
    }

    pub(super) fn owed(&mut self) -> Vec<PageWork> {
        self.listed = self.owed.len();
        self.unlisted.clear();
        self.owed.iter().map(|owed| owed.work.clone()).collect()
    }

    /// The first `count` of what was listed has been queued.
    pub(super) fn queued(&mut self, count: usize) {
        let count = count.min(self.listed);
        self.owed.drain(..count);
        self.listed -= count;
        for index in self.unlisted.values_mut() {
            *index -= count;
        }
    }

    /// Whether nothing is on its way, owed, or so lately sent that it must be remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.departed.is_empty() && self.sent.is_empty() && self.owed.is_empty() && !self.forgot
    }

    /// The position up to which nothing is on its way or owed, given the one that is known.
    pub(super) fn clean(&self, known: &Position, partitions: u16) -> Position {
        let mut numbers = known.numbers().to_vec();
        let mut hold = |partition: Partition, first: u64| {
            if let Some(number) = numbers.get_mut(partition.index()) {
                *number = (*number).min(first.saturating_sub(1));
            }
        };
        for departed in self.departed.values() {
            if let Some(again) = departed.again {
                hold(
                    Partition::of(&departed.footprint.url, partitions),
                    again.first,
                );
            }
        }
        for owed in &self.owed {
            hold(owed.partition, owed.first);
        }
        Position::new(known.epoch, numbers)
    }
}
