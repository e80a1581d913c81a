//! Pages on their way, so that nobody asks for one that somebody else is asking for.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use isr_core::{Generation, PageUrl, WarmOutcome, WarmRequest};
use parking_lot::Mutex;

use crate::batch::covers;

/// A visit to a page. It goes on as long as somebody waits for it, and ends with the last who does.
pub(crate) type Visit = Shared<BoxFuture<'static, WarmOutcome>>;

/// The visits under way, by page and place.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    visits: HashMap<Place, Entry>,
    begun: u64,
}

type Place = (PageUrl, Option<String>);

#[derive(Debug)]
struct Entry {
    number: u64,
    least: Option<Generation>,
    visit: WeakShared<BoxFuture<'static, WarmOutcome>>,
}

impl InFlight {
    /// The visit under way that is good enough for `page`, or else the one that `begin` makes.
    pub(crate) fn join(
        &self,
        page: &WarmRequest,
        begin: impl FnOnce(WarmRequest) -> BoxFuture<'static, WarmOutcome>,
    ) -> Visit {
        let place = (page.url.clone(), page.via.clone());
        let mut table = self.table.lock();
        // No strong reference may be dropped under the lock: it might be the last one, and the
        // visit's `Departure` locks the table. So one is only made where it is returned.
        let good_enough = table
            .visits
            .get(&place)
            .filter(|entry| covers(entry.least, page.least));
        if let Some(visit) = good_enough.and_then(|entry| entry.visit.upgrade()) {
            return visit;
        }
        table.begun += 1;
        let number = table.begun;
        let departure = Departure {
            table: Arc::clone(&self.table),
            place: place.clone(),
            number,
        };
        let outcome = begin(page.clone());
        let visit = async move {
            let _departure = departure;
            outcome.await
        };
        let visit = visit.boxed().shared();
        let weak = visit
            .downgrade()
            .expect("a visit that nobody has polled has not ended");
        table.visits.insert(
            place,
            Entry {
                number,
                least: page.least,
                visit: weak,
            },
        );
        visit
    }
}

/// Takes a visit out of the table when it ends or is given up.
#[derive(Debug)]
struct Departure {
    table: Arc<Mutex<Table>>,
    place: Place,
    number: u64,
}

impl Drop for Departure {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        // A visit that asks for more may have taken the place over.
        if table
            .visits
            .get(&self.place)
            .is_some_and(|entry| entry.number == self.number)
        {
            table.visits.remove(&self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use isr_core::Epoch;

    use super::*;

    const GONE: WarmOutcome = WarmOutcome::Gone { status: 410 };

    fn page(least: Option<u64>) -> WarmRequest {
        let url = PageUrl::parse("https://example.com/").unwrap();
        let least = least.map(|number| Generation {
            epoch: Epoch::new(1),
            number,
        });
        WarmRequest {
            url,
            via: None,
            least,
        }
    }

    fn endless(in_flight: &InFlight, least: Option<u64>) -> Visit {
        in_flight.join(&page(least), |_| pending().boxed())
    }

    fn under_way(in_flight: &InFlight) -> usize {
        in_flight.table.lock().visits.len()
    }

    #[test]
    fn a_visit_is_joined_by_whoever_asks_for_no_more() {
        let in_flight = InFlight::default();
        let first = endless(&in_flight, Some(3));
        for least in [None, Some(2), Some(3)] {
            assert!(endless(&in_flight, least).ptr_eq(&first), "{least:?}");
        }
        let fresher = endless(&in_flight, Some(4));
        assert!(!fresher.ptr_eq(&first));
        assert!(endless(&in_flight, Some(3)).ptr_eq(&fresher));
    }

    #[test]
    fn a_visit_that_ends_leaves_and_the_next_one_begins_anew() {
        let in_flight = InFlight::default();
        let visit = in_flight.join(&page(None), |_| ready(GONE).boxed());
        assert_eq!(under_way(&in_flight), 1);
        assert_eq!(visit.clone().now_or_never(), Some(GONE));
        assert_eq!(under_way(&in_flight), 0);
        assert!(!endless(&in_flight, None).ptr_eq(&visit));
    }

    #[test]
    fn a_visit_is_given_up_with_the_last_who_waits_for_it() {
        let in_flight = InFlight::default();
        let (one, another) = (endless(&in_flight, None), endless(&in_flight, None));
        drop(one);
        assert_eq!(under_way(&in_flight), 1);
        drop(another);
        assert_eq!(under_way(&in_flight), 0);
    }

    #[test]
    fn a_visit_that_was_taken_over_leaves_its_successor_alone() {
        let in_flight = InFlight::default();
        let old = endless(&in_flight, Some(1));
        let new = endless(&in_flight, Some(2));
        drop(old);
        assert!(endless(&in_flight, Some(2)).ptr_eq(&new));
    }
}
