//! How a worker behaves.

use std::time::Duration;

use isr_core::WorkerId;

use crate::Thresholds;

/// How a worker behaves.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Its name, unique among all workers of the store.
    pub id: WorkerId,
    /// Revalidations worked on at once; at least 1. Most of the time they wait, for tiers and for one
    /// another, so that they share calls. Default: 256.
    pub concurrency: usize,
    /// How long a claim lasts when its worker falls silent. Default: 30 s.
    pub lease: Duration,
    /// How often the queue is looked at when nobody says that there is something in it. Default: 250 ms.
    pub idle_poll: Duration,
    /// How long a purge call is kept open for other revalidations to join, where another was made a moment ago;
    /// the first after a while is kept open for 20 ms at the most. Default: 100 ms.
    pub coalesce: Duration,
    /// Purges single pages once more after this delay, for tiers that re-cache among themselves. What a
    /// revalidation purges, its own options say. Default: none.
    pub second_purge: Option<Duration>,
    /// Above how many pages a revalidation is held, or softened. Default: neither.
    pub thresholds: Thresholds,
    /// Attempts at one purge call before its revalidations are put off. Default: 3.
    pub call_attempts: u32,
    /// Pages resolved at a time. Default: 500.
    pub chunk: usize,
    /// Pages warmed between two looks at the queue's claim. Default: 100.
    pub warm_chunk: usize,
    /// Attempts at the same step of a revalidation, or at a page, before it is given up on. Default: 12.
    pub attempts: u32,
    /// The longest first delay after a failed attempt; it doubles with each. Default: 1 s.
    pub first_delay: Duration,
    /// The longest delay of all. Default: 5 min.
    pub longest_delay: Duration,
}

impl WorkerOptions {
    /// The defaults, for a worker of this name.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: WorkerId(id.into()),
            concurrency: 256,
            lease: Duration::from_secs(30),
            idle_poll: Duration::from_millis(250),
            coalesce: Duration::from_millis(100),
            second_purge: None,
            thresholds: Thresholds::default(),
            call_attempts: 3,
            chunk: 500,
            warm_chunk: 100,
            attempts: 12,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_mins(5),
        }
    }
}
