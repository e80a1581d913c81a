//! Amazon CloudFront, which names no rate: at most 3,000 paths may be in progress.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_cdn_cloudfront::{Options, connect};
use isr_core::{CdnConnector, Clock, Secret};
use isr_testkit::Call;
use isr_testkit::fakes::{self, Distribution, Exchange};

use super::{Fake, Service, only, usual_cases};
use crate::cdn::case::{Case, Limit, Task};

const NAME: &str = "cloudfront";
const DISTRIBUTION: &str = "EDFDVBD6EXAMPLE";
const TAG_HEADER: &str = "cache-tag";

/// How often it is asked whether an invalidation is complete, which it is when it is asked for the second
/// time. Really it takes seconds, which would say nothing about the pipeline.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct CloudFront;

#[async_trait]
impl Service for CloudFront {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cases(&self, pages: u64) -> Vec<Case> {
        let by_url = Case::new(NAME, Task::PagesByUrl, pages);
        let larger = by_url.for_memory();
        usual_cases(NAME, pages, &by_url, larger)
    }

    fn limit(&self, _: &Case) -> Option<Limit> {
        None
    }

    async fn start(&self, _: &Case, _: &Arc<dyn Clock>) -> Box<dyn Fake> {
        let mut distribution = Distribution::new(DISTRIBUTION);
        distribution.tag_header = Some(TAG_HEADER.to_owned());
        Box::new(fakes::CloudFront::start(distribution).await)
    }

    fn connect(&self, _: &Case, address: &str) -> anyhow::Result<Arc<dyn CdnConnector>> {
        let options = Options {
            distribution: Some(DISTRIBUTION.to_owned()),
            tag_header: Some(TAG_HEADER.to_owned()),
            access_key_id: Some(Secret::new("AKIDTEST")),
            secret_access_key: Some(Secret::new("5ecretAccessKey")),
            endpoint_url: Some(address.to_owned()),
            poll_interval: POLL_INTERVAL,
            ..Options::default()
        };
        only(connect(NAME, options)?)
    }
}

impl Fake for fakes::CloudFront {
    fn address(&self) -> String {
        self.front().uri()
    }

    fn exchanges(&self) -> Vec<Exchange> {
        self.front().exchanges()
    }

    fn calls(&self) -> Vec<Call> {
        self.calls()
    }
}
