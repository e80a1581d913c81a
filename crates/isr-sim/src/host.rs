//! A simulated process, as far as it can be crashed, paused and cut off, and its clock.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isr_core::Clock;
use isr_pipeline::TokioClock;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What is longer is not waited for in a run, so no clock's rate matters to it.
const LONG: Duration = Duration::from_hours(24);

/// At which of its next calls a process is to crash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armed {
    pub(crate) calls: u32,
    /// Whether only calls that change something count.
    pub(crate) changes_only: bool,
    /// Whether the call still takes effect.
    pub(crate) after: bool,
}

#[derive(Debug)]
struct State {
    stands_still_until: Instant,
    cut_off_until: Instant,
    /// From single tiers.
    cut_off_from: BTreeMap<usize, Instant>,
    armed: Option<Armed>,
}

/// A process. Whatever it does awaits [`Host::awake`] wherever it meets the world.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) dead: CancellationToken,
    state: Mutex<State>,
}

impl Host {
    pub(crate) fn new(name: String) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            name,
            dead: CancellationToken::new(),
            state: Mutex::new(State {
                stands_still_until: now,
                cut_off_until: now,
                cut_off_from: BTreeMap::new(),
                armed: None,
            }),
        })
    }

    /// Goes on once the process does not stand still; never in a dead one.
    pub(crate) async fn awake(&self) {
        loop {
            if self.dead.is_cancelled() {
                std::future::pending::<()>().await;
            }
            let until = self.state.lock().stands_still_until;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    pub(crate) fn is_awake(&self) -> bool {
        !self.dead.is_cancelled() && Instant::now() >= self.state.lock().stands_still_until
    }

    /// How long the store cannot be reached from here.
    pub(crate) fn cut_off_for(&self) -> Duration {
        let until = self.state.lock().cut_off_until;
        until.saturating_duration_since(Instant::now())
    }

    pub(crate) fn pause(&self, long: Duration) {
        self.state.lock().stands_still_until = Instant::now() + long;
    }

    pub(crate) fn cut_off(&self, long: Duration) {
        self.state.lock().cut_off_until = Instant::now() + long;
    }

    /// How long a tier cannot be reached from here.
    pub(crate) fn cut_off_from(&self, tier: usize) -> Duration {
        let until = self.state.lock().cut_off_from.get(&tier).copied();
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }

    pub(crate) fn cut_off_tier(&self, tier: usize, long: Duration) {
        let until = Instant::now() + long;
        self.state.lock().cut_off_from.insert(tier, until);
    }

    pub(crate) fn arm(&self, armed: Armed) {
        self.state.lock().armed = Some(armed);
    }

    /// Whether the process is to crash at this call, and if so whether after its effect.
    pub(crate) fn crashes_at(&self, changes: bool) -> Option<bool> {
        let armed = &mut self.state.lock().armed;
        let due = armed.as_mut()?;
        if due.changes_only && !changes {
            return None;
        }
        if due.calls > 0 {
            due.calls -= 1;
            return None;
        }
        armed.take().map(|due| due.after)
    }

    /// Nothing more is done to it.
    pub(crate) fn calm(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        (state.stands_still_until, state.cut_off_until) = (now, now);
        state.cut_off_from.clear();
        state.armed = None;
    }

    /// Runs something that ends with the process.
    pub(crate) fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let dead = self.dead.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = dead.cancelled() => {}
                () = work => {}
            }
        });
    }
}

/// The clock of one process: it shows a time of its own, at a rate of its own, and whoever waits by it
/// stands still with the process.
#[derive(Debug)]
pub(crate) struct HostClock {
    pub(crate) host: Arc<Host>,
    pub(crate) inner: TokioClock,
    pub(crate) ahead: Duration,
    /// Seconds that pass here in a true second.
    pub(crate) rate: f64,
}

impl Clock for HostClock {
    fn now(&self) -> Duration {
        self.ahead + self.inner.now().mul_f64(self.rate)
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let host = Arc::clone(&self.host);
        let truly = duration.min(LONG).div_f64(self.rate);
        Box::pin(async move {
            tokio::time::sleep(truly).await;
            host.awake().await;
        })
    }
}
