//! Purge requests: who may send them, what they mean, and what is answered.

mod access;
mod convention;
mod forwarding_fields;

use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use isr_core::{Receipt, RevalidateOptions, Source, StoreError, Target, Targets};

use self::convention::{Aim, Wish};
use crate::body::EdgeBody;
use crate::edge::Inner;
use crate::fields::HopByHop;
use crate::present::plain;
use crate::visit::Errand;

/// When to ask again where the queue is full, in seconds: it drains all the time.
const ASK_AGAIN_AFTER: &str = "1";

/// A refusal: its status, and what to do about it.
type Refusal = (StatusCode, String);

/// Whether a method is one by which caches are purged, in whatever convention. Such a request is
/// answered here and never handed on to the origin, which could take it for its own.
pub(crate) fn is_purge(method: &Method) -> bool {
    let name = method.as_str().to_ascii_uppercase();
    name.contains("PURGE") || name.contains("BAN") || name == "REFRESH"
}

/// Answers a purge request with the id of the receipt, or says why not.
pub(crate) async fn answer(inner: &Inner, parts: &Parts) -> http::Response<EdgeBody> {
    match purge(inner, parts).await {
        Ok(receipt) => {
            let answer = serde_json::json!({
                "id": receipt.id.to_string(),
                "mode": receipt.options.mode.mode().as_str(),
                "targets": receipt.targets.as_slice().len(),
            });
            plain(StatusCode::OK, "application/json", format!("{answer}\n"))
        }
        Err((status, reason)) => {
            let answer = serde_json::json!({ "error": reason });
            let mut response = plain(status, "application/json", format!("{answer}\n"));
            if status == StatusCode::TOO_MANY_REQUESTS {
                let soon = HeaderValue::from_static(ASK_AGAIN_AFTER);
                response.headers_mut().insert(RETRY_AFTER, soon);
            }
            response
        }
    }
}

async fn purge(inner: &Inner, parts: &Parts) -> Result<Receipt, Refusal> {
    access::check(inner, parts)?;
    let Wish { aim, mode } = convention::read(parts)?;
    let targets = targets(inner, parts, aim)?;
    let options = RevalidateOptions {
        mode: mode.into(),
        ..inner.options.revalidate.clone()
    };
    let receipt = Receipt::new(targets, options, Source::PurgeRequest);
    let accepted = inner.revalidator.revalidate(receipt).await;
    accepted
        .inspect(|_| inner.accepting.worked())
        .map_err(|error| {
            inner.accepting.failed(&error);
            let status = match error {
                StoreError::QueueFull { .. } => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, error.to_string())
        })
}

fn targets(inner: &Inner, parts: &Parts, aim: Aim) -> Result<Targets, Refusal> {
    let targets = match aim {
        Aim::Everything => return Ok(Targets::everything()),
        Aim::Tags(tags) => Targets::new(tags.into_iter().map(Target::Tag)),
        Aim::Page => {
            let errand = errand(inner, parts)?;
            let url = page(inner, &errand, errand.target.as_str())?;
            Targets::new([Target::Url(url)])
        }
        Aim::Beneath(path) => {
            let url = page(inner, &errand(inner, parts)?, &path)?;
            Targets::new([Target::Prefix(url)])
        }
        Aim::Host => {
            let url = page(inner, &errand(inner, parts)?, "/")?;
            Targets::new([Target::Host(url.host().to_owned())])
        }
    };
    targets.map_err(|error| refused(&error.to_string()))
}

fn errand(inner: &Inner, parts: &Parts) -> Result<Errand, Refusal> {
    Errand::of(inner, parts, HopByHop::default()).ok_or_else(|| {
        let reason = "the host is not one of the site's: send one that is in site.hosts";
        (StatusCode::NOT_FOUND, reason.to_owned())
    })
}

fn page(inner: &Inner, errand: &Errand, target: &str) -> Result<isr_core::PageUrl, Refusal> {
    let page = inner.options.url_rules.page(&errand.site, target);
    page.map(|page| page.url)
        .map_err(|error| refused(&error.to_string()))
}

/// A request that cannot be carried out as it stands.
fn refused(reason: &str) -> Refusal {
    (StatusCode::UNPROCESSABLE_ENTITY, reason.to_owned())
}

/// A request in a convention that is not known here, or not to that extent.
fn unsupported(what: &str, instead: &str) -> Refusal {
    let reason = format!("{what} not supported, and nothing was purged: {instead}");
    (StatusCode::NOT_IMPLEMENTED, reason)
}
