//! Says once that the store fails at something, and once that it works again.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something that every request may ask of the store is failing. Failures are counted by
/// whoever records them; the log hears of the first in a row, and of the end.
#[derive(Debug)]
pub(crate) struct Outage {
    what: &'static str,
    failing: AtomicBool,
}

impl Outage {
    /// Nothing has failed yet. `what` is what is done, as in "binding pages".
    pub(crate) const fn of(what: &'static str) -> Self {
        Self {
            what,
            failing: AtomicBool::new(false),
        }
    }

    /// It failed.
    pub(crate) fn failed(&self, error: &(dyn Error + 'static)) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(error, "{} fails, and may for a while", self.what);
        }
    }

    /// It worked.
    pub(crate) fn worked(&self) {
        // Nearly every call finds all well, and need not disturb other threads for that.
        if self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("{} works again", self.what);
        }
    }
}
