//! Targets that wait to be put into calls.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use isr_core::{Capabilities, Epoch, Filling, Mode, Position, Target};

/// The number of an order.
pub(super) type Ticket = u64;

/// What targets must share to be put into one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    /// The kind of target; `None` where a call may mix them.
    pub(super) kind: Option<&'static str>,
    pub(super) mode: Mode,
    /// Positions of different histories cannot be put together.
    pub(super) epoch: Epoch,
}

/// Targets of one sort, in the order in which they came, each once whoever asked for it.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) sort: Sort,
    waiting: VecDeque<Target>,
    asked_by: HashMap<Target, Vec<Ticket>>,
    /// Covers everything that waits.
    position: Position,
    /// Until when others may join the next call.
    pub(super) open_until: Duration,
    /// From when on the next call may be made, and how many items it may have.
    pub(super) reserved: Option<Reservation>,
}

/// Tokens taken from the tier's bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    pub(super) ready_at: Duration,
    pub(super) items: usize,
}

/// Targets taken for a call, and who asked for each.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) targets: Vec<Target>,
    pub(super) asked_by: Vec<Vec<Ticket>>,
    pub(super) mode: Mode,
    pub(super) position: Position,
}

impl Queue {
    pub(super) fn new(sort: Sort, position: Position, open_until: Duration) -> Self {
        Self {
            sort,
            waiting: VecDeque::new(),
            asked_by: HashMap::new(),
            position,
            open_until,
            reserved: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Target> {
        self.waiting.front()
    }

    /// Adds a target that an order asks for.
    pub(super) fn push(&mut self, target: Target, ticket: Ticket, position: &Position) {
        self.position.join(position);
        if let Some(tickets) = self.asked_by.get_mut(&target) {
            tickets.push(ticket);
        } else {
            self.asked_by.insert(target.clone(), vec![ticket]);
            self.waiting.push_back(target);
        }
    }

    /// Whether no more would fit into the next call: nothing like the last of what waits.
    pub(super) fn is_full(&self, can: &Capabilities) -> bool {
        let mut filling = Filling::default();
        let like_the_last = self.waiting.back();
        self.waiting
            .iter()
            .chain(like_the_last)
            .any(|target| !filling.take(target, can))
    }

    /// What the next call would count as.
    pub(super) fn next_items(&self, can: &Capabilities) -> usize {
        let mut filling = Filling::default();
        let mut fits = self.waiting.iter();
        while fits.next().is_some_and(|target| filling.take(target, can)) {}
        filling.items()
    }

    /// Takes what the next call carries, of at most so many items.
    pub(super) fn take(&mut self, can: &Capabilities, most: usize) -> Load {
        let mut filling = Filling::default();
        let (mut targets, mut asked_by) = (Vec::new(), Vec::new());
        while let Some(target) = self.waiting.front() {
            let mut with_it = filling.clone();
            if !with_it.take(target, can) || !targets.is_empty() && with_it.items() > most {
                break;
            }
            filling = with_it;
            let target = self.waiting.pop_front().expect("it was looked at");
            asked_by.push(self.asked_by.remove(&target).unwrap_or_default());
            targets.push(target);
        }
        Load {
            targets,
            asked_by,
            mode: self.sort.mode,
            position: self.position.clone(),
        }
    }

    /// Drops what nobody waits for any more.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&Ticket) -> bool) {
        self.asked_by.retain(|_, tickets| {
            tickets.retain(|ticket| !is_gone(ticket));
            !tickets.is_empty()
        });
        let asked_by = &self.asked_by;
        self.waiting.retain(|target| asked_by.contains_key(target));
    }
}
