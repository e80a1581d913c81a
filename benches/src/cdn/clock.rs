//! Time that goes faster.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isr_core::Clock;
use isr_pipeline::TokioClock;

/// The clock of a run: real time, or so many times faster.
pub(super) fn clock(speed: u32) -> Arc<dyn Clock> {
    let real = TokioClock::new();
    Arc::new(FastClock {
        began: (real.now(), real.time_of_day()),
        real,
        speed,
    })
}

#[derive(Debug)]
struct FastClock {
    real: TokioClock,
    /// By the real clock.
    began: (Duration, SystemTime),
    speed: u32,
}

impl Clock for FastClock {
    fn now(&self) -> Duration {
        self.real.now() * self.speed
    }

    fn time_of_day(&self) -> SystemTime {
        let (began, time_of_day) = self.began;
        time_of_day + self.real.now().saturating_sub(began) * self.speed
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.real.sleep(duration / self.speed)
    }
}
