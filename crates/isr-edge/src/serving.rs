//! Serving what is stored: the decision about a visit carried out.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use isr_core::{CacheOutcome, Flight, Verdict};

use crate::body::EdgeBody;
use crate::cache_status::{CacheStatus, Forward};
use crate::decide::{Decision, Facts, Found, Here, decide};
use crate::edge::{EdgeFuture, Inner};
use crate::present::{Content, Outgoing, Sharing, own_response};
use crate::storage::Lookup;
use crate::stored::StoredResponse;
use crate::visit::Visit;

/// What was found for a visit.
enum Looked {
    Stored(Arc<StoredResponse>, Option<Flight>, Facts),
    None(Found),
}

impl Inner {
    /// Answers a visit: at once, if something stored will do.
    pub(crate) fn visit(self: Arc<Self>, visit: Visit) -> EdgeFuture {
        let started = visit.errand.started;
        let here = Here {
            behind: self.sender.is_behind(),
            degraded_lifetime: self.options.degraded_lifetime,
        };
        match self.look(&visit) {
            Looked::Stored(stored, flight, facts) => {
                let decision = decide(visit.asked, &Found::Response(facts), &here);
                if decision == Decision::Hit {
                    self.answered(CacheOutcome::Hit, started);
                    let (sharing, status) =
                        (Sharing::of(&stored.terms), CacheStatus::hit(ttl(&facts)));
                    return EdgeFuture::ready(self.serve(&visit, &stored, flight, sharing, status));
                }
                cancel(flight);
                if let Decision::Stale { revalidate } = decision {
                    if revalidate {
                        self.revalidate(&visit, &stored);
                    }
                    self.answered(CacheOutcome::Stale, started);
                    let status = stale_status(&facts, here.behind);
                    let sharing = Sharing::Unshared;
                    return EdgeFuture::ready(self.serve(&visit, &stored, None, sharing, status));
                }
                self.go_on(visit, decision, Some(stored))
            }
            Looked::None(found) => {
                let decision = decide(visit.asked, &found, &here);
                self.go_on(visit, decision, None)
            }
        }
    }

    /// Goes on with a visit for which nothing stored will do.
    fn go_on(
        self: Arc<Self>,
        visit: Visit,
        decision: Decision,
        stored: Option<Arc<StoredResponse>>,
    ) -> EdgeFuture {
        match decision {
            Decision::Fetch(why) | Decision::Bypass(why) => {
                EdgeFuture::later(async move { self.forward(visit, why, stored).await })
            }
            Decision::OnlyIfCached | Decision::Hit | Decision::Stale { .. } => {
                self.only_if_cached(visit.errand.started)
            }
        }
    }

    fn look(&self, visit: &Visit) -> Looked {
        match self.storage.lookup(&visit.page.url, &visit.headers) {
            Lookup::Nothing => Looked::None(Found::Nothing),
            Lookup::OtherVariants => Looked::None(Found::OtherVariants),
            Lookup::Response(stored) => {
                // It departs before it is judged, so that what is learnt in between finds it.
                let flight = self.depart(&stored);
                let least = visit.warm_up.and_then(|warm_up| warm_up.least);
                let facts = stored.facts(&self.sender, visit.errand.started, least);
                Looked::Stored(stored, flight, facts)
            }
        }
    }

    /// Answers a request that asks for nothing but stored responses when there is none (RFC 9111
    /// §5.2.1.7).
    pub(crate) fn only_if_cached(&self, started: Duration) -> EdgeFuture {
        self.answered(CacheOutcome::Error, started);
        let response = own_response(
            StatusCode::GATEWAY_TIMEOUT,
            Forward::Request,
            "only_if_cached",
        );
        EdgeFuture::ready(response)
    }

    /// Serves what is stored.
    pub(crate) fn serve(
        &self,
        visit: &Visit,
        stored: &StoredResponse,
        flight: Option<Flight>,
        sharing: Sharing,
        status: CacheStatus,
    ) -> Response<EdgeBody> {
        let outgoing = Outgoing {
            status: stored.status,
            headers: stored.headers.clone(),
            terms: &stored.terms,
            age: stored.age(visit.errand.started.max(self.clock.now())),
            generation: stored.generation,
            content: Content::Whole(stored.body.clone()),
            flight,
        };
        self.present(visit, outgoing, sharing, status)
    }

    pub(crate) fn depart(&self, stored: &StoredResponse) -> Option<Flight> {
        let generation = stored.generation?;
        Some(self.sender.depart(&stored.footprint, generation))
    }

    /// Serves what is stored in place of an origin that failed, where that is allowed (RFC 5861 §4).
    /// It is judged now: what was learnt since the origin was asked counts.
    pub(crate) fn stand_in(
        &self,
        visit: &Visit,
        stored: Option<&StoredResponse>,
        detail: &'static str,
    ) -> Option<Response<EdgeBody>> {
        let stored = stored.filter(|_| visit.warm_up.is_none())?;
        let facts = stored.facts(&self.sender, self.clock.now(), None);
        if !facts.may_stand_in() {
            return None;
        }
        self.answered(CacheOutcome::Stale, visit.errand.started);
        let status = CacheStatus::hit(ttl(&facts).min(-1)).with_detail(detail);
        Some(self.serve(visit, stored, None, Sharing::Unshared, status))
    }
}

pub(crate) fn cancel(flight: Option<Flight>) {
    if let Some(flight) = flight {
        flight.cancel();
    }
}

/// How many seconds a response stays fresh, or has been stale for (RFC 9211 §2.4).
fn ttl(facts: &Facts) -> i64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    seconds(facts.lifetime) - seconds(facts.age)
}

/// What is said of a stale response: its age, or why it is stale in spite of it.
fn stale_status(facts: &Facts, behind: bool) -> CacheStatus {
    let status = CacheStatus::hit(ttl(facts).min(-1));
    match facts.verdict {
        Verdict::Current if !facts.is_young() => status,
        Verdict::Current if behind => status.with_detail("behind"),
        _ => status.with_detail("invalidated"),
    }
}
