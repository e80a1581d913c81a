//! The clock of a running program.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use isr_core::Clock;
use tokio::time::Instant;

/// Time as the tokio runtime keeps it, which a test can pause.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: Instant,
}

impl TokioClock {
    /// A clock that starts at one second, so that zero can stand for "never".
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now() - Duration::from_secs(1),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
