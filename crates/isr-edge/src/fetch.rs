//! One request to the origin for a page, in a task of its own: admit, bind, store.
//!
//! The task goes on when the visitor who caused it has gone, since others may be waiting. The order
//! is that of the generation protocol: the generation is taken before the origin is asked, the
//! response departs before it is bound, and it is bound before its first byte leaves.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCEPT_RANGES, AGE, CACHE_CONTROL, CONTENT_LENGTH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use isr_core::{
    Event, Flight, Footprint, GENERATION_HEADER, Generation, Labels, NotShareable, VariantKey,
};
use tokio::sync::{mpsc, oneshot};

use crate::admission::{NotAdmitted, admit, initial_age, tag_headers, tags_of};
use crate::body::{EdgeBody, OriginBody, RequestBody, no_request_body};
use crate::collapse::{FailedAs, Outcome, Ticket};
use crate::edge::Inner;
use crate::fields::{forget_trailers, prepare_request, prepare_response};
use crate::origin::OriginError;
use crate::places::Place;
use crate::present::Content;
use crate::pump::{Collected, FRAMES, Pump};
use crate::serving::cancel;
use crate::storage::Lookup;
use crate::stored::{Arrival, Head, StoredResponse};
use crate::validating::{condition, freshen};
use crate::visit::Visit;

/// How long a background request is put off after one that failed.
const PUT_OFF: Duration = Duration::from_secs(1);

/// What a request to the origin brought, for the visitor who caused it.
pub(crate) enum Reply {
    /// Something that may be shared.
    Shared(Box<SharedReply>),
    /// Something that was superseded while it was rendered: for this visitor only.
    Superseded(Box<SharedReply>),
    /// Something that nobody else may have, and why.
    Own {
        response: Response<EdgeBody>,
        reason: &'static str,
    },
    /// An error page of the origin's.
    ServerError(Response<EdgeBody>),
    /// Nothing.
    Failed(OriginError),
}

/// A response that may be shared, or could have been.
pub(crate) struct SharedReply {
    pub(crate) head: Head,
    pub(crate) content: Content,
    pub(crate) flight: Option<Flight>,
    pub(crate) stored: bool,
    /// The status that the origin answered with.
    pub(crate) origin_status: StatusCode,
}

/// A request to the origin.
pub(crate) struct Fetch {
    pub(crate) inner: Arc<Inner>,
    pub(crate) visit: Visit,
    /// Taken before the request is sent.
    pub(crate) generation: Option<Generation>,
    /// What is stored, so that it can be validated.
    pub(crate) stored: Option<Arc<StoredResponse>>,
    /// The duty to tell those who wait; a request of its own has none.
    pub(crate) ticket: Option<Ticket>,
    /// Where the response goes; nowhere in the background.
    pub(crate) reply: Option<oneshot::Sender<Reply>>,
}

impl Fetch {
    /// Asks the origin, where it has a place, and deals with the answer.
    pub(crate) async fn run(mut self, place: Place) {
        let (request, validates) = self.request();
        let asked = self.inner.clock.now();
        let response = match self.inner.ask(request, place).await {
            Ok(response) => response,
            Err(error) => return self.failed(error),
        };
        let took = self.inner.clock.now().saturating_sub(asked);
        let status = response.status();
        match self
            .stored
            .take_if(|_| validates && status == StatusCode::NOT_MODIFIED)
        {
            Some(stored) => self.validated(&stored, response, took).await,
            None if is_server_error(status) => self.server_error(response),
            None => self.answered(response, took).await,
        }
    }

    /// The request: for the page by its own URL, whole and unconditional but for what is stored.
    fn request(&self) -> (Request<RequestBody>, bool) {
        let page = &self.visit.page.url;
        let uri: Uri = page
            .path_and_query()
            .parse()
            .expect("a page URL has a valid path and query");
        let mut request = Request::new(no_request_body());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        *headers = self.visit.headers.clone();
        let errand = &self.visit.errand;
        prepare_request(headers, &errand.site, errand.peer);
        for field in [
            RANGE,
            IF_RANGE,
            IF_NONE_MATCH,
            IF_MODIFIED_SINCE,
            CONTENT_LENGTH,
        ] {
            headers.remove(field);
        }
        if let Some(generation) = self.generation {
            headers.insert(GENERATION_HEADER, generation_value(generation));
        }
        let validates = self
            .stored
            .as_ref()
            .is_some_and(|stored| condition(stored, headers));
        (request, validates)
    }

    fn failed(mut self, error: OriginError) {
        self.put_off();
        let failed_as = failed_as(&error);
        self.finish(Outcome::Failed(error.as_str(), failed_as));
        self.send(Reply::Failed(error));
    }

    fn server_error(mut self, response: Response<OriginBody>) {
        self.put_off();
        self.finish(Outcome::Failed("origin_error", FailedAs::ServerError));
        let response = self.unstored(response);
        self.send(Reply::ServerError(response));
    }

    /// A response with content, or an error of the visitor's.
    async fn answered(mut self, response: Response<OriginBody>, took: Duration) {
        let (mut parts, body) = response.into_parts();
        match self.head(parts.status, &mut parts.headers, None, took) {
            Err(reason) => self.own(Response::from_parts(parts, body), reason),
            Ok(head) => {
                let status = head.status;
                let (head, flight, bound) = self.bind(head).await;
                if bound {
                    self.tee(head, flight, body).await;
                } else {
                    cancel(flight);
                    self.finish(Outcome::Again);
                    self.put_off();
                    self.send(Reply::Superseded(Box::new(SharedReply {
                        head,
                        content: Content::Streamed(EdgeBody::origin(body)),
                        flight: None,
                        stored: false,
                        origin_status: status,
                    })));
                }
            }
        }
    }

    /// A 304 to our own condition: what is stored is as good as new (RFC 9111 §4.3.4).
    async fn validated(
        mut self,
        stored: &Arc<StoredResponse>,
        response: Response<OriginBody>,
        took: Duration,
    ) {
        let mut headers = stored.headers.clone();
        freshen(&mut headers, response.headers());
        // What is stored names the tags as the tiers read them, which need not be all.
        let tags_named = tag_headers().any(|field| response.headers().contains_key(field.name()));
        let known = (!tags_named).then_some(&stored.footprint);
        match self.head(stored.status, &mut headers, known, took) {
            Err(reason) => {
                prepare_response(&mut headers, &self.inner.options);
                self.inner.withhold(&mut headers);
                let mut own = Response::new(EdgeBody::whole(stored.body.clone()));
                *own.status_mut() = stored.status;
                *own.headers_mut() = headers;
                self.not_shared(stored, reason, own);
            }
            Ok(head) => {
                let (head, flight, bound) = self.bind(head).await;
                let content = Content::Whole(stored.body.clone());
                let origin_status = StatusCode::NOT_MODIFIED;
                if bound {
                    let fresh = Arc::new(StoredResponse::new(head.clone(), stored.body.clone()));
                    self.store(fresh);
                    let shared = SharedReply {
                        head,
                        content,
                        flight,
                        stored: true,
                        origin_status,
                    };
                    self.send(Reply::Shared(Box::new(shared)));
                } else {
                    cancel(flight);
                    self.finish(Outcome::Again);
                    stored.put_off(self.inner.clock.now() + PUT_OFF);
                    let shared = SharedReply {
                        head,
                        content,
                        flight: None,
                        stored: false,
                        origin_status,
                    };
                    self.send(Reply::Superseded(Box::new(shared)));
                }
            }
        }
    }

    /// Makes out whether the response may be shared, and everything about it but its body. `known`
    /// stands for its tags when it names none itself.
    fn head(
        &self,
        status: StatusCode,
        headers: &mut HeaderMap,
        known: Option<&Arc<Footprint>>,
        took: Duration,
    ) -> Result<Head, NotAdmitted> {
        let inner = &self.inner;
        let url = &self.visit.page.url;
        let route = inner.rules.route(url);
        let mut kept = headers.clone();
        let mut terms = admit(status, &mut kept, &route, inner.options.negative_lifetime)?;
        let variant = VariantKey::select(&terms.vary, &self.visit.headers)
            .ok_or(NotAdmitted::Not(NotShareable::VaryStar))?;
        let tags = match known {
            Some(known) => known.tags.clone(),
            None => tags_of(status, headers, route, inner.options.build_tag.as_ref())?,
        };
        let now = inner.clock.time_of_day();
        let initial_age = initial_age(&kept, terms.verbatim, took, now);
        prepare_response(&mut kept, &inner.options);
        for field in [AGE, ACCEPT_RANGES] {
            kept.remove(field);
        }
        forget_trailers(&mut kept);
        if !terms.verbatim {
            kept.remove(CACHE_CONTROL);
        }
        let labels = inner.options.downstream.fronting.label(url, &tags);
        let labels = labels.unwrap_or_else(|error| {
            tracing::warn!(page = %url, %error, "a page is kept out of the tiers in front");
            terms.for_tiers = false;
            Labels::default()
        });
        let footprint = match known {
            Some(known) if labels.unlisted.is_empty() => Arc::clone(known),
            _ => Arc::new(Footprint {
                url: url.clone(),
                tags: labels.to_bind(tags),
            }),
        };
        kept.extend(labels.fields);
        Ok(Head {
            status,
            headers: kept,
            terms,
            variant,
            generation: self.generation,
            footprint,
            arrival: Arrival {
                answered: inner.clock.now(),
                initial_age,
            },
        })
    }

    /// Lets the body go to the visitor and into the store at once, unless it is known to be too large, or
    /// too much is on its way into the store.
    async fn tee(mut self, head: Head, flight: Option<Flight>, body: OriginBody) {
        let limit = self.inner.largest_body;
        let announced = http_body::Body::size_hint(&body).lower();
        let origin_status = head.status;
        let share = self.inner.collecting.share(announced);
        let Some(share) = share.filter(|_| announced <= limit) else {
            if announced > limit {
                self.unshared();
            } else {
                self.crowded_out();
            }
            let content = Content::Streamed(EdgeBody::origin(body));
            let shared = SharedReply {
                head,
                content,
                flight,
                stored: false,
                origin_status,
            };
            return self.send(Reply::Shared(Box::new(shared)));
        };
        let visitor = self.reply.is_some().then(|| mpsc::channel(FRAMES));
        let (frames, seen) = visitor.unzip();
        if let Some(seen) = seen {
            let content = Content::Streamed(EdgeBody::tee(seen));
            let head = head.clone();
            let shared = SharedReply {
                head,
                content,
                flight,
                stored: true,
                origin_status,
            };
            self.send(Reply::Shared(Box::new(shared)));
        }
        let mut pump = Pump::new(body, frames, limit, share);
        match pump.collect().await {
            Collected::Whole(bytes) => self.store(Arc::new(StoredResponse::new(head, bytes))),
            Collected::TooLarge => self.unshared(),
            Collected::CrowdedOut => self.crowded_out(),
            Collected::Broken => self.finish(Outcome::Again),
        }
        pump.finish().await;
    }

    fn store(&mut self, response: Arc<StoredResponse>) {
        let inner = &self.inner;
        inner.uncacheable.clear(&response.footprint.url);
        inner.storage.insert(&response);
        let held = inner.storage.held();
        inner.recorder.record(&Event::EdgeStored {
            responses: held.pages,
            bytes: held.bytes,
        });
        self.finish(Outcome::Stored(response));
    }

    /// Nobody else can have what came: it was for one visitor alone, or too large to be kept.
    fn unshared(&mut self) {
        let page = self.visit.page.url.clone();
        self.inner.uncacheable.mark(page, self.inner.clock.now());
        self.finish(Outcome::Unshared);
    }

    /// What could have been stored was not, for want of room. That says nothing about the page.
    fn crowded_out(&mut self) {
        self.inner.recorder.record(&Event::CrowdedOut);
        self.put_off();
        self.finish(Outcome::Again);
    }

    fn own(mut self, response: Response<OriginBody>, reason: NotAdmitted) {
        let response = self.unstored(response);
        if let Some(stored) = self.stored.take() {
            self.not_shared(&stored, reason, response);
        } else {
            self.unshared();
            self.send(Reply::Own {
                response,
                reason: reason.as_str(),
            });
        }
    }

    /// What was shared is no longer to be.
    fn not_shared(
        mut self,
        stored: &StoredResponse,
        reason: NotAdmitted,
        response: Response<EdgeBody>,
    ) {
        self.inner.storage.remove(stored);
        self.unshared();
        self.send(Reply::Own {
            response,
            reason: reason.as_str(),
        });
    }

    /// A response that was not bound, as it leaves.
    fn unstored(&self, response: Response<OriginBody>) -> Response<EdgeBody> {
        let mut response = response.map(EdgeBody::origin);
        prepare_response(response.headers_mut(), &self.inner.options);
        self.inner.withhold(response.headers_mut());
        response
    }

    fn put_off(&self) {
        let until = self.inner.clock.now() + PUT_OFF;
        if let Lookup::Response(stored) = self
            .inner
            .storage
            .lookup(&self.visit.page.url, &self.visit.headers)
        {
            stored.put_off(until);
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            ticket.finish(outcome);
        }
    }

    fn send(&mut self, reply: Reply) {
        if let Some(visitor) = self.reply.take() {
            // A visitor who has gone takes nothing; dropping the reply ends its flight.
            let _ = visitor.send(reply);
        }
    }
}

/// Statuses in whose place a stale response may be served (RFC 5861 §4).
const fn is_server_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

pub(crate) const fn failed_as(error: &OriginError) -> FailedAs {
    match error {
        OriginError::TimedOut => FailedAs::TimedOut,
        _ => FailedAs::BadGateway,
    }
}

pub(crate) fn generation_value(generation: Generation) -> HeaderValue {
    HeaderValue::try_from(generation.to_string()).expect("digits are visible ASCII")
}
