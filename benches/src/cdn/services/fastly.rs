//! Fastly.

use std::sync::Arc;

use async_trait::async_trait;
use isr_cdn_fastly::{Options, connect};
use isr_core::{CdnConnector, Clock, RateUnit, Secret};
use isr_testkit::Call;
use isr_testkit::fakes::{self, Exchange, FastlyService, TokenBucket};

use super::{Fake, Service, only, usual_cases};
use crate::cdn::case::{Case, Limit, Task};

const NAME: &str = "fastly";
const SERVICE: &str = "SU1Z0isxPaozGVKXdv0eY";
const TOKEN: &str = "T0kenOfTheMeasurement";

/// Purges of URLs and keys on average over an hour, as documented: see the connector's capabilities. The
/// model is stricter than that, and lets no more than a hundredth through at once.
const PURGES_A_SECOND: f64 = 100_000.0 / 3_600.0;
const AT_ONCE: u32 = 1_000;

/// How much faster than real time: 100,000 pages take an hour.
const SPEED: u32 = 40;

/// What the model's bucket holds besides for each time that its clock is faster than real time. Calls arrive
/// closer together than they were sent when one takes longer on its way than the next, and by a fast clock
/// that is so many times as long.
const UNSTEADY: u32 = 3;

/// URLs for a minute at real time, besides those at once.
const OF_A_MINUTE: u64 = 1_650;

#[derive(Debug)]
pub(super) struct Fastly;

#[async_trait]
impl Service for Fastly {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cases(&self, pages: u64) -> Vec<Case> {
        let of_a_minute = u64::from(AT_ONCE) + OF_A_MINUTE;
        let minute = Case::new(NAME, Task::PagesByUrl, of_a_minute);
        // Each URL is a call, so the tenth is the smaller one here.
        let tenth = Case::new(NAME, Task::PagesByUrl, pages / 10).at_speed(SPEED);
        let mut cases = vec![minute];
        cases.extend(usual_cases(NAME, pages, &tenth, tenth.for_memory()));
        cases
    }

    fn limit(&self, case: &Case) -> Option<Limit> {
        Some(Limit {
            unit: RateUnit::Items,
            at_once: 1,
            bucket: bucket(case),
            per_second: PURGES_A_SECOND,
            left_out: AT_ONCE,
        })
    }

    async fn start(&self, case: &Case, clock: &Arc<dyn Clock>) -> Box<dyn Fake> {
        let mut service = FastlyService::new(SERVICE, TOKEN);
        service.purges = Some(TokenBucket::new(
            bucket(case),
            PURGES_A_SECOND,
            Arc::clone(clock),
        ));
        Box::new(fakes::Fastly::start(service).await)
    }

    fn connect(&self, _: &Case, address: &str) -> anyhow::Result<Arc<dyn CdnConnector>> {
        let options = Options {
            service: SERVICE.to_owned(),
            token: Secret::new(TOKEN),
            api_base: address.to_owned(),
            ..Options::default()
        };
        only(connect(NAME, options)?)
    }
}

const fn bucket(case: &Case) -> u32 {
    AT_ONCE + UNSTEADY * (case.speed - 1)
}

impl Fake for fakes::Fastly {
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
