//! From a handler's response to what leaves.

use axum::body::Body;
use bytes::Bytes;
use http::header::VARY;
use http::{HeaderMap, Response};
use isr_core::{
    BoxError, Dialect, Event, Labels, Lifetimes, Policy, TagSet, VariantKey, VaryRule, vary,
};

use crate::bind::{Fate, bind};
use crate::body::TrackedBody;
use crate::judge::{Standing, Term, judge, keep_out, speaks_for_itself};
use crate::page::{Draft, Page};
use crate::service::Asked;
use crate::validate;

/// Makes a page of a response, if it may be one.
pub(crate) async fn depart<B>(
    page: &Page,
    asked: &Asked,
    mut response: Response<B>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let draft = page.take_draft();
    let headers = response.headers();
    match judge(page, &draft, asked, response.status(), headers) {
        Standing::Alone => response.map(Body::new),
        Standing::Unshared if speaks_for_itself(headers) => response.map(Body::new),
        Standing::Unshared | Standing::Private => {
            keep_out(page, response.headers_mut());
            response.map(Body::new)
        }
        Standing::Page(term) => {
            let limit = page.setup().options.largest_hashed_body;
            let response = validate::with_entity_tag(asked, limit, response).await;
            share(page, asked, draft, term, response).await
        }
    }
}

/// Binds a page and sends it on its way.
async fn share(
    page: &Page,
    asked: &Asked,
    draft: Draft,
    term: Term,
    mut response: Response<Body>,
) -> Response<Body> {
    let setup = page.setup();
    let headers = response.headers_mut();
    let Some(known) = label(page, asked, draft, headers) else {
        setup.recorder.record(&Event::BindFailed);
        keep_out(page, headers);
        return response;
    };
    let (lifetimes, flight, breaks_off) =
        match bind(page, known.variant, known.tags, term.kept).await {
            Fate::Superseded => {
                Dialect::write_all(&page.dialects(), Lifetimes::superseded(), headers);
                return response; // whole even to whoever has it: a 304 would renew what caches keep
            }
            Fate::Bound(flight) => (term.written, Some(flight), true),
            Fate::Unbound(flight) => {
                let short = term.unbound.at_most(setup.options.degraded_lifetime);
                (Some(short), flight, false)
            }
        };
    if let Some(lifetimes) = lifetimes {
        Dialect::write_all(&page.dialects(), lifetimes, headers);
    }
    headers.extend(known.fields);
    if validate::is_known(asked, response.status(), response.headers()) {
        response = validate::not_modified(response);
    }
    response.map(|body| Body::new(TrackedBody::new(body, flight, breaks_off)))
}

/// By what a page is found again.
struct Known {
    variant: VariantKey,
    tags: TagSet,
    /// The tags as the tiers read them.
    fields: HeaderMap,
}

/// Collects a page's tags, also those that the response names in the fields of the tiers, and
/// completes its `Vary`. `None` when a purge could miss the page, since not all its tags are known
/// or fit into the fields.
fn label(page: &Page, asked: &Asked, mut draft: Draft, headers: &mut HeaderMap) -> Option<Known> {
    let setup = page.setup();
    draft.add(setup.build_tag.clone());
    for header in setup.fronting.tag_headers() {
        draft.incomplete |= !header.parse(headers, &mut draft.tags).is_complete();
    }
    let labels = match page.visit().url.as_ref() {
        Some(url) => setup.fronting.label(url, &draft.tags),
        None => Ok(Labels::default()), // it cannot be bound either
    };
    let labels = match labels {
        Ok(labels) => labels,
        Err(error) => {
            tracing::warn!(%error, "a page is kept out of shared caches");
            return None;
        }
    };
    if draft.incomplete {
        tracing::warn!("a page is kept out of shared caches, because not all its tags are known");
        return None;
    }
    let vary = draft.policy.as_ref().map_or(&[][..], Policy::vary);
    if let Some(vary) = vary::merge(headers, vary) {
        headers.insert(VARY, vary);
    }
    let variant = VariantKey::select(&VaryRule::of(headers), &asked.headers)?;
    Some(Known {
        variant,
        tags: labels.to_bind(draft.tags),
        fields: labels.fields,
    })
}
