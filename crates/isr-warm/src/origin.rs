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
mod tests;
