//! What a request asks for, and which generation its response starts from.

use std::time::Duration;

use axum::extract::OriginalUri;
use http::HeaderMap;
use http::request::Parts;
use isr_core::{GENERATION_HEADER, Generation, NormalisedUrl, PageUrl, WARMUP_HEADER, Warmup};

use crate::page::Visit;
use crate::parts::Setup;

/// How often a waiting warm-up request looks whether this process knows more.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Finds out what a request asks for. A warm-up header that is not genuine is taken out of it.
pub(crate) async fn visit(setup: &Setup, head: &mut Parts) -> Visit {
    let Some(NormalisedUrl { url, canonical }) = page_of(setup, head) else {
        head.headers.remove(WARMUP_HEADER);
        return Visit::default();
    };
    let warmup = verified(setup, &url, &mut head.headers);
    if let Some(least) = warmup.and_then(|warmup| warmup.least) {
        wait_for(setup, &url, least).await;
    }
    let generation = generation(setup, &url, &head.headers);
    Visit {
        url: Some(url),
        canonical,
        generation,
        warmup,
    }
}

/// The page that a request is for. Routers that nest others show these only the rest of the path.
fn page_of(setup: &Setup, head: &Parts) -> Option<NormalisedUrl> {
    let uri = head
        .extensions
        .get::<OriginalUri>()
        .map_or(&head.uri, |OriginalUri(uri)| uri);
    let origin = setup.site.origin_of(uri, &head.headers)?;
    let target = uri.path_and_query()?.as_str();
    setup.url_rules.page(origin, target).ok()
}

fn verified(setup: &Setup, url: &PageUrl, headers: &mut HeaderMap) -> Option<Warmup> {
    let header = headers.get(WARMUP_HEADER)?;
    let now = setup.sender.clock().time_of_day();
    let warmup = setup
        .warmup
        .as_ref()
        .and_then(|key| key.verify(header, url, now).ok());
    if warmup.is_none() {
        headers.remove(WARMUP_HEADER);
    }
    warmup
}

/// Waits until this process knows of the revalidation that a warm-up request comes from: a page
/// rendered under an older generation would only be superseded and warmed once more.
async fn wait_for(setup: &Setup, url: &PageUrl, least: Generation) {
    let clock = setup.sender.clock();
    let deadline = clock.now() + setup.options.warmup_wait;
    let knows = || {
        setup
            .sender
            .generation(url)
            .is_some_and(|known| known.covers(least))
    };
    while !knows() && clock.now() < deadline {
        clock.sleep(LOOK_EVERY).await;
    }
}

/// The generation that a response starts from, taken before anything of it is read.
///
/// What an edge in front has taken for it counts when it is older, never when it is newer: nobody who
/// gets past the edge can pass old data off as new.
fn generation(setup: &Setup, url: &PageUrl, headers: &HeaderMap) -> Option<Generation> {
    let own = setup.sender.generation(url)?;
    let forwarded = headers
        .get(GENERATION_HEADER)
        .filter(|_| setup.options.trust_edge);
    let forwarded = forwarded.and_then(|value| value.to_str().ok()?.parse::<Generation>().ok());
    Some(
        forwarded
            .filter(|forwarded| own.covers(*forwarded))
            .unwrap_or(own),
    )
}
