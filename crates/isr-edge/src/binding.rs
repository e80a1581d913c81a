//! The bind of a response that is leaving.

use isr_core::{Bind, BindOutcome, Event, Flight, Generation};

use crate::admission::shortened;
use crate::edge::Inner;
use crate::fetch::Fetch;
use crate::stored::Head;

impl Fetch {
    /// Binds a response that is leaving. False when it is superseded. When nobody can tell, it
    /// is kept and shared for a moment only.
    pub(crate) async fn bind(&self, mut head: Head) -> (Head, Option<Flight>, bool) {
        let inner = &self.inner;
        let departs = head.generation.filter(|_| self.reply.is_some());
        let flight = departs.map(|generation| inner.sender.depart(&head.footprint, generation));
        let outcome = match head.generation {
            Some(generation) => inner.bind(&head, generation).await,
            None => None,
        };
        match outcome {
            Some(BindOutcome::Superseded { .. }) => {
                inner.recorder.record(&Event::Superseded);
                (head, flight, false)
            }
            Some(_) => {
                inner.recorder.record(&Event::Bound);
                (head, flight, true)
            }
            None => {
                inner.recorder.record(&Event::BindFailed);
                head.terms.bound = false;
                head.terms.policy = shortened(&head.terms.policy, inner.options.degraded_lifetime);
                (head, flight, true)
            }
        }
    }
}

impl Inner {
    /// Binds one response; `None` when the store did not answer in time, or not at all.
    async fn bind(&self, head: &Head, generation: Generation) -> Option<BindOutcome> {
        let bind = Bind {
            url: head.footprint.url.clone(),
            variant: head.variant,
            tags: head.footprint.tags.clone(),
            generation,
            lifetime: head.terms.policy.shared_lifetime(),
        };
        let binds = [bind];
        let answer = tokio::time::timeout(self.options.bind_timeout, self.graph.bind(&binds));
        match answer.await {
            Ok(Ok(outcomes)) => {
                self.binding.worked();
                return outcomes.first().copied();
            }
            Ok(Err(error)) => self.binding.failed(&error),
            Err(error) => self.binding.failed(&error),
        }
        let operation = "bind";
        self.recorder.record(&Event::StoreFailed { operation });
        None
    }
}
