//! A model of Amazon CloudFront's API, as far as invalidating needs it.
//!
//! Formats and codes are those of the service's own model (botocore 1.44) and what people report of it; what
//! is not known of the service is not refused.

mod distribution;
mod xml;

use std::sync::Arc;

use http::{Method, StatusCode};
use parking_lot::Mutex;
use wiremock::{Request, Respond, ResponseTemplate};

pub use self::distribution::Distribution;
use self::distribution::Refusal;
use super::Front;
use crate::connector_suite::Call;

/// The version of the API, with which every path begins.
const VERSION: &str = "2020-05-31";

/// CloudFront with one distribution, and a [`Front`] before it.
#[derive(Debug)]
pub struct CloudFront {
    front: Front,
    distribution: Arc<Mutex<Distribution>>,
}

impl CloudFront {
    /// Starts it.
    pub async fn start(distribution: Distribution) -> Self {
        let distribution = Arc::new(Mutex::new(distribution));
        let api = Api(Arc::clone(&distribution));
        Self {
            front: Front::before_model(api, failure).await,
            distribution,
        }
    }

    /// What stands in front of it, where the API is, to be told how requests end.
    #[must_use]
    pub const fn front(&self) -> &Front {
        &self.front
    }

    /// Every request so far to create an invalidation, with its paths and tags.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let exchanges = self.front.exchanges();
        let created = exchanges.iter().filter(|one| one.method == Method::POST);
        created
            .map(|exchange| Call {
                items: xml::Batch::read(&exchange.body)
                    .map_or_else(|_| vec![], |batch| batch.items),
                soft: false,
                carried_out: matches!(exchange.answer, Some((StatusCode::CREATED, _))),
            })
            .collect()
    }

    /// Changes the distribution, as somebody else might.
    pub fn change(&self, change: impl FnOnce(&mut Distribution)) {
        change(&mut self.distribution.lock());
    }
}

/// How CloudFront says that it does not do what it was asked, by the status it says it with.
fn failure(status: u16) -> String {
    let code = match status {
        401 | 403 => "AccessDenied",
        404 => "NoSuchDistribution",
        429 => "Throttling",
        400..500 => "InvalidArgument",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    xml::error(code, "As the test wants it.")
}

/// The API's addresses.
struct Api(Arc<Mutex<Distribution>>);

impl Respond for Api {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut distribution = self.0.lock();
        match answer(&mut distribution, request) {
            Ok(response) => response,
            Err(refusal) => {
                xml_response(refusal.status, &xml::error(refusal.code, refusal.message))
            }
        }
    }
}

fn answer(distribution: &mut Distribution, request: &Request) -> Result<ResponseTemplate, Refusal> {
    let field = |name: &str| {
        request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    distribution.signed(field("authorization"), field("x-amz-date"))?;
    let path: Vec<&str> = request.url.path().split('/').skip(1).collect();
    match (&request.method, path.as_slice()) {
        (&Method::POST, [VERSION, kind, id, "invalidation"]) => {
            distribution.allows(&action("CreateInvalidation", kind))?;
            distribution.has(kind, id)?;
            // Amazon's own clients say XML or nothing about what they send.
            if field("content-type").is_some_and(|kind| !kind.contains("xml")) {
                return Err(Refusal::MALFORMED);
            }
            let batch = xml::Batch::read(&request.body)?;
            let invalidation = distribution.invalidate(batch)?;
            let location = format!(
                "https://cloudfront.amazonaws.com/{VERSION}/{kind}/{id}/invalidation/{}",
                invalidation.id
            );
            let response = xml_response(201, &xml::invalidation(&invalidation));
            Ok(response.insert_header("location", location))
        }
        (&Method::GET, [VERSION, kind, id, "invalidation", name]) => {
            distribution.allows(&action("GetInvalidation", kind))?;
            distribution.has(kind, id)?;
            let invalidation = distribution.look_at(name)?;
            Ok(xml_response(200, &xml::invalidation(&invalidation)))
        }
        (&Method::GET, [VERSION, "distribution", id, "config"]) => {
            distribution.allows("GetDistributionConfig")?;
            distribution.has("distribution", id)?;
            Ok(xml_response(200, &xml::config(distribution)))
        }
        (&Method::GET, [VERSION, "distribution-tenant", id]) => {
            distribution.allows("GetDistributionTenant")?;
            distribution.has("distribution-tenant", id)?;
            Ok(xml_response(200, &xml::tenant(distribution)))
        }
        _ => Err(Refusal::NO_SUCH_ADDRESS),
    }
}

/// The right that a call takes, which is named differently for tenants.
fn action(name: &str, kind: &str) -> String {
    if kind == "distribution-tenant" {
        format!("{name}ForDistributionTenant")
    } else {
        name.to_owned()
    }
}

fn xml_response(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_owned(), "text/xml")
}
