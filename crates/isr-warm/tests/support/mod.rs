//! What the crawler's tests have in common.

#![expect(dead_code, reason = "no test file uses all of it")]

pub(crate) mod clock;
pub(crate) mod server;

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Epoch, Event, Generation, PageUrl, Recorder, Secret, SiteOrigin, WarmFailure, WarmOutcome,
    WarmRequest, WarmupKey,
};
use isr_warm::{Crawler, CrawlerOptions};
use parking_lot::Mutex;

use clock::SkippingClock;

/// The site that the tests may warm, wherever its requests go.
pub(crate) const SITE: &str = "https://example.com";

/// A crawler and what it was made of.
pub(crate) struct Crawl {
    pub(crate) crawler: Arc<Crawler>,
    pub(crate) clock: SkippingClock,
    pub(crate) events: Arc<Events>,
}

/// Options under which nothing but what a test is about takes time.
pub(crate) fn options() -> CrawlerOptions {
    CrawlerOptions {
        allowed: vec![SiteOrigin::parse(SITE).unwrap()],
        rate: None,
        page_timeout: Duration::from_mins(1),
        ..CrawlerOptions::default()
    }
}

pub(crate) fn crawl(options: CrawlerOptions) -> Crawl {
    // Whoever comes second finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (clock, events) = (SkippingClock::default(), Arc::new(Events::default()));
    let crawler = Crawler::new(options, key(), Arc::new(clock.clone()), events.clone()).unwrap();
    Crawl {
        crawler: Arc::new(crawler),
        clock,
        events,
    }
}

pub(crate) fn key() -> WarmupKey {
    WarmupKey::new(Secret::new("sixteen bytes and more")).unwrap()
}

pub(crate) fn url(path: &str) -> PageUrl {
    PageUrl::parse(&format!("{SITE}{path}")).unwrap()
}

pub(crate) fn generation(number: u64) -> Generation {
    Generation {
        epoch: Epoch::new(1),
        number,
    }
}

/// A request for a page of the site that goes to `via`.
pub(crate) fn page(path: &str, via: &str, least: Option<u64>) -> WarmRequest {
    WarmRequest {
        url: url(path),
        via: Some(via.to_owned()),
        least: least.map(generation),
    }
}

/// The outcome without what cannot be foreseen, in a word.
pub(crate) fn in_short(outcome: &WarmOutcome) -> String {
    match outcome {
        WarmOutcome::Warmed {
            status, verified, ..
        } => {
            format!(
                "warmed {status}{}",
                if *verified { " verified" } else { "" }
            )
        }
        WarmOutcome::Gone { status } => format!("gone {status}"),
        WarmOutcome::Redirected { status } => format!("redirected {status}"),
        WarmOutcome::Failed { reason, .. } => format!("failed {}", reason.as_str()),
    }
}

/// What was recorded, in order.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<Vec<Result<(), WarmFailure>>>);

impl Events {
    pub(crate) fn all(&self) -> Vec<Result<(), WarmFailure>> {
        self.0.lock().clone()
    }
}

impl Recorder for Events {
    fn record(&self, event: &Event<'_>) {
        self.0.lock().push(match *event {
            Event::Warmed { .. } => Ok(()),
            Event::WarmSkipped | Event::WarmOrigins { .. } => return,
            Event::WarmFailed { reason } => Err(reason),
            ref other => unreachable!("a crawler has nothing to do with {other:?}"),
        });
    }
}
