//! One request to the origin for each page and variant, however many visitors wait for it; and the
//! memory of pages for which nobody should wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{Generation, PageUrl, VariantKey};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::watch;

use crate::stored::StoredResponse;

/// What requests can share: a page, and which of its variants they are thought to select.
pub(crate) type FetchKey = (PageUrl, VariantKey);

/// What became of a request to the origin, for those who waited for it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It is under way.
    Pending,
    /// It brought a response that is stored now.
    Stored(Arc<StoredResponse>),
    /// The origin failed, or answered that it had. Nobody else need find that out.
    Failed(&'static str, FailedAs),
    /// It brought nothing that anybody else may have.
    Unshared,
    /// It brought something already superseded, or ended without a result: look again.
    Again,
}

/// How the failure of an origin is told to visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailedAs {
    /// 502 Bad Gateway.
    BadGateway,
    /// 504 Gateway Timeout.
    TimedOut,
    /// 503 Service Unavailable: it was not asked, as it has enough to do.
    AtCapacity,
    /// With an error page of its own, which is not anybody else's.
    ServerError,
}

#[derive(Debug)]
struct UnderWay {
    generation: Option<Generation>,
    outcome: watch::Receiver<Outcome>,
    number: u64,
}

#[derive(Debug, Default)]
struct Table {
    under_way: HashMap<FetchKey, UnderWay>,
    next: u64,
}

/// The requests to the origin that are under way.
#[derive(Debug, Default)]
pub(crate) struct Fetches(Arc<Mutex<Table>>);

/// A request's part in the asking.
#[derive(Debug)]
pub(crate) enum Part {
    /// It asks, for everybody.
    Lead(Ticket),
    /// It waits.
    Wait(watch::Receiver<Outcome>),
    /// Somebody asks, but too early for what is wanted.
    TooEarly,
}

/// The duty to tell those who wait. Dropping it tells them to look again.
#[derive(Debug)]
pub(crate) struct Ticket {
    table: Arc<Mutex<Table>>,
    key: FetchKey,
    number: u64,
    outcome: watch::Sender<Outcome>,
}

impl Fetches {
    /// Joins the request under way for `key`, if its generation covers `least`, or begins one of
    /// `generation`.
    pub(crate) fn join(
        &self,
        key: FetchKey,
        generation: Option<Generation>,
        least: Option<Generation>,
    ) -> Part {
        let mut table = self.0.lock();
        if let Some(under_way) = table.under_way.get(&key) {
            let covers = match (under_way.generation, least) {
                (_, None) => true,
                (Some(generation), Some(least)) => generation.covers(least),
                (None, Some(_)) => false,
            };
            return if covers {
                Part::Wait(under_way.outcome.clone())
            } else {
                Part::TooEarly
            };
        }
        let (sender, outcome) = watch::channel(Outcome::Pending);
        table.next += 1;
        let number = table.next;
        table.under_way.insert(
            key.clone(),
            UnderWay {
                generation,
                outcome,
                number,
            },
        );
        Part::Lead(Ticket {
            table: Arc::clone(&self.0),
            key,
            number,
            outcome: sender,
        })
    }
}

impl Ticket {
    /// Tells those who wait what became of the request.
    pub(crate) fn finish(self, outcome: Outcome) {
        self.leave();
        self.outcome.send_replace(outcome);
    }

    fn leave(&self) {
        let mut table = self.table.lock();
        if table
            .under_way
            .get(&self.key)
            .is_some_and(|entry| entry.number == self.number)
        {
            table.under_way.remove(&self.key);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave();
        self.outcome.send_if_modified(|outcome| {
            let pending = matches!(outcome, Outcome::Pending);
            if pending {
                *outcome = Outcome::Again;
            }
            pending
        });
    }
}

/// Waits for the outcome of a request under way.
pub(crate) async fn outcome_of(mut receiver: watch::Receiver<Outcome>) -> Outcome {
    match receiver
        .wait_for(|outcome| !matches!(outcome, Outcome::Pending))
        .await
    {
        Ok(outcome) => outcome.clone(),
        Err(_) => Outcome::Again,
    }
}

/// Pages whose last response nobody else could have, so that requests for them do not wait for one
/// another. At most ten thousand are remembered, each for a while.
#[derive(Debug)]
pub(crate) struct Uncacheable {
    /// Until when.
    pages: Cache<PageUrl, Duration>,
    lifetime: Duration,
}

impl Uncacheable {
    const MOST: usize = 10_000;

    pub(crate) fn new(lifetime: Duration) -> Self {
        Self {
            pages: Cache::new(Self::MOST),
            lifetime,
        }
    }

    pub(crate) fn mark(&self, page: PageUrl, now: Duration) {
        self.pages.insert(page, now + self.lifetime);
    }

    pub(crate) fn clear(&self, page: &PageUrl) {
        self.pages.remove(page);
    }

    pub(crate) fn has(&self, page: &PageUrl, now: Duration) -> bool {
        self.pages.get(page).is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use isr_core::Epoch;

    use super::*;

    fn key(path: &str) -> FetchKey {
        (
            PageUrl::parse(&format!("https://a.example{path}")).unwrap(),
            VariantKey::default(),
        )
    }

    const fn generation(number: u64) -> Generation {
        Generation {
            epoch: Epoch::new(1),
            number,
        }
    }

    #[tokio::test]
    async fn one_leads_and_the_others_wait_until_it_has_finished() {
        let fetches = Fetches::default();
        let Part::Lead(ticket) = fetches.join(key("/"), None, None) else {
            panic!("nobody leads")
        };
        let Part::Wait(waiting) = fetches.join(key("/"), None, None) else {
            panic!("two lead")
        };
        assert!(matches!(
            fetches.join(key("/other"), None, None),
            Part::Lead(_)
        ));
        ticket.finish(Outcome::Unshared);
        assert!(matches!(outcome_of(waiting).await, Outcome::Unshared));
        assert!(matches!(fetches.join(key("/"), None, None), Part::Lead(_)));
    }

    #[tokio::test]
    async fn a_leader_that_is_dropped_strands_nobody() {
        let fetches = Fetches::default();
        let Part::Lead(ticket) = fetches.join(key("/"), None, None) else {
            panic!("nobody leads")
        };
        let Part::Wait(waiting) = fetches.join(key("/"), None, None) else {
            panic!("two lead")
        };
        drop(ticket);
        assert!(matches!(outcome_of(waiting).await, Outcome::Again));
        assert!(matches!(fetches.join(key("/"), None, None), Part::Lead(_)));
    }

    #[test]
    fn nobody_waits_for_a_render_that_began_too_early() {
        let fetches = Fetches::default();
        let leader = fetches.join(key("/"), Some(generation(3)), None);
        assert!(matches!(
            fetches.join(key("/"), Some(generation(4)), Some(generation(3))),
            Part::Wait(_)
        ));
        assert!(matches!(
            fetches.join(key("/"), Some(generation(4)), Some(generation(4))),
            Part::TooEarly
        ));
        drop(leader);
    }

    #[test]
    fn an_uncacheable_page_is_forgotten_after_a_while() {
        let marks = Uncacheable::new(Duration::from_secs(30));
        let page = key("/").0;
        marks.mark(page.clone(), Duration::from_secs(100));
        assert!(marks.has(&page, Duration::from_secs(129)));
        assert!(!marks.has(&page, Duration::from_secs(130)));
        marks.mark(page.clone(), Duration::from_secs(200));
        marks.clear(&page);
        assert!(!marks.has(&page, Duration::from_secs(200)));
    }
}
