//! How a call to a service can end badly.

/// How one call ends, instead of being answered by the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service answers with this status and does nothing.
    Status(u16),
    /// The service answers 429 with `Retry-After`, and does nothing.
    Throttled {
        /// The delay it names.
        seconds: u64,
    },
    /// The connection is closed before an answer, and the service has not seen the call.
    Reset,
    /// The service carries the call out, and the connection is closed in the middle of its answer.
    Truncated,
    /// Something else answers 200 with a page for people, and the service has not seen the call.
    Garbage,
    /// The service carries the call out, and its answer comes in pieces, over half a second: no failure, for
    /// whoever waits.
    Slow,
    /// No answer ever comes, and the service has not seen the call.
    Hang,
}
