//! An origin that follows a script, and remembers what it experienced.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use isr_core::{WarmFailure, WarmRequest};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Deserialize;
use tokio::time::Instant;

use crate::fetch::{Address, Fetch};
use crate::verdict::Answer;

/// How long a refusal takes the origin.
const REFUSING: Duration = Duration::from_millis(2);

/// A file of `tests/origins`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// What it is an example of.
    pub(super) about: String,
    /// Pages warmed in one call.
    pub(super) pages: usize,
    /// The crawler's options of the same names.
    pub(super) concurrency: usize,
    pub(super) rate: u32,
    pub(super) burst: u32,
    /// What the origin is like, one after the other.
    phase: Vec<Phase>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Phase {
    /// How long this lasts; for ever when it does not say.
    seconds: Option<u64>,
    /// Nobody accepts connections.
    down: bool,
    /// Pages made at once; other requests wait.
    workers: usize,
    /// What making a page takes, in the geometric mean.
    render_ms: u64,
    /// The natural logarithm of how many times longer, or shorter, it may take.
    spread: f64,
    /// How many may wait before others are answered with 503.
    queue: Option<usize>,
    /// How many are let through in a second, and at once, before others are answered with 429.
    per_second: Option<f64>,
    /// The `Retry-After` of refusals.
    retry_after: Option<u64>,
}

/// One request, as the origin experienced it. Times are since the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) began: Duration,
    pub(super) ended: Duration,
    /// Requests under way when it had begun.
    pub(super) running: usize,
    /// `None` when nobody was there.
    pub(super) status: Option<u16>,
    /// For how long the origin wanted to be left alone.
    pub(super) pause: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct ScriptedOrigin {
    script: Arc<Script>,
    begun: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// When each worker is done with what waits for it.
    free: Vec<Duration>,
    tokens: f64,
    refilled: Duration,
    random: SmallRng,
    /// When the requests under way end.
    under_way: Vec<Duration>,
    seen: Vec<Seen>,
}

impl ScriptedOrigin {
    pub(super) fn new(script: Script) -> Self {
        let state = State {
            free: Vec::new(),
            tokens: f64::MAX,
            refilled: Duration::ZERO,
            random: SmallRng::seed_from_u64(1),
            under_way: Vec::new(),
            seen: Vec::new(),
        };
        Self {
            script: Arc::new(script),
            begun: Instant::now(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Every request so far, in the order of arrival.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    fn phase(&self, now: Duration) -> &Phase {
        let mut ends = Duration::ZERO;
        let lasting = self.script.phase.iter().find(|phase| {
            ends += phase.seconds.map_or(Duration::MAX / 2, Duration::from_secs);
            now < ends
        });
        lasting.expect("the last phase lasts for ever")
    }

    fn arrive(&self) -> Seen {
        let now = self.begun.elapsed();
        let mut state = self.state.lock();
        state.under_way.retain(|ended| *ended > now);
        let running = state.under_way.len() + 1;
        let seen = state.answer(self.phase(now), now, running);
        state.under_way.push(seen.ended);
        state.seen.push(seen);
        seen
    }
}

impl State {
    fn answer(&mut self, phase: &Phase, now: Duration, running: usize) -> Seen {
        let refused = |status| Seen {
            began: now,
            ended: now + REFUSING,
            running,
            status,
            pause: phase.retry_after.map(Duration::from_secs),
        };
        if phase.down {
            return refused(None);
        }
        if !self.take_token(phase, now) {
            let unsaid = Some(Duration::from_secs(1));
            let refused = refused(Some(429));
            return Seen {
                pause: refused.pause.or(unsaid),
                ..refused
            };
        }
        if phase
            .queue
            .is_some_and(|queue| running > phase.workers + queue)
        {
            return refused(Some(503));
        }
        self.free.sort();
        self.free.resize(phase.workers, Duration::ZERO);
        let exponent = phase.spread * self.random.random_range(-1.0..=1.0_f64);
        let render = Duration::from_millis(phase.render_ms).mul_f64(exponent.exp());
        let next = self.free.iter_mut().min().expect("there are workers");
        *next = now.max(*next) + render;
        Seen {
            ended: *next,
            status: Some(200),
            pause: None,
            ..refused(None)
        }
    }

    fn take_token(&mut self, phase: &Phase, now: Duration) -> bool {
        let Some(rate) = phase.per_second else {
            return true;
        };
        let refill = rate * now.saturating_sub(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + refill).min(rate);
        let taken = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(taken));
        taken
    }
}

#[async_trait]
impl Fetch for ScriptedOrigin {
    async fn fetch(&self, _: &Address, _: &WarmRequest) -> Answer {
        let seen = self.arrive();
        tokio::time::sleep_until(self.begun + seen.ended).await;
        let Some(status) = seen.status else {
            return Answer::Broken {
                reason: WarmFailure::Connect,
                detail: "nobody is there".to_owned(),
            };
        };
        let mut headers = HeaderMap::new();
        if let Some(pause) = seen.pause.filter(|pause| pause.as_secs() > 1) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs()));
        }
        Answer::Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            took: seen.ended.saturating_sub(seen.began),
        }
    }
}

/// Time as tokio keeps it, which is paused in simulations.
#[derive(Debug)]
pub(crate) struct PausedClock(pub(crate) Instant);

impl isr_core::Clock for PausedClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
