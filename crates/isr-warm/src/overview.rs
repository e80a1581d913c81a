//! What all origins together are asked for, as an operator sees it.

use std::sync::Arc;

use isr_core::{Event, Recorder};
use parking_lot::Mutex;

/// Sums up the origins, and has the sums recorded whenever they change.
#[derive(Debug)]
pub(crate) struct Overview {
    recorder: Arc<dyn Recorder>,
    sums: Mutex<Standing>,
}

/// How an origin stands, or several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests that may run at once.
    pub(crate) at_once: u64,
    /// Origins whose breaker is open.
    pub(crate) out_of_order: u64,
}

impl Overview {
    pub(crate) fn new(recorder: Arc<dyn Recorder>) -> Self {
        Self {
            recorder,
            sums: Mutex::default(),
        }
    }

    /// An origin that stood like `before` stands like `after` now.
    pub(crate) fn changed(&self, before: Standing, after: Standing) {
        if before == after {
            return;
        }
        // Recorded under the lock, so that the last that is recorded is the last that was so.
        let mut sums = self.sums.lock();
        *sums = Standing {
            at_once: sums.at_once + after.at_once - before.at_once,
            out_of_order: sums.out_of_order + after.out_of_order - before.out_of_order,
        };
        self.recorder.record(&Event::WarmOrigins {
            at_once: sums.at_once,
            out_of_order: sums.out_of_order,
        });
    }
}
