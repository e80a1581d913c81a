//! The seam to time. Decisions use time that only ever moves forward, and that tests can hold still.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// Where time comes from.
///
/// No decision about what is current rests on the time of day. It appears only where a protocol wants
/// it: in the `Date` field, and in the expiry of a warm-up token.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Time passed since some fixed moment of this process.
    fn now(&self) -> Duration;

    /// The time of day.
    fn time_of_day(&self) -> SystemTime;

    /// Waits. Dropping the future ends the wait.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
