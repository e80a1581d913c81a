//! What a revalidation has asked a tier for and has not been answered.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

use isr_core::{Capabilities, PageUrl, Target};
use tokio::sync::oneshot;

use crate::client::Outcome;
use crate::gathered::page_of;
use crate::walk::Place;

/// The most pages of one call, whatever the tier takes.
const MOST_OF_A_CALL: usize = 5_000;

/// Pages of one order: not so few that what is saved after each weighs, and not so many that much is asked
/// for twice when a worker takes over.
const PAGES_OF_AN_ORDER: Range<usize> = 500..2_500;

/// Orders under way at once: while one is answered, the next are there to be made calls of, so that the
/// tier's rate is used without a pause.
const ORDERS: usize = 3;

/// How much a revalidation asks a tier for at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portions {
    /// Pages in one call.
    pub(crate) call: usize,
    /// Pages of one order: some full calls.
    pub(crate) order: usize,
    /// Orders under way.
    pub(crate) orders: usize,
}

impl Portions {
    pub(crate) fn of(can: &Capabilities) -> Self {
        let limit = can.url.as_ref().and_then(|ability| {
            let items = ability.items_per_call?.get();
            let each = usize::try_from(ability.items_per_target.get()).unwrap_or(usize::MAX);
            Some((items / each).max(1))
        });
        let call = limit.unwrap_or(MOST_OF_A_CALL).min(MOST_OF_A_CALL);
        let concurrency = can.concurrency.get();
        // Who says when he is done is waited for before he is asked for more: until then he may take on no
        // more than he takes at once.
        let (calls, orders) = if can.observes_completion {
            (concurrency, 1)
        } else {
            // Two orders keep all calls busy that he takes at once.
            let least = PAGES_OF_AN_ORDER.start.div_ceil(call);
            (concurrency.div_ceil(2).max(least), ORDERS)
        };
        Self {
            call,
            order: call * calls.min(PAGES_OF_AN_ORDER.end / call).max(1),
            orders,
        }
    }
}

/// An order that has not been answered.
#[derive(Debug)]
pub(crate) struct Ordered {
    /// Where to begin again if it fails.
    pub(crate) from: Place,
    pub(crate) pages: Vec<PageUrl>,
    /// `None` when the worker stops.
    pub(crate) answer: Option<oneshot::Receiver<Outcome>>,
}

/// Orders under way, the first first, and every page that is in one of them or is to be in the next.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    orders: VecDeque<Ordered>,
    pages: HashSet<PageUrl>,
}

impl UnderWay {
    /// Whether a target is still to be asked for: not a page that another target has led to already. If the
    /// order with that page fails, the walk begins again where it was found first.
    pub(crate) fn is_new(&mut self, target: &Target) -> bool {
        page_of(target).is_none_or(|page| self.pages.insert(page.clone()))
    }

    pub(crate) fn push(&mut self, order: Ordered) {
        self.orders.push_back(order);
    }

    pub(crate) fn first(&self) -> Option<&Ordered> {
        self.orders.front()
    }

    /// Takes the first out. Whoever comes to its pages now finds them among what has been done.
    pub(crate) fn take_first(&mut self) -> Option<Ordered> {
        let order = self.orders.pop_front()?;
        for page in &order.pages {
            self.pages.remove(page);
        }
        Some(order)
    }

    pub(crate) fn len(&self) -> usize {
        self.orders.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }
}
