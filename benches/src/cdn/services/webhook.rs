//! A webhook with a rate.

use std::sync::Arc;

use async_trait::async_trait;
use isr_cdn_webhook::{Options, connect};
use isr_core::{CdnConnector, Clock, RateUnit, Secret};
use isr_testkit::Call;
use isr_testkit::fakes::webhook::SECRET;
use isr_testkit::fakes::{self, Exchange, WebhookLimits};

use super::{Fake, Service, only, usual_cases};
use crate::cdn::case::{Case, Limit, Task};

const NAME: &str = "webhook";

/// Calls in a second, and at once: what its owner says, and no more than that.
const CALLS_A_SECOND: u32 = 50;
const BURST: u32 = 10;

/// How much faster than real time a million URLs are purged.
const SPEED: u32 = 8;

#[derive(Debug)]
pub(super) struct Webhook;

#[async_trait]
impl Service for Webhook {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cases(&self, pages: u64) -> Vec<Case> {
        let by_url = Case::new(NAME, Task::PagesByUrl, pages);
        let larger = by_url.for_memory().at_speed(SPEED);
        usual_cases(NAME, pages, &by_url, larger)
    }

    fn limit(&self, _: &Case) -> Option<Limit> {
        Some(Limit {
            unit: RateUnit::Calls,
            at_once: BURST,
            bucket: BURST,
            per_second: CALLS_A_SECOND.into(),
            left_out: 0,
        })
    }

    async fn start(&self, _: &Case, _: &Arc<dyn Clock>) -> Box<dyn Fake> {
        Box::new(fakes::Webhook::start(WebhookLimits::WIDE).await)
    }

    fn connect(&self, _: &Case, address: &str) -> anyhow::Result<Arc<dyn CdnConnector>> {
        let options = Options {
            url: Some(Secret::new(address)),
            secret: Some(Secret::new(SECRET)),
            batch_items: WebhookLimits::WIDE.items,
            calls_per_second: Some(CALLS_A_SECOND.into()),
            burst: Some(BURST),
            ..Options::default()
        };
        only(connect(NAME, options)?)
    }
}

impl Fake for fakes::Webhook {
    fn address(&self) -> String {
        self.url()
    }

    fn exchanges(&self) -> Vec<Exchange> {
        self.front().exchanges()
    }

    fn calls(&self) -> Vec<Call> {
        self.calls()
    }
}
