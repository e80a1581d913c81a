//! What may be done to a store, over alphabets so small that operations meet.

use std::time::Duration;

use isr_core::{Mode, PageReason, Phase};

use super::Loss;

/// Pages by their URLs: two hosts, a path and what only begins like it, one path with two queries.
pub(super) const PAGES: [&str; 8] = [
    "https://a.example/",
    "https://a.example/a",
    "https://a.example/a/b",
    "https://a.example/a/b?page=1",
    "https://a.example/a/b?page=2",
    "https://a.example/ab",
    "https://b.example/",
    "https://b.example/a",
];

/// Tags by their texts.
pub(super) const TAGS: [&str; 5] = ["a", "b", "c", "posts", "post:1"];

/// Workers, and senders too.
pub(super) const PROCESSES: [&str; 3] = ["one", "two", "three"];

/// Rate limits, by the bucket.
pub(super) const BUCKETS: [&str; 2] = ["calls", "items"];

/// What is done to a store, and how much it has room for.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Whether the store remembers only a few revalidations, and tells only a few targets apart.
    pub(super) is_narrow: bool,
    pub(super) operations: Vec<Operation>,
}

/// One step of a case.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// Time passes.
    Pass(Duration),
    Bind(Vec<Rendered>),
    Unbind(Vec<&'static str>),
    Invalidate {
        name: Name,
        targets: Aim,
        mode: Mode,
        /// How long it is to wait.
        wait: Option<Duration>,
    },
    Cancel(Name),
    /// Releases what was claimed then, held or not.
    Release(Back),
    QueuePages {
        pages: Vec<Queued>,
        delay: Duration,
    },
    Claim {
        kind: Kind,
        worker: &'static str,
        limit: usize,
        lease: Duration,
    },
    /// Saves what a claim has come to.
    Save {
        claim: Back,
        looks: u32,
        lease: Duration,
    },
    Leave {
        claim: Back,
        how: Left,
    },
    RenewPages {
        claims: Vec<Back>,
        lease: Duration,
    },
    LeavePages(Vec<(Back, Left)>),
    HandBack(&'static str),
    ReplayRevalidations(Vec<Name>),
    ReplayPages(Vec<&'static str>),
    Report {
        sender: &'static str,
        clean: When,
        lease: Duration,
    },
    Dismiss(&'static str),
    Take {
        bucket: &'static str,
        tokens: u32,
        patience: Duration,
    },
    Pause {
        bucket: &'static str,
        pause: Duration,
    },
    /// Collects, so much at a time, until there is no more.
    Collect {
        limit: usize,
    },
    /// Has what is there now written down, so that it is not lost.
    Keep,
    /// The store begins another history.
    Lose(Loss),
    /// The beginning of the history, or of another one, has been dealt with.
    DealWith(When),
    Look(Look),
}

/// A question that changes nothing.
#[derive(Clone, Debug)]
pub(super) enum Look {
    Position,
    Beginning,
    Depth,
    Statistics,
    Senders,
    /// All of them, so many at a time.
    DeadLetters {
        limit: usize,
    },
    /// All that are wanted, so many at a time.
    Receipts {
        wanted: Wanted,
        limit: usize,
    },
    Receipt(Name),
    TagsFor(&'static str),
    /// All pages of a target, so many at a time.
    UrlsFor {
        target: Aim,
        limit: usize,
    },
    /// All that happened since, so much at a time.
    News {
        after: When,
        limit: usize,
    },
    Outstanding {
        at: When,
    },
    /// What would be judged by, were the page bound to all tags.
    Standing(&'static str),
    /// All of it, so much at a time.
    History {
        page: &'static str,
        limit: usize,
    },
    PageJob(&'static str),
}

/// Which receipts are wanted; times are those since the case began.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) phases: Vec<Phase>,
    pub(super) tag: Option<&'static str>,
    pub(super) since: Option<Duration>,
    pub(super) until: Option<Duration>,
}

/// A response to be bound.
#[derive(Clone, Debug)]
pub(super) struct Rendered {
    pub(super) page: &'static str,
    pub(super) variant: bool,
    pub(super) tags: Vec<&'static str>,
    pub(super) when: When,
    pub(super) lifetime: Duration,
}

/// A page to be queued.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) page: &'static str,
    pub(super) when: When,
    pub(super) reason: PageReason,
}

/// A generation or a position, as seen from the present one.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Now,
    Before(u64),
    After(u64),
    /// So many revalidations into a history that no store has.
    OtherEpoch(u64),
    /// The same as before the present history, where there was one, and so many fewer revalidations.
    LastEpoch(u64),
}

/// Which of a few revalidations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name(pub(super) u8);

/// What a revalidation or a walk is aimed at.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    Tags(Vec<&'static str>),
    Url(&'static str),
    Prefix(&'static str),
    Host(&'static str),
    Everything,
}

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Revalidations,
    Pages,
}

/// One of the claims made so far, counted back from the newest; most of the older ones are lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Back(pub(super) usize);

/// How a claim is given up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    Done,
    /// Of a page, every attempt that is put off has failed.
    Later {
        delay: Duration,
        failed: bool,
    },
    Dead,
    /// Of a page, the same as done: pages are never held.
    Held,
}

impl Operation {
    /// Whether several jobs may become due at one moment by this: which of them is claimed first is
    /// then the store's choice.
    pub(super) fn may_tie(&self) -> bool {
        match self {
            // Steps are a millisecond apart, which only such a time makes up for.
            Self::Pass(time) => time.subsec_millis() > 0,
            Self::Bind(several) => several.len() > 1,
            Self::QueuePages { pages, .. } => pages.len() > 1,
            Self::RenewPages { claims, .. } => claims.len() > 1,
            Self::LeavePages(claims) => claims.len() > 1,
            Self::ReplayPages(pages) => pages.len() > 1,
            Self::ReplayRevalidations(names) => names.len() > 1,
            Self::HandBack(_) => true,
            _ => false,
        }
    }
}
