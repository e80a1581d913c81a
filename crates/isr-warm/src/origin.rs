//! Being polite to one origin, over all calls together.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use isr_core::Clock;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::options::CrawlerOptions;

/// How many origins are remembered before those that nobody is asking are forgotten.
const REMEMBERED: usize = 256;

/// Every origin that was contacted lately, by scheme, host and port.
#[derive(Debug)]
pub(crate) struct Origins {
    clock: Arc<dyn Clock>,
    limits: Limits,
    by_address: Mutex<HashMap<String, Arc<Origin>>>,
}

/// How much is asked of one origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    concurrency: usize,
    quota: Option<Quota>,
}

/// One server, or one service of many, as an address names it.
pub(crate) struct Origin {
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    pace: Option<Pace>,
    /// When it may be asked again, by the clock's `now`.
    opens: Mutex<Duration>,
}

/// A token bucket that reads the time off the crawler's clock.
type Pace = RateLimiter<NotKeyed, InMemoryState, PaceClock, NoOpMiddleware<Duration>>;

struct PaceClock(Arc<dyn Clock>);

impl governor::clock::Clock for PaceClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.now()
    }
}

impl Origins {
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self {
            clock,
            limits,
            by_address: Mutex::default(),
        }
    }

    /// The origin at an address.
    pub(crate) fn at(&self, address: &str) -> Arc<Origin> {
        let mut origins = self.by_address.lock();
        if let Some(origin) = origins.get(address) {
            return Arc::clone(origin);
        }
        if origins.len() >= REMEMBERED {
            origins.retain(|_, origin| Arc::strong_count(origin) > 1);
        }
        let origin = Arc::new(Origin::new(Arc::clone(&self.clock), self.limits));
        origins.insert(address.to_owned(), Arc::clone(&origin));
        origin
    }
}

impl Limits {
    /// The limits of checked options.
    pub(crate) fn of(options: &CrawlerOptions) -> Self {
        let number = |n| NonZeroU32::new(n).expect("checked options are not zero");
        let quota = |rate| Quota::per_second(number(rate)).allow_burst(number(options.burst));
        Self {
            concurrency: options.concurrency,
            quota: options.rate.map(quota),
        }
    }
}

impl Origin {
    fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let pace = |quota| RateLimiter::direct_with_clock(quota, PaceClock(Arc::clone(&clock)));
        Self {
            permits: Semaphore::new(limits.concurrency),
            pace: limits.quota.map(pace),
            opens: Mutex::default(),
            clock,
        }
    }

    /// Waits until a request may begin. It counts as running until the permit is dropped.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        let permit = self
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        while let Some(wait) = self.wait() {
            self.clock.sleep(wait).await;
        }
        permit
    }

    /// Lets nobody begin a request for this long: what a `Retry-After` asks for is asked of the
    /// client and not of the page (RFC 9110 §10.2.3).
    pub(crate) fn close_for(&self, pause: Duration) {
        let until = self.clock.now() + pause;
        let mut opens = self.opens.lock();
        *opens = until.max(*opens);
    }

    /// How long to wait before asking again; `None` takes a token out of the bucket.
    fn wait(&self) -> Option<Duration> {
        let closed = self.opens.lock().saturating_sub(self.clock.now());
        if !closed.is_zero() {
            return Some(closed);
        }
        let early = self.pace.as_ref()?.check().err()?;
        Some(early.wait_time_from(self.clock.now()))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "../tests/support/clock.rs"]
mod clock;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::clock::SkippingClock;
    use super::*;

    fn origin(clock: &SkippingClock, options: &CrawlerOptions) -> Origin {
        Origin::new(Arc::new(clock.clone()), Limits::of(options))
    }

    #[test]
    fn only_so_many_requests_run_at_once() {
        let options = CrawlerOptions {
            concurrency: 3,
            rate: None,
            ..CrawlerOptions::default()
        };
        let origin = origin(&SkippingClock::default(), &options);
        let mut running: Vec<_> = (0..3)
            .map(|_| origin.turn().now_or_never().unwrap())
            .collect();
        assert!(origin.turn().now_or_never().is_none());
        running.pop();
        assert!(origin.turn().now_or_never().is_some());
    }

    #[tokio::test]
    async fn after_the_burst_requests_begin_at_the_rate() {
        let clock = SkippingClock::default();
        let options = CrawlerOptions {
            rate: Some(50),
            burst: 10,
            ..CrawlerOptions::default()
        };
        let origin = origin(&clock, &options);
        for request in 0..110_u32 {
            drop(origin.turn().await);
            let due = Duration::from_millis(20) * request.saturating_sub(9);
            assert_eq!(clock.now(), due, "request {request}");
        }
    }

    #[tokio::test]
    async fn an_origin_that_asks_to_be_left_alone_is() {
        let clock = SkippingClock::default();
        let origin = origin(&clock, &CrawlerOptions::default());
        origin.close_for(Duration::from_secs(7));
        origin.close_for(Duration::from_secs(5));
        drop(origin.turn().await);
        assert_eq!(clock.now(), Duration::from_secs(7));
    }

    #[test]
    fn an_address_keeps_its_origin_and_idle_ones_are_forgotten() {
        let limits = Limits::of(&CrawlerOptions::default());
        let origins = Origins::new(Arc::new(SkippingClock::default()), limits);
        let kept = origins.at("http://kept");
        for number in 0..2 * REMEMBERED {
            origins.at(&format!("http://{number}"));
        }
        assert!(Arc::ptr_eq(&kept, &origins.at("http://kept")));
        assert!(origins.by_address.lock().len() <= REMEMBERED);
    }
}
