//! What an answer tells about the origin, whatever it means for the page.

use std::time::Duration;

/// How the origin fared over one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It made a page, and that took so long.
    Served { took: Duration },
    /// It answered without having made one: gone, moved, not to be had.
    Answered,
    /// It failed over this page, which says little about the next.
    Failed,
    /// It did not serve, or asks for fewer requests.
    Refused,
}
