//! What is done with a visit: the decision carried out.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use isr_core::{CacheOutcome, Flight, Generation, VariantKey, Verdict};
use tokio::sync::oneshot;

use crate::body::{EdgeBody, no_request_body};
use crate::cache_status::{CacheStatus, Forward};
use crate::collapse::{FailedAs, FetchKey, Outcome, Part, outcome_of};
use crate::decide::{Decision, Facts, Found, Here, decide};
use crate::edge::{EdgeFuture, Inner};
use crate::fetch::{Fetch, Reply, SharedReply, failed_as, may_validate};
use crate::present::{Content, Outgoing, Sharing, own_response};
use crate::storage::Lookup;
use crate::stored::StoredResponse;
use crate::visit::Visit;

/// How often a waiting warm-up looks whether this process has learnt what it needs to know.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often a request joins others before it asks the origin itself.
const ATTEMPTS: usize = 3;

impl Inner {
    /// Answers a visit: at once, if something stored will do.
    pub(crate) fn visit(self: Arc<Self>, visit: Visit) -> EdgeFuture {
        let now = visit.errand.started;
        let lookup = self.storage.lookup(&visit.page.url, &visit.headers);
        let (stored, flight, found) = match lookup {
            Lookup::Nothing => (None, None, Found::Nothing),
            Lookup::OtherVariants => (None, None, Found::OtherVariants),
            Lookup::Response(stored) => {
                // It departs before it is judged, so that what is learnt in between finds it.
                let flight = self.depart(&stored);
                let least = visit.warm_up.and_then(|warm_up| warm_up.least);
                let facts = stored.facts(&self.sender, now, least);
                (Some(stored), flight, Found::Response(facts))
            }
        };
        let here = Here {
            behind: self.sender.is_behind(),
            degraded_lifetime: self.options.degraded_lifetime,
        };
        let decision = decide(&visit.asked, &found, &here);
        match (decision, stored, found) {
            (Decision::Hit, Some(stored), Found::Response(facts)) => {
                self.answered(CacheOutcome::Hit, now);
                let sharing = self.sharing(&stored);
                let status = CacheStatus::hit(ttl(&facts));
                EdgeFuture::ready(self.serve(&visit, &stored, flight, sharing, status))
            }
            (Decision::Stale { revalidate }, Some(stored), Found::Response(facts)) => {
                cancel(flight);
                if revalidate {
                    self.revalidate(&visit, &stored);
                }
                self.answered(CacheOutcome::Stale, now);
                let status = stale_status(&facts, here.behind);
                EdgeFuture::ready(self.serve(&visit, &stored, None, Sharing::Unshared, status))
            }
            (Decision::OnlyIfCached, ..) => {
                cancel(flight);
                self.only_if_cached(now)
            }
            (decision, stored, _) => {
                cancel(flight);
                let (Decision::Fetch(why) | Decision::Bypass(why)) = decision else {
                    return EdgeFuture::ready(self.error(
                        now,
                        Forward::Bypass,
                        "internal",
                        FailedAs::BadGateway,
                    ));
                };
                EdgeFuture::later(async move { self.forward(visit, why, stored).await })
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
    fn serve(
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

    /// What may be done elsewhere with a stored response that is served as fresh.
    fn sharing(&self, stored: &StoredResponse) -> Sharing {
        if stored.terms.bound && self.sender.may_share() {
            Sharing::Whole
        } else {
            Sharing::Brief
        }
    }

    fn depart(&self, stored: &StoredResponse) -> Option<Flight> {
        let generation = stored.generation?;
        Some(self.sender.depart(&stored.footprint, generation))
    }

    /// Asks the origin, together with others who want the same.
    async fn forward(
        self: Arc<Self>,
        visit: Visit,
        why: Forward,
        stored: Option<Arc<StoredResponse>>,
    ) -> Response<EdgeBody> {
        let url = &visit.page.url;
        let warm = visit.warm_up.is_some();
        let alone = visit.wants_part() || self.uncacheable.has(url, visit.errand.started);
        if alone && !warm {
            return self.alone(visit, why).await;
        }
        let least = visit.warm_up.and_then(|warm_up| warm_up.least);
        if let Some(least) = least {
            self.catch_up(&visit, least).await;
        }
        for _ in 0..ATTEMPTS {
            let generation = self.sender.generation(url);
            let key = self.key(&visit);
            match self.fetches.join(key, generation, least) {
                Part::Lead(ticket) => {
                    if let Some(fresh) = self.newer(&visit, stored.as_ref())
                        && let Some(response) = self.collapsed(&visit, &fresh, why)
                    {
                        ticket.finish(Outcome::Stored(fresh));
                        return response;
                    }
                    let fetch = self.fetch(&visit, generation, stored.clone(), Some(ticket));
                    return self.lead(visit, why, stored, fetch).await;
                }
                Part::TooEarly => {
                    let fetch = self.fetch(&visit, generation, stored.clone(), None);
                    return self.lead(visit, why, stored, fetch).await;
                }
                Part::Wait(outcome) => {
                    let wait =
                        tokio::time::timeout(self.options.collapse_wait, outcome_of(outcome));
                    match wait.await {
                        Ok(Outcome::Stored(fresh)) => {
                            if let Some(response) = self.collapsed(&visit, &fresh, why) {
                                return response;
                            }
                        }
                        Ok(Outcome::Failed(detail, as_what)) => {
                            if let Some(response) =
                                self.share_failure(&visit, why, stored.as_deref(), detail, as_what)
                            {
                                return response;
                            }
                            break;
                        }
                        Ok(Outcome::Again | Outcome::Pending) => {}
                        Ok(Outcome::Unshared) | Err(_) => break,
                    }
                }
            }
        }
        if warm {
            let generation = self.sender.generation(&visit.page.url);
            let fetch = self.fetch(&visit, generation, stored.clone(), None);
            return self.lead(visit, why, stored, fetch).await;
        }
        self.alone(visit, why).await
    }

    fn fetch(
        self: &Arc<Self>,
        visit: &Visit,
        generation: Option<Generation>,
        stored: Option<Arc<StoredResponse>>,
        ticket: Option<crate::collapse::Ticket>,
    ) -> Fetch {
        let judged = |stored: &Arc<StoredResponse>| {
            let facts = stored.facts(&self.sender, visit.errand.started, None);
            may_validate(facts.verdict)
        };
        let stored = stored.filter(judged);
        let (inner, visit) = (Arc::clone(self), visit.clone());
        Fetch {
            inner,
            visit,
            generation,
            stored,
            ticket,
            reply: None,
        }
    }

    /// Asks the origin for everybody who waits, in a task that outlives this visit.
    async fn lead(
        &self,
        visit: Visit,
        why: Forward,
        stored: Option<Arc<StoredResponse>>,
        mut fetch: Fetch,
    ) -> Response<EdgeBody> {
        let (sender, reply) = oneshot::channel();
        fetch.reply = Some(sender);
        tokio::spawn(fetch.run());
        let started = visit.errand.started;
        let forwarded = CacheStatus::forwarded(why);
        match reply.await {
            Ok(Reply::Shared(shared)) => {
                self.answered(outcome_for(why), started);
                let whole = shared.head.terms.bound && self.sender.may_share();
                let sharing = if whole {
                    Sharing::Whole
                } else {
                    Sharing::Brief
                };
                self.hand_out(&visit, *shared, sharing, forwarded)
            }
            Ok(Reply::Superseded(shared)) => {
                self.answered(outcome_for(why), started);
                let status = forwarded.with_detail("superseded");
                self.hand_out(&visit, *shared, Sharing::Nothing, status)
            }
            Ok(Reply::Own { response, reason }) => {
                self.answered(CacheOutcome::Bypass, started);
                finished(&visit, response, forwarded.with_detail(reason))
            }
            Ok(Reply::ServerError(response)) => {
                let detail = "origin_error";
                match self.stand_in(&visit, stored.as_deref(), detail) {
                    Some(stale) => stale,
                    None => {
                        self.answered(CacheOutcome::Bypass, started);
                        finished(&visit, response, forwarded)
                    }
                }
            }
            Ok(Reply::Failed(error)) => {
                let (detail, as_what) = (error.as_str(), failed_as(&error));
                self.stand_in(&visit, stored.as_deref(), detail)
                    .unwrap_or_else(|| self.error(started, why, detail, as_what))
            }
            Err(_) => self.error(started, why, "internal", FailedAs::BadGateway),
        }
    }

    /// Hands a visitor the response that the origin gave because of him.
    fn hand_out(
        &self,
        visit: &Visit,
        shared: SharedReply,
        sharing: Sharing,
        status: CacheStatus,
    ) -> Response<EdgeBody> {
        let SharedReply {
            head,
            content,
            flight,
            stored,
            origin_status,
        } = shared;
        let status = CacheStatus {
            forward_status: Some(origin_status.as_u16()),
            stored,
            ..status
        };
        let outgoing = Outgoing {
            status: head.status,
            headers: head.headers,
            terms: &head.terms,
            age: head.arrival.initial_age,
            generation: head.generation,
            content,
            flight,
        };
        self.present(visit, outgoing, sharing, status)
    }

    /// Serves a response that another visitor caused, if this one may have it.
    fn collapsed(
        &self,
        visit: &Visit,
        fresh: &StoredResponse,
        why: Forward,
    ) -> Option<Response<EdgeBody>> {
        let selected = VariantKey::select(&fresh.terms.vary, &visit.headers);
        if selected != Some(fresh.variant) {
            return None;
        }
        let flight = self.depart(fresh);
        let facts = fresh.facts(&self.sender, self.clock.now(), None);
        if facts.verdict != Verdict::Current || !facts.is_young() {
            cancel(flight);
            return None;
        }
        self.answered(CacheOutcome::Collapsed, visit.errand.started);
        let status = CacheStatus {
            collapsed: true,
            ..CacheStatus::forwarded(why)
        };
        Some(self.serve(visit, fresh, flight, self.sharing(fresh), status))
    }

    /// Tells a visitor who waited that the origin failed; `None` when he has to see for himself.
    fn share_failure(
        &self,
        visit: &Visit,
        why: Forward,
        stored: Option<&StoredResponse>,
        detail: &'static str,
        as_what: FailedAs,
    ) -> Option<Response<EdgeBody>> {
        if let Some(stale) = self.stand_in(visit, stored, detail) {
            return Some(stale);
        }
        (as_what != FailedAs::ServerError)
            .then(|| self.error(visit.errand.started, why, detail, as_what))
    }

    /// Serves what is stored in place of an origin that failed, where that is allowed (RFC 5861 §4).
    /// It is judged now: what was learnt since the origin was asked counts.
    fn stand_in(
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

    fn error(
        &self,
        started: Duration,
        why: Forward,
        detail: &'static str,
        as_what: FailedAs,
    ) -> Response<EdgeBody> {
        self.answered(CacheOutcome::Error, started);
        let status = match as_what {
            FailedAs::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            FailedAs::BadGateway | FailedAs::ServerError => StatusCode::BAD_GATEWAY,
        };
        own_response(status, why, detail)
    }

    /// What another request has stored since this one looked, if it will do.
    fn newer(
        &self,
        visit: &Visit,
        seen: Option<&Arc<StoredResponse>>,
    ) -> Option<Arc<StoredResponse>> {
        let Lookup::Response(stored) = self.storage.lookup(&visit.page.url, &visit.headers) else {
            return None;
        };
        let least = visit.warm_up.and_then(|warm_up| warm_up.least);
        let facts = stored.facts(&self.sender, self.clock.now(), least);
        let new = seen.is_none_or(|seen| !Arc::ptr_eq(seen, &stored));
        (new && facts.covers_least).then_some(stored)
    }

    /// Asks the origin in the background, unless somebody does already or it failed just now.
    fn revalidate(self: &Arc<Self>, visit: &Visit, stored: &Arc<StoredResponse>) {
        if !stored.may_revalidate(self.clock.now()) {
            return;
        }
        let generation = self.sender.generation(&visit.page.url);
        let key = (visit.page.url.clone(), stored.variant);
        if let Part::Lead(ticket) = self.fetches.join(key, generation, None)
            && self.newer(visit, Some(stored)).is_none()
        {
            let fetch = self.fetch(visit, generation, Some(Arc::clone(stored)), Some(ticket));
            tokio::spawn(fetch.run());
        }
    }

    /// Sends the visitor's request to the origin as it is, for him alone.
    async fn alone(self: Arc<Self>, visit: Visit, why: Forward) -> Response<EdgeBody> {
        let mut request = Request::new(no_request_body());
        *request.method_mut() = visit.method;
        *request.headers_mut() = visit.headers;
        self.pass_on(visit.errand, request, why).await
    }

    /// Waits until this process has learnt of the generation that a warm-up asks for, or for as long
    /// as it is allowed to lag behind, twice over.
    async fn catch_up(&self, visit: &Visit, least: Generation) {
        let until = self.clock.now() + 2 * self.sender.options().max_lag;
        while self.clock.now() < until {
            let known = self.sender.generation(&visit.page.url);
            if known.is_some_and(|known| known.covers(least)) {
                return;
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    /// What the visit can share with others, by what is known of the page's variants.
    fn key(&self, visit: &Visit) -> FetchKey {
        let rule = self.storage.vary_of(&visit.page.url);
        let variant = rule.and_then(|rule| VariantKey::select(&rule, &visit.headers));
        (visit.page.url.clone(), variant.unwrap_or_default())
    }
}

/// A response that only this visitor may have, with what became of his request.
fn finished(
    visit: &Visit,
    mut response: Response<EdgeBody>,
    status: CacheStatus,
) -> Response<EdgeBody> {
    let status = CacheStatus {
        forward_status: Some(response.status().as_u16()),
        ..status
    };
    status.append_to(response.headers_mut());
    if visit.method == Method::HEAD {
        *response.body_mut() = EdgeBody::empty();
    }
    response
}

fn cancel(flight: Option<Flight>) {
    if let Some(flight) = flight {
        flight.cancel();
    }
}

const fn outcome_for(why: Forward) -> CacheOutcome {
    match why {
        Forward::Stale => CacheOutcome::Expired,
        Forward::UriMiss | Forward::VaryMiss => CacheOutcome::Miss,
        Forward::Bypass | Forward::Method | Forward::Request => CacheOutcome::Bypass,
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
