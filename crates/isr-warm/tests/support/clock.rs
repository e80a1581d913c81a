//! A clock on which nobody has to wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isr_core::Clock;
use parking_lot::Mutex;

/// Time stands still, except that whoever sleeps finds that it has passed. The sleeps are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct SkippingClock {
    slept: Arc<Mutex<Vec<Duration>>>,
}

impl SkippingClock {
    /// Every sleep so far.
    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().clone()
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Duration {
        self.slept().iter().sum()
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let slept = Arc::clone(&self.slept);
        Box::pin(async move { slept.lock().push(duration) })
    }
}
