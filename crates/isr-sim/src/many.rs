//! Runs many seeds, on every processor there is.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::fault::Counts;
use crate::rule::Rule;
use crate::scenario::Scenario;

/// What came of many runs.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Seeds run.
    pub seeds: u64,
    /// Steps taken.
    pub steps: u64,
    /// Faults injected.
    pub faults: Counts,
    /// The lowest seed that showed something wrong.
    pub failed: Option<u64>,
}

/// Runs seeds until one fails; those before it have all been run then.
#[must_use]
pub fn run_many(seeds: Range<u64>, without: Option<Rule>) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || tally.lock().failed.is_some() {
                return;
            }
            let outcome = Scenario::of(seed, without).run();
            let mut tally = tally.lock();
            tally.seeds += 1;
            tally.steps += outcome.steps;
            tally.faults.add(&outcome.faults);
            if outcome.violation.is_some() {
                tally.failed = Some(tally.failed.map_or(seed, |known| known.min(seed)));
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    tally.into_inner()
}
