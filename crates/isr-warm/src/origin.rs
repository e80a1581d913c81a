//! Being polite to one origin, over all calls together.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use isr_core::{Clock, Recorder, WarmOutcome};
use parking_lot::Mutex;

use crate::breaker::{Breaker, Change};
use crate::limit::Limit;
use crate::options::CrawlerOptions;
use crate::overview::{Overview, Standing};
use crate::permits::{Permit, Permits};
use crate::signal::Signal;

/// How many origins are remembered before those that nobody is asking are forgotten.
const REMEMBERED: usize = 256;

/// Every origin that was contacted lately, by scheme, host and port.
#[derive(Debug)]
pub(crate) struct Origins {
    clock: Arc<dyn Clock>,
    limits: Limits,
    overview: Arc<Overview>,
    by_address: Mutex<HashMap<String, Arc<Origin>>>,
}

/// How much is asked of one origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    concurrency: usize,
    quota: Option<Quota>,
    adaptive: bool,
    longest_rest: Duration,
}

/// One server, or one service of many, as an address names it.
pub(crate) struct Origin {
    address: String,
    clock: Arc<dyn Clock>,
    permits: Permits,
    pace: Option<Pace>,
    overview: Arc<Overview>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When it may be asked again, by the clock's `now`.
    opens: Duration,
    /// Requests under way.
    running: usize,
    standing: Standing,
    /// `None` where the limit is what was configured and nothing else.
    control: Option<Control>,
}

/// What the origin's answers decide.
#[derive(Debug)]
struct Control {
    limit: Limit,
    breaker: Breaker,
    refusal: Option<WarmOutcome>,
}

/// One request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    origin: &'a Origin,
    /// The number of the limit that it began under.
    limit: u64,
    era: u64,
    _permit: Permit<'a>,
}

/// Whether whoever holds a permit may begin.
enum Start {
    Now {
        limit: u64,
        era: u64,
    },
    After(Duration),
    /// The limit was lowered meanwhile: the permit goes back.
    QueueAgain,
    /// A probe was refused, which answers all who wait.
    Refused(WarmOutcome),
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
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: Limits, recorder: Arc<dyn Recorder>) -> Self {
        Self {
            clock,
            limits,
            overview: Arc::new(Overview::new(recorder)),
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
        let origin = Origin::new(
            address,
            Arc::clone(&self.clock),
            self.limits,
            &self.overview,
        );
        let origin = Arc::new(origin);
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
            adaptive: options.adaptive,
            longest_rest: options.longest_backoff,
        }
    }
}

impl Origin {
    fn new(address: &str, clock: Arc<dyn Clock>, limits: Limits, overview: &Arc<Overview>) -> Self {
        let pace = |quota| RateLimiter::direct_with_clock(quota, PaceClock(Arc::clone(&clock)));
        let control = limits.adaptive.then(|| Control {
            limit: Limit::new(limits.concurrency),
            breaker: Breaker::new(limits.longest_rest),
            refusal: None,
        });
        let at_once = control.as_ref().map(|control| control.limit.at_once());
        let at_once = at_once.unwrap_or(limits.concurrency);
        let standing = Standing {
            at_once: at_once as u64,
            out_of_order: 0,
        };
        overview.changed(Standing::default(), standing);
        Self {
            address: address.to_owned(),
            permits: Permits::new(at_once),
            pace: limits.quota.map(pace),
            overview: Arc::clone(overview),
            state: Mutex::new(State {
                opens: Duration::ZERO,
                running: 0,
                standing,
                control,
            }),
            clock,
        }
    }

    /// Waits until a request may begin.
    ///
    /// # Errors
    ///
    /// What the origin answered to a probe, when it has been out of order for long and still was
    /// meanwhile: the request need not be made.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, WarmOutcome> {
        let probes = self.refused_probes();
        loop {
            let permit = self.permits.acquire().await;
            loop {
                match self.start(probes) {
                    Start::Now { limit, era } => {
                        return Ok(Turn {
                            origin: self,
                            limit,
                            era,
                            _permit: permit,
                        });
                    }
                    Start::After(wait) => self.clock.sleep(wait).await,
                    Start::QueueAgain => break,
                    Start::Refused(outcome) => return Err(outcome),
                }
            }
        }
    }

    /// Lets nobody begin a request for this long: what a `Retry-After` asks for is asked of the
    /// client and not of the page (RFC 9110 §10.2.3).
    pub(crate) fn close_for(&self, pause: Duration) {
        let until = self.clock.now() + pause;
        let mut state = self.state.lock();
        state.opens = until.max(state.opens);
    }

    fn refused_probes(&self) -> u64 {
        let state = self.state.lock();
        let control = state.control.as_ref();
        control.map_or(0, |control| control.breaker.refused_probes())
    }

    /// Whether a request may begin; if so, it has, and has taken a token out of the bucket.
    fn start(&self, probes: u64) -> Start {
        if self.permits.are_too_many() {
            return Start::QueueAgain;
        }
        let now = self.clock.now();
        let mut state = self.state.lock();
        let mut closed = state.opens.saturating_sub(now);
        if let Some(control) = &state.control {
            if let Some(refusal) = control.refusal_since(probes) {
                return Start::Refused(refusal);
            }
            closed = closed.max(control.breaker.wait(now).unwrap_or_default());
        }
        if !closed.is_zero() {
            return Start::After(closed);
        }
        if let Some(early) = self.pace.as_ref().and_then(|pace| pace.check().err()) {
            return Start::After(early.wait_time_from(now));
        }
        state.running += 1;
        let running = state.running;
        match &mut state.control {
            Some(control) => Start::Now {
                limit: control.limit.begin(running),
                era: control.breaker.era(),
            },
            None => Start::Now { limit: 0, era: 0 },
        }
    }

    fn log(&self, change: Change) {
        let origin = &self.address;
        match change {
            Change::None => {}
            Change::Opened { rest } => {
                tracing::warn!(origin, ?rest, "an origin does not serve, and is left alone");
            }
            Change::Closed => tracing::info!(origin, "an origin serves again"),
        }
    }
}

impl Control {
    fn standing(&self) -> Standing {
        Standing {
            at_once: self.limit.at_once() as u64,
            out_of_order: u64::from(self.breaker.is_open()),
        }
    }

    /// What a probe was refused with, if one was since there had been so many.
    fn refusal_since(&self, probes: u64) -> Option<WarmOutcome> {
        let refused = self.breaker.refused_probes() > probes;
        refused.then(|| self.refusal.clone()).flatten()
    }
}

impl Turn<'_> {
    /// Ends the request, and says what it told about the origin, and how the page ended if the
    /// origin refused.
    pub(crate) fn end(self, signal: Signal, refusal: Option<&WarmOutcome>) {
        let mut state = self.origin.state.lock();
        let Some(control) = &mut state.control else {
            return;
        };
        let now = self.origin.clock.now();
        control.limit.end(self.limit, signal);
        let change = control.breaker.end(self.era, signal, now);
        if matches!(change, Change::Opened { .. }) {
            control.limit.restart();
            control.refusal = refusal.map(to_whoever_waits);
        }
        self.origin.permits.set(control.limit.at_once());
        let standing = control.standing();
        let before = std::mem::replace(&mut state.standing, standing);
        self.origin.overview.changed(before, standing);
        drop(state);
        self.origin.log(change);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let standing = self.state.get_mut().standing;
        self.overview.changed(standing, Standing::default());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.origin.state.lock().running -= 1;
    }
}

/// What a page's outcome is to pages that were not asked for because of it.
fn to_whoever_waits(outcome: &WarmOutcome) -> WarmOutcome {
    match outcome {
        WarmOutcome::Failed { reason, detail } => WarmOutcome::Failed {
            reason: *reason,
            detail: format!("not asked for, since another page was tried in vain: {detail}"),
        },
        outcome => outcome.clone(),
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("address", &self.address)
            .field("permits", &self.permits)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "../tests/support/clock.rs"]
mod clock;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use isr_core::{Event, NoRecorder, WarmFailure};

    use super::clock::SkippingClock;
    use super::*;

    fn origin(clock: &SkippingClock, options: &CrawlerOptions) -> Origin {
        let overview = Arc::new(Overview::new(Arc::new(NoRecorder)));
        let clock = Arc::new(clock.clone());
        Origin::new("http://origin", clock, Limits::of(options), &overview)
    }

    #[test]
    fn only_so_many_requests_run_at_once() {
        let options = CrawlerOptions {
            concurrency: 3,
            rate: None,
            adaptive: false,
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
            drop(origin.turn().await.unwrap());
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
        drop(origin.turn().await.unwrap());
        assert_eq!(clock.now(), Duration::from_secs(7));
    }

    /// Asks for a page, gets the signal, and says when the request began.
    async fn ask(origin: &Origin, clock: &SkippingClock, signal: Signal) -> Duration {
        let turn = origin.turn().await.unwrap();
        let began = clock.now();
        let outcome = WarmOutcome::Failed {
            reason: WarmFailure::Connect,
            detail: "refused".to_owned(),
        };
        turn.end(signal, Some(&outcome));
        began
    }

    #[tokio::test]
    async fn an_origin_that_does_not_serve_is_tried_now_and_then() {
        let clock = SkippingClock::default();
        let origin = origin(&clock, &CrawlerOptions::default());
        let mut began = Vec::new();
        for _ in 0..9 {
            began.push(ask(&origin, &clock, Signal::Refused).await.as_secs());
        }
        assert_eq!(began, [0, 0, 0, 0, 0, 1, 3, 7, 15]);
    }

    #[tokio::test]
    async fn whoever_waits_while_an_origin_stays_out_of_order_has_been_answered() {
        let clock = SkippingClock::default();
        let options = CrawlerOptions {
            longest_backoff: Duration::from_secs(1),
            ..CrawlerOptions::default()
        };
        let origin = origin(&clock, &options);
        for _ in 0..5 {
            ask(&origin, &clock, Signal::Refused).await;
        }
        let probe = origin.turn().await.unwrap();
        let mut waiting = Box::pin(origin.turn());
        assert!(waiting.as_mut().now_or_never().is_none(), "one probe");
        let outcome = WarmOutcome::Failed {
            reason: WarmFailure::Timeout,
            detail: "it took too long".to_owned(),
        };
        probe.end(Signal::Refused, Some(&outcome));
        let Some(Err(WarmOutcome::Failed { reason, detail })) = waiting.now_or_never() else {
            unreachable!("whoever waited is told");
        };
        assert_eq!(reason, WarmFailure::Timeout);
        assert!(detail.ends_with("in vain: it took too long"), "{detail}");
        // Whoever comes afterwards is the next probe.
        assert_eq!(ask(&origin, &clock, Signal::Answered).await.as_secs(), 2);
    }

    #[tokio::test]
    async fn a_probe_that_is_given_up_on_makes_room_for_the_next() {
        let clock = SkippingClock::default();
        let origin = origin(&clock, &CrawlerOptions::default());
        for _ in 0..5 {
            ask(&origin, &clock, Signal::Refused).await;
        }
        drop(origin.turn().await.unwrap());
        let served = Signal::Served {
            took: Duration::from_millis(1),
        };
        assert_eq!(ask(&origin, &clock, served).await.as_secs(), 1);
        assert_eq!(origin.state.lock().running, 0);
    }

    /// The last that was recorded.
    #[derive(Debug, Default)]
    struct Last(Mutex<(u64, u64)>);

    impl Recorder for Last {
        fn record(&self, event: &Event<'_>) {
            if let &Event::WarmOrigins {
                at_once,
                out_of_order,
            } = event
            {
                *self.0.lock() = (at_once, out_of_order);
            }
        }
    }

    #[tokio::test]
    async fn how_all_origins_stand_is_recorded_as_it_changes() {
        let clock = SkippingClock::default();
        let last = Arc::new(Last::default());
        let limits = Limits::of(&CrawlerOptions::default());
        let origins = Origins::new(Arc::new(clock.clone()), limits, last.clone());
        let (sick, well) = (origins.at("http://sick"), origins.at("http://well"));
        assert_eq!(*last.0.lock(), (2, 0));
        let served = Signal::Served {
            took: Duration::from_millis(1),
        };
        for _ in 0..6 {
            ask(&well, &clock, served).await;
            ask(&sick, &clock, Signal::Refused).await;
        }
        assert_eq!(*last.0.lock(), (3, 1));
        ask(&sick, &clock, Signal::Answered).await;
        assert_eq!(*last.0.lock(), (3, 0));
        drop((origins, sick));
        assert_eq!(*last.0.lock(), (2, 0));
        drop(well);
        assert_eq!(*last.0.lock(), (0, 0));
    }

    #[test]
    fn an_address_keeps_its_origin_and_idle_ones_are_forgotten() {
        let limits = Limits::of(&CrawlerOptions::default());
        let clock = Arc::new(SkippingClock::default());
        let origins = Origins::new(clock, limits, Arc::new(NoRecorder));
        let kept = origins.at("http://kept");
        for number in 0..2 * REMEMBERED {
            origins.at(&format!("http://{number}"));
        }
        assert!(Arc::ptr_eq(&kept, &origins.at("http://kept")));
        assert!(origins.by_address.lock().len() <= REMEMBERED);
    }
}
