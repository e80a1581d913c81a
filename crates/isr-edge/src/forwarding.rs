//! Asking the origin: together with others who want the same, or alone.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use isr_core::{CacheOutcome, Generation, VariantKey, Verdict};
use tokio::sync::{oneshot, watch};

use crate::body::{EdgeBody, no_request_body};
use crate::cache_status::{CacheStatus, Forward};
use crate::collapse::{FailedAs, FetchKey, Outcome, Part, Ticket, outcome_of};
use crate::edge::Inner;
use crate::fetch::{Fetch, Reply, SharedReply, failed_as};
use crate::places::AT_CAPACITY;
use crate::present::{Outgoing, Sharing, own_response};
use crate::serving::cancel;
use crate::storage::Lookup;
use crate::stored::StoredResponse;
use crate::visit::Visit;

/// How often a waiting warm-up looks whether this process has learnt what it needs to know.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often a request joins others before it asks the origin itself.
const ATTEMPTS: usize = 3;

/// What waiting for another visitor's answer came to.
enum Waited {
    /// This visitor has his answer.
    Answer(Box<Response<EdgeBody>>),
    /// He has to ask for himself.
    Alone,
    /// He may join again.
    Again,
}

impl Inner {
    /// Asks the origin, together with others who want the same.
    pub(crate) async fn forward(
        self: Arc<Self>,
        visit: Visit,
        why: Forward,
        stored: Option<Arc<StoredResponse>>,
    ) -> Response<EdgeBody> {
        let url = &visit.page.url;
        let warm = visit.warm_up.is_some();
        let alone = visit.wants_part() || self.uncacheable.has(url, visit.errand.started);
        if alone && !warm {
            return self.alone(visit, why, stored).await;
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
                    return self.lead(visit, why, stored, Some(ticket)).await;
                }
                Part::TooEarly => return self.lead(visit, why, stored, None).await,
                Part::Wait(outcome) => {
                    match self.wait(&visit, why, stored.as_deref(), outcome).await {
                        Waited::Answer(response) => return *response,
                        Waited::Alone => break,
                        Waited::Again => {}
                    }
                }
            }
        }
        if warm {
            return self.lead(visit, why, stored, None).await;
        }
        self.alone(visit, why, stored).await
    }

    /// Waits for the answer that another visitor caused, for as long as that is allowed.
    async fn wait(
        &self,
        visit: &Visit,
        why: Forward,
        stored: Option<&StoredResponse>,
        outcome: watch::Receiver<Outcome>,
    ) -> Waited {
        let wait = tokio::time::timeout(self.options.collapse_wait, outcome_of(outcome));
        let answer = match wait.await {
            Ok(Outcome::Stored(fresh)) => match self.collapsed(visit, &fresh, why) {
                Some(response) => response,
                None => return Waited::Again,
            },
            Ok(Outcome::Failed(detail, as_what)) => {
                match self.share_failure(visit, why, stored, detail, as_what) {
                    Some(response) => response,
                    None => return Waited::Alone,
                }
            }
            Ok(Outcome::Again | Outcome::Pending) => return Waited::Again,
            Ok(Outcome::Unshared) | Err(_) => return Waited::Alone,
        };
        Waited::Answer(Box::new(answer))
    }

    fn fetch(
        self: &Arc<Self>,
        visit: &Visit,
        generation: Option<Generation>,
        stored: Option<Arc<StoredResponse>>,
        ticket: Option<Ticket>,
    ) -> Fetch {
        let judged = |stored: &Arc<StoredResponse>| {
            let facts = stored.facts(&self.sender, visit.errand.started, None);
            facts.verdict != Verdict::Expired
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

    /// Asks the origin for everybody who waits, in a task that outlives this visit. It begins once
    /// there is a place at the origin: a visitor who leaves before that leaves nothing behind.
    async fn lead(
        self: &Arc<Self>,
        visit: Visit,
        why: Forward,
        stored: Option<Arc<StoredResponse>>,
        ticket: Option<Ticket>,
    ) -> Response<EdgeBody> {
        let Some(place) = self.place(visit.errand.started).await else {
            if let Some(ticket) = ticket {
                ticket.finish(Outcome::Failed(AT_CAPACITY, FailedAs::AtCapacity));
            }
            return self.no_room(&visit, why, stored.as_deref());
        };
        // Taken and judged only now, as the visitor may have waited for his place.
        let generation = self.sender.generation(&visit.page.url);
        let mut fetch = self.fetch(&visit, generation, stored.clone(), ticket);
        let (sender, reply) = oneshot::channel();
        fetch.reply = Some(sender);
        tokio::spawn(fetch.run(place));
        let started = visit.errand.started;
        let forwarded = CacheStatus::forwarded(why);
        match reply.await {
            Ok(Reply::Shared(shared)) => {
                self.answered(outcome_for(why), started);
                let sharing = Sharing::of(&shared.head.terms);
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
                if let Some(stale) = self.stand_in(&visit, stored.as_deref(), detail) {
                    return stale;
                }
                self.answered(CacheOutcome::Bypass, started);
                finished(&visit, response, forwarded)
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
        Some(self.serve(visit, fresh, flight, Sharing::of(&fresh.terms), status))
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

    /// Answers a visitor for whose request there was no place at the origin.
    fn no_room(
        &self,
        visit: &Visit,
        why: Forward,
        stored: Option<&StoredResponse>,
    ) -> Response<EdgeBody> {
        let as_what = FailedAs::AtCapacity;
        self.stand_in(visit, stored, AT_CAPACITY)
            .unwrap_or_else(|| self.error(visit.errand.started, why, AT_CAPACITY, as_what))
    }

    pub(crate) fn error(
        &self,
        started: Duration,
        why: Forward,
        detail: &'static str,
        as_what: FailedAs,
    ) -> Response<EdgeBody> {
        self.answered(CacheOutcome::Error, started);
        let status = match as_what {
            FailedAs::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            FailedAs::AtCapacity => StatusCode::SERVICE_UNAVAILABLE,
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

    /// Asks the origin in the background, unless somebody does already, it failed just now, or it has
    /// enough to do.
    pub(crate) fn revalidate(self: &Arc<Self>, visit: &Visit, stored: &Arc<StoredResponse>) {
        if !stored.may_revalidate(self.clock.now()) {
            return;
        }
        let generation = self.sender.generation(&visit.page.url);
        let key = (visit.page.url.clone(), stored.variant);
        if let Part::Lead(ticket) = self.fetches.join(key, generation, None)
            && self.newer(visit, Some(stored)).is_none()
            && let Some(place) = self.background_place()
        {
            let fetch = self.fetch(visit, generation, Some(Arc::clone(stored)), Some(ticket));
            tokio::spawn(fetch.run(place));
        }
    }

    /// Sends the visitor's request to the origin as it is, for him alone.
    async fn alone(
        self: Arc<Self>,
        visit: Visit,
        why: Forward,
        stored: Option<Arc<StoredResponse>>,
    ) -> Response<EdgeBody> {
        let Some(place) = self.place(visit.errand.started).await else {
            return self.no_room(&visit, why, stored.as_deref());
        };
        let mut request = Request::new(no_request_body());
        *request.method_mut() = visit.method;
        *request.headers_mut() = visit.headers;
        self.pass_on(visit.errand, request, why, place).await
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

const fn outcome_for(why: Forward) -> CacheOutcome {
    match why {
        Forward::Stale => CacheOutcome::Expired,
        Forward::UriMiss | Forward::VaryMiss => CacheOutcome::Miss,
        Forward::Bypass | Forward::Method | Forward::Request => CacheOutcome::Bypass,
    }
}
