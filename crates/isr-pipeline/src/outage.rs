//! Says once that something repeated fails, and once that it works again.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something that is done again and again is failing. Each failure is counted by whoever
/// records it; the log hears of the first, and of the end.
#[derive(Debug, Default)]
pub(crate) struct Outage(AtomicBool);

impl Outage {
    /// It failed.
    pub(crate) fn failed(&self, what: &str, error: &(dyn Error + 'static)) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(error, "{what} failed, and is tried again until it works");
        }
    }

    /// It worked.
    pub(crate) fn worked(&self, what: &str) {
        if self.0.swap(false, Ordering::Relaxed) {
            tracing::info!("{what} works again");
        }
    }
}
