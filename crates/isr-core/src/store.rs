//! The seam to what remembers: the tag graph, the revalidations made, and who still has to hear of them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    Epoch, Generation, JobStore, Marks, Mode, PageUrl, Partition, Position, RateBudget, Receipt,
    RevalidationId, Secret, Tag, TagSet, Target, Timestamp, VariantKey, Verdict,
};

/// A failure of the store as whatever library noticed it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do what was asked. Nothing of the call has been applied, unless the variant
/// or the method says otherwise. A call about a list may have been applied to some of it, each item
/// whole or not at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store did not answer, or the connection broke. What was asked may or may not have been
    /// done, which every call tolerates: all of them may be repeated.
    #[error("the {store} store cannot be reached")]
    Unavailable {
        /// Which store, as the configuration names it.
        store: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The store has no room for what was asked.
    #[error("the {store} store is full: free space where it is kept")]
    Full {
        /// Which store, as the configuration names it.
        store: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The data were written by a newer release, with a layout that this one does not know.
    #[error(
        "the {store} store has layout {found}, and this program knows up to {known}: \
         run the release that wrote it, or point at another store"
    )]
    NewerLayout {
        /// Which store, as the configuration names it.
        store: String,
        /// The layout found.
        found: u32,
        /// The newest layout this program knows.
        known: u32,
    },
    /// The data are split into another number of partitions than configured.
    #[error(
        "the {store} store has {found} partitions, and {configured} are configured: \
         configure {found}, or point at another store"
    )]
    OtherPartitions {
        /// Which store, as the configuration names it.
        store: String,
        /// The number it was made with.
        found: u16,
        /// The number configured.
        configured: u16,
    },
    /// The claim on a job ran out, and somebody else may have it now. What it did stands; its
    /// progress was not saved.
    #[error("the claim on job {job} has run out")]
    ClaimLost {
        /// The job's key.
        job: String,
    },
    /// The queue has as many jobs as it may hold.
    #[error("the queue is full with {limit} jobs: let it drain, or raise its limit")]
    QueueFull {
        /// The most jobs it may hold.
        limit: u64,
    },
    /// A revalidation is to happen later than a store keeps one waiting
    /// ([`RevalidateOptions::FARTHEST`](crate::RevalidateOptions::FARTHEST)).
    #[error(
        "{at} is too far ahead: by the store's clock, the last time that can be asked for is {last}"
    )]
    TooFarAhead {
        /// The time asked for.
        at: Timestamp,
        /// The last time that can be asked for now.
        last: Timestamp,
    },
    /// The store holds something that it should not, or refused a well-formed request.
    #[error("the {store} store gave an answer that makes no sense")]
    Corrupt {
        /// Which store, as the configuration names it.
        store: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Full { .. } | Self::QueueFull { .. }
        )
    }
}

/// A page's tags, as one response showed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The page.
    pub url: PageUrl,
    /// Which of its variants was rendered.
    pub variant: VariantKey,
    /// What the response was made from.
    pub tags: TagSet,
    /// Taken before the response's data was read.
    pub generation: Generation,
    /// How long any tier may keep the response: fresh, and stale after that.
    pub lifetime: Duration,
}

/// What became of a [`Bind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindOutcome {
    /// Nothing the response was made from has been revalidated since: it may be kept.
    Bound {
        /// The page's generation now, for the next render to start from.
        current: Generation,
    },
    /// Something it was made from has been revalidated since. It must leave as `no-store`; the page
    /// has been queued again.
    Superseded {
        /// The page's generation now, for the next render to start from.
        current: Generation,
        /// The severest revalidation that superseded it.
        mode: Mode,
    },
}

impl BindOutcome {
    /// The page's generation at the time of the bind.
    #[must_use]
    pub const fn current(&self) -> Generation {
        match self {
            Self::Bound { current } | Self::Superseded { current, .. } => *current,
        }
    }

    /// Whether the response may be kept by any tier.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        matches!(self, Self::Bound { .. })
    }
}

/// Where the walk over a target's pages goes on. Opaque, and good for the store that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// Some of a target's pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlChunk {
    /// Pages, in no order; a page may come again in a later chunk.
    pub urls: Vec<PageUrl>,
    /// Where the next chunk starts; `None` after the last.
    pub next: Option<Cursor>,
}

/// What the graph knows of one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageTags {
    /// Every tag that some copy still kept was made from.
    pub tags: Vec<BoundTag>,
    /// The highest generation under which the page was bound in the store's present history; number 0
    /// when it was bound only under those of others.
    pub generation: Generation,
}

/// A tag of a page, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoundTag {
    /// The tag.
    pub tag: Tag,
    /// How much longer a copy that shows the tag's data may be kept somewhere.
    pub expires_in: Duration,
}

/// A revalidation as those who send responses hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which revalidation.
    pub id: RevalidationId,
    /// The partition in which it counts.
    pub partition: Partition,
    /// Its number there: a response of a smaller number that a target concerns is superseded.
    pub number: u64,
    /// What it is aimed at.
    pub targets: Vec<Target>,
    /// How it treats copies.
    pub mode: Mode,
}

/// The revalidations since some position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What was made, in order within each partition.
    pub heard: Vec<Heard>,
    /// How far the list goes.
    pub position: Position,
    /// Whether there is more to ask for at once.
    pub more: bool,
    /// Whether the store no longer remembers all of it, or its history is not the one asked about:
    /// anything older than `position` counts as superseded.
    pub gap: bool,
}

/// The newest revalidations of everything that could be aimed at a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The page's generation now.
    pub current: Generation,
    /// The targets that have been revalidated, as far as they are told apart.
    pub targets: Vec<(Target, Marks)>,
    /// Of the targets that are not told apart any more.
    pub floor: Marks,
}

impl Standing {
    /// What becomes of a response of this generation that shows what was asked about. One of another
    /// epoch, or of a number that was never given out, has seen nothing.
    #[must_use]
    pub fn verdict(&self, generation: Generation) -> Verdict {
        if !self.current.covers(generation) {
            return Verdict::Expired;
        }
        let mut marks = self.floor;
        for (_, of_target) in &self.targets {
            marks.merge(*of_target);
        }
        marks.verdict(generation.number)
    }
}

/// One process, or one part of it, that sends responses which some tier may keep.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SenderId(pub String);

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a sender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderRole {
    /// An instance of the built-in edge cache.
    Edge,
    /// An application with the layer, or one that binds over HTTP.
    Application,
}

/// What a sender says of itself, again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderReport {
    /// Who.
    pub id: SenderId,
    /// What it is.
    pub role: SenderRole,
    /// Where warm-up requests for it go, as `http://host:port`; only edges have one.
    pub address: Option<String>,
    /// The newest position it has learnt of, and acts on.
    pub known: Position,
    /// The position up to which it is clean: everything that concerned what it had in flight has
    /// ended and is queued to be purged again.
    pub clean: Position,
    /// How long after this report it counts as dead.
    pub lease: Duration,
}

/// A sender as the store sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderState {
    /// Its last report.
    pub report: SenderReport,
    /// Whether its lease still runs. What a dead sender had in flight is unknown for ever.
    pub alive: bool,
    /// When its lease ends or has ended, by the store's clock.
    pub lease_ends: Timestamp,
}

/// The size and state of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GraphStatistics {
    /// Pages bound to something.
    pub pages: u64,
    /// Tags some page is bound to.
    pub tags: u64,
    /// Pairs of a page and a tag.
    pub edges: u64,
    /// Bytes the store uses in all, where it can tell.
    pub bytes: Option<u64>,
    /// The number of every partition's newest revalidation.
    pub generations: Vec<u64>,
    /// Tags with the most pages, largest first, at most 20.
    pub largest_tags: Vec<(Tag, u64)>,
}

/// How a store's present history came to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The history.
    pub epoch: Epoch,
    /// Whether there was another before it, of which something that was acknowledged may be missing.
    /// Otherwise the store was made: for the first time, or again with everything gone, which nobody can
    /// tell apart.
    pub lost: bool,
}

/// What a garbage collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Pairs of a page and a tag whose copies' lifetimes have ended.
    pub edges: u64,
    /// Pages left without tags.
    pub pages: u64,
    /// Receipts older than they are kept.
    pub receipts: u64,
    /// How many of those were of revalidations that had been given up on, and never replayed.
    pub given_up: u64,
    /// Whether there is more to collect.
    pub more: bool,
}

/// The index between pages and the tags of the data they show, and the history of revalidations.
///
/// Every method may be called again after an error or a lost answer, and none of them needs the
/// caller's clock. Dropping a returned future leaves the call done or not done, never half done; a list
/// may be done in part, each item whole.
///
/// A bind adds pairs of a page and a tag, or lets them live longer; it removes none. A pair ends when
/// the lifetime of the last copy that was bound with it has ended. So a tag that a newer render no
/// longer has stays for as long as the older copy may be kept anywhere.
#[async_trait]
pub trait TagGraph: fmt::Debug + Send + Sync + 'static {
    /// The newest generation of every partition.
    async fn position(&self) -> Result<Position, StoreError>;

    /// What the store's clock shows. Receipts and schedules go by it, and by no host's.
    async fn time(&self) -> Result<Timestamp, StoreError>;

    /// Binds pages to tags and says which responses may be kept, in the order given.
    ///
    /// A response is superseded when one of its tags, its URL, an ancestor of its path, its host or
    /// everything was revalidated after its generation, when its generation is older than the
    /// store remembers, or of another epoch. The page is then queued again in the same step. Its tags
    /// are bound either way. Each bind is one atomic step; the list as a whole is not.
    ///
    /// # Errors
    ///
    /// Some of the list may have been bound, and superseded pages queued, when an error comes. Which is
    /// not known, so no response of the list may be kept; all of it may be bound again.
    async fn bind(&self, binds: &[Bind]) -> Result<Vec<BindOutcome>, StoreError>;

    /// A secret that everybody who can use this store knows, and nobody else: 64 hexadecimal digits.
    /// What the processes of a site sign for one another, they sign with it. It is another one when the
    /// store was made anew.
    async fn secret(&self) -> Result<Secret, StoreError>;

    /// Forgets pages, and says how many it knew. Copies that are still kept elsewhere can then no
    /// longer be found by their tags.
    ///
    /// # Errors
    ///
    /// Some of the pages may have been forgotten already when an error comes.
    async fn unbind(&self, urls: &[PageUrl]) -> Result<u64, StoreError>;

    /// Some of the pages that a target is aimed at, about `limit` of them.
    ///
    /// A page that is bound throughout the walk is in at least one chunk. A URL target is answered
    /// with that URL even when the graph does not know it.
    async fn urls_for(
        &self,
        target: &Target,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<UrlChunk, StoreError>;

    /// What a page is bound to; `None` when the graph does not know it.
    async fn tags_for(&self, url: &PageUrl) -> Result<Option<PageTags>, StoreError>;

    /// Moves the generation of every target of `receipt` and queues its job, in one atomic step in
    /// each partition, and answers with the receipt as it is stored: `position` and `made` filled in.
    ///
    /// One whose [`RevalidateOptions::at`](crate::RevalidateOptions::at) is still to come, by the store's
    /// clock, is stored with the phase [`Phase::Scheduled`](crate::Phase::Scheduled) and without a
    /// position, and nothing moves before [`JobStore::claim_revalidations`] finds it due.
    ///
    /// A receipt whose id is known already is answered as it stands, and nothing moves.
    ///
    /// # Errors
    ///
    /// [`StoreError::QueueFull`] when the queue has no room, in which those that are scheduled count, and
    /// [`StoreError::TooFarAhead`]; no generation has moved then.
    async fn invalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError>;

    /// How the present history came to begin, until somebody says that he has dealt with it.
    async fn beginning(&self) -> Result<Option<Beginning>, StoreError>;

    /// Says that the beginning of this history has been dealt with. That of another one is not touched.
    async fn dealt_with(&self, beginning: Epoch) -> Result<(), StoreError>;

    /// The revalidations after `after`, about `limit` of them.
    async fn news_since(&self, after: &Position, limit: usize) -> Result<News, StoreError>;

    /// What has been revalidated of a page, if it is bound to `tags`. This is what binds are judged by.
    async fn standing(&self, page: &PageUrl, tags: &[Tag]) -> Result<Standing, StoreError>;

    /// Some of the revalidations that count in a page's partition, the newest first: at most `limit`, and
    /// at least one where any is remembered. `before` is the number of the last one that was heard of.
    async fn history(
        &self,
        page: &PageUrl,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError>;

    /// Notes what a sender says of itself; makes it known when it is new.
    async fn report(&self, report: &SenderReport) -> Result<(), StoreError>;

    /// Every sender that has reported, dead ones too until they are dismissed. Those that have been dead
    /// for an hour may be gone by themselves once no revalidation is queued.
    async fn senders(&self) -> Result<Vec<SenderState>, StoreError>;

    /// Forgets a sender: it has left in good order, or what it left behind has been dealt with.
    async fn dismiss(&self, sender: &SenderId) -> Result<(), StoreError>;

    /// How large the graph is, with the `largest` tags with the most pages, at most 20. To find those may
    /// mean a look at every pair; with 0 it means none.
    async fn statistics(&self, largest: usize) -> Result<GraphStatistics, StoreError>;

    /// Removes some of what has ended, about `limit` pairs looked at.
    async fn collect_garbage(&self, limit: usize) -> Result<Collected, StoreError>;
}

/// A tag graph, the job store that shares its atomic steps, and what its workers share of rate limits.
pub trait Store: TagGraph + JobStore + RateBudget {}

impl<T: TagGraph + JobStore + RateBudget> Store for T {}
