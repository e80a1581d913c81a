//! A clock that moves when told to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isr_core::Clock;
use tokio::sync::watch;

/// A clock for tests: time stands still until [`HandClock::advance`] moves it, and sleepers wake then.
#[derive(Clone)]
pub struct HandClock(Arc<watch::Sender<Duration>>);

impl HandClock {
    /// A clock that shows one hour, so that times before "now" exist.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Duration::from_hours(1))))
    }

    /// Moves time on.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now += by);
    }
}

impl Default for HandClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HandClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandClock").field(&self.now()).finish()
    }
}

impl Clock for HandClock {
    fn now(&self) -> Duration {
        *self.0.borrow()
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let until = self.now() + duration;
        let mut time = self.0.subscribe();
        Box::pin(async move {
            let woken = time.wait_for(|now| *now >= until).await.is_ok();
            if !woken {
                // The clock is gone, so time has ended and nobody wakes.
                std::future::pending::<()>().await;
            }
        })
    }
}
