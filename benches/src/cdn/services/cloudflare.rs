//! Cloudflare, on the plan "Enterprise".

use std::sync::Arc;

use async_trait::async_trait;
use isr_cdn_cloudflare::{Options, Plan, connect};
use isr_core::{CdnConnector, Clock, RateUnit, Secret};
use isr_testkit::Call;
use isr_testkit::fakes::cloudflare::{TOKEN, ZONE};
use isr_testkit::fakes::{self, CloudflareAccount, Exchange};

use super::{Fake, Service, only, usual_cases};
use crate::cdn::case::{Case, Limit, Task};

const NAME: &str = "cloudflare";

/// As documented for the plan: see the connector's capabilities.
const ACCOUNT: CloudflareAccount = CloudflareAccount::ENTERPRISE;

/// The most URLs of one request on the plan.
const URLS_A_REQUEST: u32 = 500;

/// URLs of one request by default.
const DEFAULT_URLS: u32 = 30;

/// Tags, one a call: the bucket of requests first, and then half a minute of what comes back.
const TAGS: u64 = 2_000;

/// How much faster than real time a million URLs are purged.
const SPEED: u32 = 8;

#[derive(Debug)]
pub(super) struct Cloudflare;

#[async_trait]
impl Service for Cloudflare {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cases(&self, pages: u64) -> Vec<Case> {
        let by_url = Case::new(NAME, Task::PagesByUrl, pages);
        let larger = by_url.for_memory().at_speed(SPEED);
        let mut cases = usual_cases(NAME, pages, &by_url, larger);
        cases.push(Case::new(NAME, Task::TagsOneByOne(TAGS), pages));
        cases.push(Case::new(NAME, Task::PagesByUrl, pages).in_default_batches());
        cases
    }

    fn limit(&self, case: &Case) -> Option<Limit> {
        Some(match case.task {
            // An average over a second is documented, and nothing of a bucket.
            Task::PagesByUrl => Limit {
                unit: RateUnit::Items,
                at_once: if case.default_batches {
                    DEFAULT_URLS
                } else {
                    URLS_A_REQUEST
                },
                bucket: ACCOUNT.urls_a_second,
                per_second: ACCOUNT.urls_a_second.into(),
                left_out: 0,
            },
            _ => Limit {
                unit: RateUnit::Calls,
                at_once: ACCOUNT.bucket,
                bucket: ACCOUNT.bucket,
                per_second: ACCOUNT.requests_a_second,
                left_out: 0,
            },
        })
    }

    async fn start(&self, _: &Case, clock: &Arc<dyn Clock>) -> Box<dyn Fake> {
        Box::new(fakes::Cloudflare::start(ACCOUNT, clock).await)
    }

    fn connect(&self, case: &Case, address: &str) -> anyhow::Result<Arc<dyn CdnConnector>> {
        let options = Options {
            zone: ZONE.to_owned(),
            token: Some(Secret::new(TOKEN)),
            plan: Plan::Enterprise,
            batch_urls: (!case.default_batches).then_some(URLS_A_REQUEST),
            batch_items: matches!(case.task, Task::TagsOneByOne(_)).then_some(1),
            api_base: address.to_owned(),
            ..Options::default()
        };
        only(connect(NAME, options)?)
    }
}

impl Fake for fakes::Cloudflare {
    fn address(&self) -> String {
        self.api_base()
    }

    fn exchanges(&self) -> Vec<Exchange> {
        self.front().exchanges()
    }

    fn calls(&self) -> Vec<Call> {
        self.calls()
    }
}
