//! Requests that are handed to the origin as they are: other methods, uploads, upgrades, and
//! everything that is for one visitor alone.

use std::sync::Arc;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use isr_core::{CacheOutcome, Event, GENERATION_HEADER, Receipt, Source, Target, Targets};

use crate::body::{EdgeBody, OriginBody, RequestBody};
use crate::cache_status::{CacheStatus, Forward};
use crate::collapse::FailedAs;
use crate::edge::{EdgeFuture, Inner};
use crate::fetch::{failed_as, generation_value};
use crate::fields::{prepare_request, prepare_response};
use crate::origin::OriginError;
use crate::places::{AT_CAPACITY, Place};
use crate::present::own_response;
use crate::serve::Connection;
use crate::visit::Errand;

impl Inner {
    /// Hands a request to the origin, as soon as there is a place.
    pub(crate) fn pass(
        self: Arc<Self>,
        errand: Errand,
        request: Request<RequestBody>,
        why: Forward,
    ) -> EdgeFuture {
        EdgeFuture::later(async move {
            let started = errand.started;
            match self.place(started).await {
                Some(place) => self.pass_on(errand, request, why, place).await,
                None => self.error(started, why, AT_CAPACITY, FailedAs::AtCapacity),
            }
        })
    }

    /// Hands a request to the origin and its response to the visitor.
    pub(crate) async fn pass_on(
        self: Arc<Self>,
        errand: Errand,
        mut request: Request<RequestBody>,
        why: Forward,
        place: Place,
    ) -> Response<EdgeBody> {
        let method = request.method().clone();
        let connection = request.extensions_mut().remove();
        let visitor = errand.hop.upgrade.is_some().then(|| Upgrading {
            visitor: hyper::upgrade::on(&mut request),
            connection,
        });
        self.prepare(&errand, &mut request);
        let response = match self.ask(request, place).await {
            Ok(response) => response,
            Err(error) => {
                self.answered(CacheOutcome::Error, errand.started);
                let status = match (&error, failed_as(&error)) {
                    (OriginError::VisitorSilent, _) => StatusCode::REQUEST_TIMEOUT,
                    (_, FailedAs::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
                    (_, FailedAs::AtCapacity) => StatusCode::SERVICE_UNAVAILABLE,
                    (_, FailedAs::BadGateway | FailedAs::ServerError) => StatusCode::BAD_GATEWAY,
                };
                return own_response(status, why, error.as_str());
            }
        };
        if !method.is_safe() {
            self.after_write(&errand, response.status()).await;
        }
        self.answered(CacheOutcome::Bypass, errand.started);
        self.passed_back(response, &method, visitor, why)
    }

    /// The request as it goes to the origin, spelled as the visitor did.
    fn prepare(&self, errand: &Errand, request: &mut Request<RequestBody>) {
        let safe = request.method().is_safe();
        *request.uri_mut() = Uri::from(errand.target.clone());
        *request.version_mut() = http::Version::HTTP_11;
        let headers = request.headers_mut();
        prepare_request(headers, &errand.site, errand.peer);
        if let Some(protocol) = &errand.hop.upgrade {
            wish_to_upgrade(headers, protocol);
        }
        let generation = errand
            .page
            .as_ref()
            .and_then(|page| self.sender.generation(&page.url));
        if let Some(generation) = generation.filter(|_| safe) {
            headers.insert(GENERATION_HEADER, generation_value(generation));
        }
    }

    fn passed_back(
        &self,
        mut response: Response<OriginBody>,
        method: &Method,
        visitor: Option<Upgrading>,
        why: Forward,
    ) -> Response<EdgeBody> {
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let protocol = response
            .headers()
            .get(UPGRADE)
            .cloned()
            .filter(|_| switched);
        let origin = switched.then(|| hyper::upgrade::on(&mut response));
        let status = response.status().as_u16();
        let mut response = response.map(EdgeBody::origin);
        let headers = response.headers_mut();
        prepare_response(headers, &self.options);
        if matches!(*method, Method::GET | Method::HEAD) && !switched {
            self.withhold(headers);
        }
        CacheStatus {
            forward_status: Some(status),
            ..CacheStatus::forwarded(why)
        }
        .append_to(headers);
        if let Some(protocol) = protocol {
            wish_to_upgrade(headers, &protocol);
        }
        match (visitor, origin) {
            (Some(visitor), Some(origin)) => {
                // With its body goes the place at the origin, which is for requests.
                *response.body_mut() = EdgeBody::empty();
                tokio::spawn(join(visitor, origin));
                response
            }
            // Nobody asked for another protocol, so nobody could speak it.
            (None, Some(_)) => own_response(StatusCode::BAD_GATEWAY, why, "origin_malformed_head"),
            _ => response,
        }
    }

    /// What a successful write changes at its own URL is stale (RFC 9111 §4.4), on routes that a rule
    /// opts in; elsewhere nobody has said that pages and writes share URLs.
    async fn after_write(&self, errand: &Errand, status: StatusCode) {
        let Some(page) = errand
            .page
            .as_ref()
            .filter(|_| self.options.invalidate_on_write)
        else {
            return;
        };
        let succeeded = status.is_success() || status.is_redirection();
        if !succeeded || self.rules.route(&page.url).policy.is_none() {
            return;
        }
        let targets =
            Targets::new([Target::Url(page.url.clone())]).expect("one URL is a valid list");
        let options = self.options.revalidate.clone();
        let receipt = Receipt::new(targets, options, Source::UnsafeRequest);
        let asked = self.revalidator.revalidate(receipt);
        match tokio::time::timeout(self.options.bind_timeout, asked).await {
            Ok(Ok(_)) => self.accepting.worked(),
            Ok(Err(error)) => self.accepting.failed(&error),
            Err(error) => {
                // Whoever was asked did not live to record it.
                self.accepting.failed(&error);
                let operation = "invalidate";
                self.recorder.record(&Event::StoreFailed { operation });
            }
        }
    }
}

fn wish_to_upgrade(headers: &mut HeaderMap, protocol: &HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol.clone());
}

/// A visitor who may come to speak another protocol.
struct Upgrading {
    visitor: OnUpgrade,
    /// His connection, which counts as one for as long as he speaks.
    connection: Option<Connection>,
}

/// Lets visitor and origin speak another protocol with one another until either closes.
async fn join(upgrading: Upgrading, origin: OnUpgrade) {
    let Upgrading {
        visitor,
        connection: _connection,
    } = upgrading;
    let ends = async { Ok::<_, hyper::Error>((visitor.await?, origin.await?)) };
    match ends.await {
        Ok((visitor, origin)) => {
            let (mut visitor, mut origin) = (TokioIo::new(visitor), TokioIo::new(origin));
            if let Err(error) = tokio::io::copy_bidirectional(&mut visitor, &mut origin).await {
                tracing::debug!(%error, "an upgraded connection broke off");
            }
        }
        Err(error) => tracing::debug!(%error, "a connection could not be upgraded"),
    }
}
