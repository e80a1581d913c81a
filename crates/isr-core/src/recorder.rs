//! The seam to the metrics: what happens is said once, here, by its name.

use std::fmt;
use std::time::Duration;

use crate::{QueueDepth, Source, WarmFailure};

/// How a request to the built-in edge was answered. The words are those of RFC 9211 §2.2 where it
/// has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheOutcome {
    /// From a fresh stored response.
    Hit,
    /// From a stale stored response, while it is revalidated or since the origin failed.
    Stale,
    /// From another request's response.
    Collapsed,
    /// From the origin: nothing was stored for the URL, or not for the variant.
    Miss,
    /// From the origin: what was stored had been revalidated or had become too old.
    Expired,
    /// From the origin: the request or the page takes no part in caching.
    Bypass,
    /// From nowhere: the origin failed and nothing could stand in.
    Error,
}

impl CacheOutcome {
    /// Every outcome, for whoever declares a metric by it.
    pub const ALL: [Self; 7] = [
        Self::Hit,
        Self::Stale,
        Self::Collapsed,
        Self::Miss,
        Self::Expired,
        Self::Bypass,
        Self::Error,
    ];

    /// The word for it, as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Collapsed => "collapsed",
            Self::Miss => "miss",
            Self::Expired => "expired",
            Self::Bypass => "bypass",
            Self::Error => "error",
        }
    }
}

/// Which milestone of a revalidation was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Milestone {
    /// Every tier has taken the purge on.
    Purged,
    /// Every tier that can say so has carried it out.
    Confirmed,
    /// The pages have been warmed, as far as they could be.
    Warmed,
    /// Every page that was warmed was seen to be no older than the revalidation, and none failed.
    Verified,
    /// Nothing older can appear any more.
    Settled,
}

impl Milestone {
    /// Every milestone, for whoever declares a metric by it.
    pub const ALL: [Self; 5] = [
        Self::Purged,
        Self::Confirmed,
        Self::Warmed,
        Self::Verified,
        Self::Settled,
    ];

    /// The word for it, as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Purged => "purged",
            Self::Confirmed => "confirmed",
            Self::Warmed => "warmed",
            Self::Verified => "verified",
            Self::Settled => "settled",
        }
    }
}

/// Something that happened and that an operator may want counted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The built-in edge answered a request.
    Answered {
        /// How.
        outcome: CacheOutcome,
        /// From the request's head to the response's head.
        took: Duration,
    },
    /// The origin was asked for something.
    OriginAsked {
        /// The status it answered with; `None` when it did not.
        status: Option<u16>,
        /// From the request's head to the response's head.
        took: Duration,
    },
    /// The origin was not asked, as it has as much to do as is allowed.
    OriginAtCapacity {
        /// Whether nobody waits for the answer.
        background: bool,
    },
    /// A body passed through without being stored, as too much was on its way into the store.
    CrowdedOut,
    /// The edge's memory store changed.
    EdgeStored {
        /// Responses it holds.
        responses: u64,
        /// Their weight in bytes.
        bytes: u64,
    },
    /// A response was bound.
    Bound,
    /// A response was superseded while it was rendered, and left as `no-store`.
    Superseded,
    /// A response could not be bound, and left with a short shared lifetime.
    BindFailed,
    /// A revalidation was accepted.
    Revalidated {
        /// Who asked.
        source: Source,
    },
    /// A revalidation reached a milestone.
    Reached {
        /// Which.
        milestone: Milestone,
        /// Since the store accepted the revalidation, or since the time it was asked for; by the store's
        /// clock, whoever worked on it meanwhile.
        after: Duration,
    },
    /// A revalidation was given up on.
    RevalidationFailed,
    /// A tier was called.
    PurgeCalled {
        /// The connector's name.
        connector: &'a str,
        /// Whether it took the call on.
        ok: bool,
        /// Items in the call.
        items: u64,
    },
    /// A page was warmed.
    Warmed {
        /// From the first byte sent to the last byte received.
        took: Duration,
    },
    /// What the crawler asks of origins has changed.
    WarmOrigins {
        /// Requests that all of them together may get at once.
        at_once: u64,
        /// Origins that do not serve, and are left alone but for a probe now and then.
        out_of_order: u64,
    },
    /// A page could not be warmed.
    WarmFailed {
        /// Why.
        reason: WarmFailure,
    },
    /// A page was found gone or moved when it was to be warmed.
    WarmSkipped,
    /// The store was asked for something, and answered or failed.
    StoreAsked {
        /// The kind of call, as a metric label.
        call: &'static str,
        /// From the call to its end.
        took: Duration,
    },
    /// The store failed to do what was asked.
    StoreFailed {
        /// The operation's name, as a metric label.
        operation: &'static str,
    },
    /// The queue was looked at.
    Queue {
        /// What was seen.
        depth: QueueDepth,
    },
    /// The graph was looked at.
    Graph {
        /// Pages bound to something.
        pages: u64,
        /// Tags some page is bound to.
        tags: u64,
        /// Pairs of a page and a tag.
        edges: u64,
        /// Bytes the store uses in all, where it can tell.
        bytes: Option<u64>,
    },
    /// The rate limits of a tier were looked at.
    RateBudget {
        /// The connector's name.
        connector: &'a str,
        /// How much of the emptiest of its buckets is left: 1 when it is full, 0 when the next call has to
        /// wait.
        left: f64,
    },
    /// How long ago this process last knew itself up to date with the store.
    Behind {
        /// How long.
        by: Duration,
    },
}

/// Takes note of what happens. Called on hot paths: it must neither block nor fail.
pub trait Recorder: fmt::Debug + Send + Sync + 'static {
    /// Takes note of one event.
    fn record(&self, event: &Event<'_>);
}

/// Takes note of nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _: &Event<'_>) {}
}
