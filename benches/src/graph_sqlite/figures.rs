//! Figures, and how they are printed.

use std::ops::{Add, Sub};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::processor::processor_time;

/// Time that passed, and time in which a processor worked for this process. The latter says more on a
/// machine that does other things too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    wall: Duration,
    processor: Duration,
}

impl Spent {
    /// Since some moment, and since this process began.
    pub(super) fn so_far() -> Self {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Self {
            wall: START.elapsed(),
            processor: processor_time().unwrap_or_default(),
        }
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            wall: self.wall.saturating_sub(earlier.wall),
            processor: self.processor.saturating_sub(earlier.processor),
        }
    }
}

impl Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            wall: self.wall + other.wall,
            processor: self.processor + other.processor,
        }
    }
}

pub(super) fn rate(what: &str, pages: u64, spent: Spent) {
    let per_second = |time: Duration| u128::from(pages) * 1_000_000 / time.as_micros().max(1);
    let mut figure = format!("{} pages/s", per_second(spent.wall));
    if !spent.processor.is_zero() {
        let busy = per_second(spent.processor);
        figure = format!("{figure}, {busy} per second of processor time");
    }
    row(what, figure);
}

pub(super) fn row(what: &str, figure: impl std::fmt::Display) {
    println!("| {what} | {figure} |");
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
