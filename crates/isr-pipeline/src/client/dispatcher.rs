//! Gathers what everybody wants purged from a tier, and makes calls of it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use isr_core::{Ability, Capabilities, Clock, Mode, RateUnit, Recorder, Store, Target, Tier};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::call::{Answered, CallOptions, Caller, Ended, STORE_AWAY};
use super::queue::{Queue, Reservation, Sort, Ticket};
use super::{Order, Outcome, TierClient};

/// How long the first call after a while is kept open: whoever saves one thing often saves another within
/// some milliseconds, and a single change should not have to wait for a storm that does not come.
const QUIET_WINDOW: Duration = Duration::from_millis(20);

/// Serves one tier's clients.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    caller: Caller,
    arriving: mpsc::UnboundedReceiver<Order>,
    /// Orders that wait for some of their targets.
    open: HashMap<Ticket, Open>,
    next_ticket: Ticket,
    queues: Vec<Queue>,
    /// When the last call of each sort was made.
    made: Vec<(Sort, Duration)>,
    calls: JoinSet<Ended>,
}

/// An order on its way.
#[derive(Debug)]
struct Open {
    /// Targets that have not been answered.
    remaining: usize,
    outcome: Outcome,
    answer: oneshot::Sender<Outcome>,
}

impl Dispatcher {
    /// A tier's client, and what serves it.
    pub(crate) fn new(
        tier: Tier,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        recorder: &Arc<dyn Recorder>,
        options: CallOptions,
    ) -> (TierClient, Self) {
        let (orders, arriving) = mpsc::unbounded_channel();
        let caller = Caller {
            connector: Arc::clone(&tier.connector),
            budget: Arc::clone(store) as Arc<_>,
            clock: Arc::clone(clock),
            recorder: Arc::clone(recorder),
            options,
            under_way: Arc::default(),
        };
        let dispatcher = Self {
            caller,
            arriving,
            open: HashMap::new(),
            next_ticket: 0,
            queues: Vec::new(),
            made: Vec::new(),
            calls: JoinSet::new(),
        };
        (TierClient { tier, orders }, dispatcher)
    }

    /// Serves until nobody holds a client any more.
    pub(crate) async fn run(mut self) {
        loop {
            let wake_at = self.dispatch().await;
            let clock = Arc::clone(&self.caller.clock);
            let wait = async {
                match wake_at {
                    Some(moment) => clock.sleep(moment.saturating_sub(clock.now())).await,
                    None => std::future::pending().await,
                }
            };
            // In a fixed order, so that a test replays.
            tokio::select! {
                biased;
                Some(ended) = self.calls.join_next() => self.settle(ended),
                order = self.arriving.recv() => match order {
                    Some(order) => self.take_in(order),
                    None => return,
                },
                () = wait => {}
            }
        }
    }

    fn take_in(&mut self, order: Order) {
        let now = self.caller.clock.now();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let mixed = self.can().mixed_calls;
        self.open.insert(
            ticket,
            Open {
                remaining: order.targets.len(),
                outcome: Outcome::default(),
                answer: order.answer,
            },
        );
        for target in order.targets {
            let knows_stale = self.can().ability(&target).is_some_and(|a| a.soft);
            let sort = Sort {
                kind: (!mixed).then(|| target.kind()),
                mode: if knows_stale { order.mode } else { Mode::Hard },
                epoch: order.position.epoch,
            };
            let known = self.queues.iter().position(|queue| queue.sort == sort);
            let index = known.unwrap_or_else(|| {
                let open_until = now + self.window_of(sort, now);
                let queue = Queue::new(sort, order.position.clone(), open_until);
                self.queues.push(queue);
                self.queues.len() - 1
            });
            self.queues[index].push(target, ticket, &order.position);
        }
    }

    /// How long a call is kept open for others: shortly where it was quiet, and as long as may be in a storm.
    fn window_of(&self, sort: Sort, now: Duration) -> Duration {
        let window = self.caller.options.window;
        let last = self.made.iter().find(|(made, _)| *made == sort);
        if last.is_none_or(|&(_, at)| now >= at + window) {
            window.min(QUIET_WINDOW)
        } else {
            window
        }
    }

    /// Makes every call that may be made now; says when to look again.
    async fn dispatch(&mut self) -> Option<Duration> {
        self.forget_the_gone();
        let mut wake_at: Option<Duration> = None;
        let mut index = 0;
        while index < self.queues.len() {
            if self.calls.len() >= self.can().concurrency.get() {
                return None; // a call that ends wakes us
            }
            match self.ready_at(index).await {
                Some(moment) if moment > self.caller.clock.now() => {
                    wake_at = Some(wake_at.map_or(moment, |known| known.min(moment)));
                    index += 1;
                }
                _ => {
                    self.make_call(index);
                    // The others have their turn before the rest of this one.
                    let queue = self.queues.remove(index);
                    if !queue.is_empty() {
                        self.queues.push(queue);
                    }
                }
            }
        }
        wake_at
    }

    /// Drops the orders of those who no longer wait, as when their worker has lost its claim.
    fn forget_the_gone(&mut self) {
        let before = self.open.len();
        self.open.retain(|_, open| !open.answer.is_closed());
        if self.open.len() < before {
            for queue in &mut self.queues {
                queue.forget(|ticket| !self.open.contains_key(ticket));
            }
            self.queues.retain(|queue| !queue.is_empty());
        }
    }

    /// When a queue's next call may be made; `None` for now.
    async fn ready_at(&mut self, index: usize) -> Option<Duration> {
        let queue = &self.queues[index];
        if queue.open_until > self.caller.clock.now() && !queue.is_full(self.can()) {
            return Some(queue.open_until);
        }
        if let Some(reserved) = queue.reserved {
            return Some(reserved.ready_at);
        }
        let limit = self.ability(index)?.rate.clone()?;
        let items = queue.next_items(self.can());
        match self.caller.reserve(&limit, items).await {
            Ok(ready_at) => {
                self.queues[index].reserved = Some(Reservation { ready_at, items });
                Some(ready_at)
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot look whether a tier may be called"
                );
                Some(self.caller.clock.now() + STORE_AWAY)
            }
        }
    }

    fn make_call(&mut self, index: usize) {
        let limit = self.ability(index).and_then(|ability| ability.rate.clone());
        let can = self.caller.connector.capabilities();
        let queue = &mut self.queues[index];
        let most = queue
            .reserved
            .take()
            .filter(|_| limit.as_ref().is_some_and(|l| l.unit == RateUnit::Items))
            .map_or(usize::MAX, |reserved| reserved.items);
        let items = queue.next_items(can).min(most);
        let load = queue.take(can, most);
        let sort = queue.sort;
        let now = self.caller.clock.now();
        // Of earlier histories there is nothing more to come.
        self.made
            .retain(|(made, _)| *made != sort && made.epoch == sort.epoch);
        self.made.push((sort, now));
        // What stays waits no longer than it has: it was there when the window closed.
        self.calls
            .spawn(self.caller.clone().make(load, limit, items));
    }

    fn ability(&self, index: usize) -> Option<&Ability> {
        let target = self.queues[index].front()?;
        self.can().ability(target)
    }

    fn can(&self) -> &Capabilities {
        self.caller.connector.capabilities()
    }

    /// Tells everybody who asked for something in a call what came of it.
    fn settle(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        let Ok(ended) = ended else {
            // It answers nobody. The jobs are taken up again.
            tracing::error!("a call to a tier broke down");
            self.open.clear();
            self.queues.clear();
            return;
        };
        let answer = ended.answer.map_err(Arc::new);
        // In order, so that a test replays.
        let mut asked: BTreeMap<Ticket, Vec<&Target>> = BTreeMap::new();
        for (target, tickets) in ended.load.targets.iter().zip(&ended.load.asked_by) {
            for ticket in tickets {
                asked.entry(*ticket).or_default().push(target);
            }
        }
        let shared = asked.len() > 1;
        for (ticket, targets) in asked {
            let Entry::Occupied(mut open) = self.open.entry(ticket) else {
                continue;
            };
            let order = open.get_mut();
            order.remaining -= targets.len();
            order.outcome.calls += ended.attempts;
            match &answer {
                Ok(answered) => order.outcome.add(answered, &targets, shared),
                Err(error) => {
                    order
                        .outcome
                        .failure
                        .get_or_insert_with(|| Arc::clone(error));
                }
            }
            if order.remaining == 0 {
                let order = open.remove();
                let _ = order.answer.send(order.outcome); // nobody waits where it was given up
            }
        }
    }
}

impl Outcome {
    /// Adds what a call did for the targets that an order had in it.
    fn add(&mut self, answered: &Answered, targets: &[&Target], shared: bool) {
        let refused = answered
            .rejected
            .iter()
            .filter(|(target, _)| targets.contains(&target));
        let before = self.rejected.len();
        self.rejected.extend(refused.cloned());
        let refused = self.rejected.len() - before;
        self.accepted += targets.len().saturating_sub(refused) as u64;
        if let Some(copies) = answered.copies.filter(|_| !shared) {
            *self.copies.get_or_insert(0) += copies;
        }
        let references = answered.references.iter();
        self.references
            .extend(references.map(|reference| Arc::from(reference.0.as_str())));
    }
}
