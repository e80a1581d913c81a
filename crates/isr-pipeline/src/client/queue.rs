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

/// Targets of one sort, each once whoever asked for it. Revalidations take turns, so that a single page goes with
/// the next call however many others wait.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) sort: Sort,
    /// What each revalidation waits for, in the order in which it is their turn; none waits for nothing. The
    /// position that it made tells one from another.
    turns: VecDeque<(Position, VecDeque<Target>)>,
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
            turns: VecDeque::new(),
            asked_by: HashMap::new(),
            position,
            open_until,
            reserved: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Target> {
        self.turns.front()?.1.front()
    }

    /// Adds a target that an order asks for.
    pub(super) fn push(&mut self, target: Target, ticket: Ticket, position: &Position) {
        self.position.join(position);
        if let Some(tickets) = self.asked_by.get_mut(&target) {
            tickets.push(ticket);
            return;
        }
        self.asked_by.insert(target.clone(), vec![ticket]);
        // Most often it is the one that came last.
        let mut from_last = self.turns.iter_mut().rev();
        match from_last.find(|(other, _)| other == position) {
            Some((_, waiting)) => waiting.push_back(target),
            None => self
                .turns
                .push_back((position.clone(), VecDeque::from([target]))),
        }
    }

    /// What waits, in the order in which calls take it.
    fn in_turn(&self) -> impl Iterator<Item = &Target> {
        let rounds = self.turns.iter().map(|(_, waiting)| waiting.len()).max();
        (0..rounds.unwrap_or_default()).flat_map(|round| {
            self.turns
                .iter()
                .filter_map(move |(_, waiting)| waiting.get(round))
        })
    }

    /// Whether no more would fit into the next call: nothing like the last of what waits.
    pub(super) fn is_full(&self, can: &Capabilities) -> bool {
        let mut filling = Filling::default();
        let like_the_last = self.turns.back().and_then(|(_, waiting)| waiting.back());
        self.in_turn()
            .chain(like_the_last)
            .any(|target| !filling.take(target, can))
    }

    /// What the next call would count as.
    pub(super) fn next_items(&self, can: &Capabilities) -> usize {
        let mut filling = Filling::default();
        let mut fits = self.in_turn();
        while fits.next().is_some_and(|target| filling.take(target, can)) {}
        filling.items()
    }

    /// Takes what the next call carries, of at most so many items.
    pub(super) fn take(&mut self, can: &Capabilities, most: usize) -> Load {
        let mut filling = Filling::default();
        let (mut targets, mut asked_by) = (Vec::new(), Vec::new());
        while let Some(target) = self.front() {
            let mut with_it = filling.clone();
            if !with_it.take(target, can) || !targets.is_empty() && with_it.items() > most {
                break;
            }
            filling = with_it;
            let target = self.take_turn().expect("it was looked at");
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

    /// The next target of the revalidation whose turn it is.
    fn take_turn(&mut self) -> Option<Target> {
        let (position, mut waiting) = self.turns.pop_front()?;
        let target = waiting.pop_front();
        if !waiting.is_empty() {
            self.turns.push_back((position, waiting));
        }
        target
    }

    /// Drops what nobody waits for any more.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&Ticket) -> bool) {
        self.asked_by.retain(|_, tickets| {
            tickets.retain(|ticket| !is_gone(ticket));
            !tickets.is_empty()
        });
        let asked_by = &self.asked_by;
        self.turns.retain_mut(|(_, waiting)| {
            waiting.retain(|target| asked_by.contains_key(target));
            !waiting.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use isr_core::{Ability, PageUrl};

    use super::*;

    fn page(path: &str) -> Target {
        Target::Url(PageUrl::parse(&format!("https://site.example/{path}")).unwrap())
    }

    const EPOCH: Epoch = Epoch::new(1);

    fn queue() -> Queue {
        let sort = Sort {
            kind: None,
            mode: Mode::Soft,
            epoch: EPOCH,
        };
        Queue::new(sort, at(0), Duration::ZERO)
    }

    /// What the revalidation with this number made.
    fn at(number: u64) -> Position {
        Position::new(EPOCH, [number])
    }

    fn ten_a_call() -> Capabilities {
        Capabilities {
            url: Some(Ability::UNLIMITED.in_batches_of(NonZeroUsize::new(10).unwrap())),
            ..Capabilities::default()
        }
    }

    #[test]
    fn a_single_page_goes_with_the_next_call_however_many_wait() {
        let mut queue = queue();
        for number in 0..1_000 {
            queue.push(page(&format!("many/{number}")), 1, &at(1));
        }
        let can = ten_a_call();
        assert_eq!(queue.take(&can, usize::MAX).targets.len(), 10);
        queue.push(page("one"), 2, &at(2));
        let load = queue.take(&can, usize::MAX);
        assert_eq!(load.targets.len(), 10);
        let at = load.targets.iter().position(|it| *it == page("one"));
        assert_eq!(load.asked_by[at.unwrap()], [2]);
    }

    #[test]
    fn what_is_taken_is_what_was_counted_and_all_of_it_in_the_end() {
        let mut queue = queue();
        for (ticket, count) in [(1, 25), (2, 3), (3, 14)] {
            for number in 0..count {
                queue.push(page(&format!("{ticket}/{number}")), ticket, &at(ticket));
            }
        }
        queue.push(page("1/7"), 3, &at(3));
        let can = ten_a_call();
        let mut taken = Vec::new();
        while !queue.is_empty() {
            let expected = queue.next_items(&can);
            let load = queue.take(&can, usize::MAX);
            assert_eq!(load.targets.len(), expected);
            taken.extend(load.targets);
        }
        assert_eq!(taken.len(), 42);
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 42);
    }
}
