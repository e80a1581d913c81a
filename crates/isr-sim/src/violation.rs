//! What a run can show to be wrong.

use std::fmt;

/// Kinds of what can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A receipt says settled, and something older can still appear.
    Settled,
    /// A receipt says that a tier has carried it out, and it has not.
    Confirmed,
    /// In the end, a tier keeps a page older than the data.
    OldAtATier,
    /// In the end, a process serves a page older than the data from its own store.
    OldAtAnEdge,
    /// In the end, a receipt is not settled, or was never taken.
    NeverSettled,
    /// A scheduled revalidation has begun before its time, or when it had been called off.
    OutOfTime,
    /// In the end, a job is left.
    JobLeft,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What kind of thing.
    pub kind: Kind,
    text: String,
}

impl Violation {
    pub(crate) fn new(kind: Kind, text: String) -> Self {
        Self { kind, text }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
