//! The durable queue: what remains to be done, and who is doing it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    Cursor, Generation, PageUrl, Position, Receipt, ReceiptFilter, RevalidationId, StoreError,
};

/// A worker's name, unique among all workers of a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a single page is to be purged and warmed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageReason {
    /// A response was superseded while it was rendered.
    Superseded,
    /// A response that a revalidation concerned was on its way while the purge ran.
    InFlight,
}

/// A single page to be purged and warmed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageWork {
    /// The page.
    pub url: PageUrl,
    /// The least generation that a new render must have.
    pub generation: Generation,
    /// The earliest revalidation that waits for this; the same as `generation`, unless several do.
    pub oldest: Generation,
    /// Why. Once a page is queued for having been in flight it stays so until that is done.
    pub reason: PageReason,
}

impl PageWork {
    /// Work that one revalidation waits for.
    #[must_use]
    pub fn new(url: PageUrl, generation: Generation, reason: PageReason) -> Self {
        Self {
            url,
            generation,
            oldest: generation,
            reason,
        }
    }

    /// What remains to be done when `later` is queued while this waits: the higher generation, for
    /// everybody who waits. After a change of epoch no revalidation waits for the older generation any
    /// more; what was in flight is to be purged all the same.
    #[must_use]
    pub fn merge(&self, later: Self) -> Self {
        let reason = match self.reason {
            PageReason::InFlight => PageReason::InFlight,
            PageReason::Superseded => later.reason,
        };
        if self.generation.epoch != later.generation.epoch {
            return Self { reason, ..later };
        }
        let generation = if self.generation.covers(later.generation) {
            self.generation
        } else {
            later.generation
        };
        let oldest = if later.oldest.covers(self.oldest) {
            self.oldest
        } else {
            later.oldest
        };
        Self {
            url: later.url,
            generation,
            oldest,
            reason,
        }
    }
}

/// A job that a worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed<W> {
    /// What to do.
    pub work: W,
    /// How often it has been claimed and neither finished nor put off on purpose, this time included.
    pub attempt: u32,
    /// Proof of the claim.
    pub claim: Claim,
}

/// The right to work on a job until the lease ends. Opaque, and good for the store that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The job.
    pub job: String,
    /// Which claim on the job this is; a later one voids it.
    pub token: u64,
}

/// How a worker leaves a revalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing is left to do.
    Done,
    /// To be gone on with after a delay; `failed` counts it as a failed attempt.
    Later {
        /// How long nobody is to touch it.
        delay: Duration,
        /// Whether the attempt failed.
        failed: bool,
    },
    /// Given up on, until somebody replays it.
    Dead,
    /// Not to be touched by anybody before it is released ([`JobStore::release`]) or called off.
    Held,
}

/// How a worker leaves a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeavePage {
    /// Done, unless the page was queued again meanwhile.
    Done,
    /// To be tried again after a delay.
    Later {
        /// How long nobody is to touch it.
        delay: Duration,
    },
    /// Given up on, until somebody replays it.
    Dead {
        /// Why, for whoever reads the list of dead letters.
        error: String,
    },
}

/// Which job a dead letter is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKey {
    /// A revalidation.
    Revalidation(RevalidationId),
    /// A page.
    Page(PageUrl),
}

/// A job that was given up on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The job.
    pub job: JobKey,
    /// How often it was tried.
    pub attempts: u32,
    /// What stood in the way the last time.
    pub error: String,
}

/// Some of the jobs that were given up on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterChunk {
    /// The jobs: first revalidations, then pages.
    pub letters: Vec<DeadLetter>,
    /// Where the next chunk starts; `None` after the last.
    pub next: Option<Cursor>,
}

/// Some of the receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptChunk {
    /// Those that were wanted among the ones looked at, newest first.
    pub receipts: Vec<Receipt>,
    /// Where the next chunk starts; `None` after the last.
    pub next: Option<Cursor>,
}

/// What is to be done for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageJob {
    /// What.
    pub work: PageWork,
    /// Who is at it.
    pub state: PageJobState,
    /// How often it has been claimed and not finished.
    pub attempts: u32,
    /// Whether more is to be done behind that.
    pub again: bool,
}

/// Who is at a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageJobState {
    /// Nobody, before so long has passed.
    Waiting {
        /// Until it is due; zero when it is.
        due_in: Duration,
    },
    /// A worker.
    Claimed {
        /// How much longer the claim lasts; zero when it has run out.
        lease: Duration,
    },
    /// Nobody, until it is replayed.
    Dead {
        /// Why.
        error: String,
    },
}

/// How much is waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueDepth {
    /// Revalidations not finished, claimed ones included.
    pub revalidations: u64,
    /// Revalidations whose time has not come.
    pub scheduled: u64,
    /// Revalidations that wait until somebody releases them.
    pub held: u64,
    /// Pages not finished, claimed ones included.
    pub pages: u64,
    /// Jobs given up on.
    pub dead: u64,
    /// How long the oldest job that is due has been waiting; one that is scheduled is due at its time.
    pub oldest_due: Option<Duration>,
}

/// Jobs that outlive the processes which work on them.
///
/// A claim lasts as long as its lease. When it ends with the job neither finished nor put off, the
/// next [`JobStore::claim_revalidations`] or [`JobStore::claim_pages`] by anybody takes the job over.
/// So every job may run twice.
///
/// Receipts of revalidations that wait, for their time or to be released, stay for as long as they wait.
/// Receipts of those that are done, or were called off, are kept for as long as the store was told
/// to, a day unless it was told otherwise, and after that until garbage is collected at the latest. Those of
/// revalidations that were given up on are kept for 30 days, or for that time where it is longer; with
/// the receipt goes the dead letter. Pages that were given up on are kept, one job a page, until they are
/// replayed or queued anew: what waits for them has not settled.
#[async_trait]
pub trait JobStore: fmt::Debug + Send + Sync + 'static {
    /// Takes up to `limit` revalidations that are due, the longest due first.
    ///
    /// Before that, and also with a `limit` of 0, it begins scheduled revalidations whose time has come,
    /// the earliest first and only some at a time: for each, the generations move and its job is queued in
    /// the same one atomic step as by [`TagGraph::invalidate`](crate::TagGraph::invalidate), and once
    /// however many ask. There is room for each in the queue, since it counted there before.
    async fn claim_revalidations(
        &self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed<Receipt>>, StoreError>;

    /// Calls a scheduled or held revalidation off, and answers with its receipt as it then stands:
    /// [`Phase::Cancelled`](crate::Phase::Cancelled), or whatever else it is at when it had begun before
    /// or was never scheduled or held. `None` when it is not known, or no longer. The generations of one that
    /// was held have moved, and stay so.
    async fn cancel(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError>;

    /// Queues a revalidation that is held ([`Leave::Held`]) again, to be claimed at once and with a clean
    /// slate, and answers with its receipt as it then stands: [`Receipt::released`], or as it was where it
    /// was not held. `None` when it is not known, or no longer. There is room for it in the queue, since
    /// it counted there while it was held.
    async fn release(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError>;

    /// Saves how far a revalidation has come and renews the claim.
    ///
    /// # Errors
    ///
    /// [`StoreError::ClaimLost`] when somebody else has taken the job over.
    async fn save(
        &self,
        claim: &Claim,
        receipt: &Receipt,
        lease: Duration,
    ) -> Result<(), StoreError>;

    /// Saves a revalidation for the last time under this claim and gives the claim up.
    ///
    /// # Errors
    ///
    /// [`StoreError::ClaimLost`] when somebody else has taken the job over.
    async fn leave(&self, claim: &Claim, receipt: &Receipt, how: &Leave) -> Result<(), StoreError>;

    /// Queues pages, each to be due after `delay`. Nothing is ever worked on before it is due: what is
    /// still on its way now must have arrived when the page is purged.
    ///
    /// Work for a page that waits already, and that nobody may claim before the new work is due, is
    /// merged into what waits ([`PageWork::merge`]). Otherwise, and while the page is being worked on,
    /// it takes the one place behind that, merged with what stands there, due at the latest of their
    /// times; it comes forward when the work before it is finished or given up on.
    async fn queue_pages(&self, pages: &[PageWork], delay: Duration) -> Result<(), StoreError>;

    /// Takes up to `limit` pages that are due, the longest due first.
    async fn claim_pages(
        &self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed<PageWork>>, StoreError>;

    /// Lets claims on pages last for `lease` from now. A claim that was lost is passed over: its page is
    /// somebody else's now.
    async fn renew_pages(&self, claims: &[Claim], lease: Duration) -> Result<(), StoreError>;

    /// Gives claims on pages up. A claim that was lost is passed over: its page is somebody else's now.
    async fn leave_pages(&self, pages: &[(Claim, LeavePage)]) -> Result<(), StoreError>;

    /// How much page work queued as in flight, whose [`PageWork::oldest`] generation `position` covers,
    /// is not finished. What was given up on counts: it has not been purged. Of a position in another
    /// history than the store's, or with another number of partitions, any page work may count: nobody
    /// can tell what it covers.
    async fn pages_outstanding(&self, position: &Position) -> Result<u64, StoreError>;

    /// Gives up every claim of a worker that stops in good order; the jobs are due at once.
    async fn hand_back(&self, worker: &WorkerId) -> Result<(), StoreError>;

    /// A revalidation's receipt as it stands; `None` when it is not known, or no longer.
    async fn receipt(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError>;

    /// Some of the receipts that are wanted, newest first, in the order in which they were accepted; at most
    /// `limit` of them. No more than some hundreds are looked at in one call, so there may be fewer, or none,
    /// and more to come. What is accepted during the walk is not in it.
    async fn receipts(
        &self,
        wanted: &ReceiptFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ReceiptChunk, StoreError>;

    /// Some of the jobs given up on, about `limit` of them. One that is dead throughout the walk is in
    /// exactly one chunk, whatever is replayed meanwhile.
    async fn dead_letters(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<DeadLetterChunk, StoreError>;

    /// What is to be done for a page; `None` when nothing is.
    async fn page_job(&self, page: &PageUrl) -> Result<Option<PageJob>, StoreError>;

    /// Queues jobs that were given up on again, at once and with a clean slate; says how many were.
    async fn replay(&self, jobs: &[JobKey]) -> Result<u64, StoreError>;

    /// Waits until somebody may have queued a job that is due, where the store hears of that; for ever where it
    /// does not, as by default. Nothing rests on it: whoever works looks for jobs now and then in any case.
    async fn queued(&self) {
        std::future::pending::<()>().await;
    }

    /// How much is waiting.
    async fn depth(&self) -> Result<QueueDepth, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Epoch;

    fn work(epoch: u64, number: u64, reason: PageReason) -> PageWork {
        let url = PageUrl::parse("https://a.example/").expect("it is a page URL");
        PageWork::new(
            url,
            Generation {
                epoch: Epoch::new(epoch),
                number,
            },
            reason,
        )
    }

    #[test]
    fn merged_work_serves_everybody_who_waits() {
        let merged = work(1, 5, PageReason::InFlight).merge(work(1, 7, PageReason::Superseded));
        assert_eq!((merged.oldest.number, merged.generation.number), (5, 7));
        assert_eq!(merged.reason, PageReason::InFlight);
        let merged = work(1, 7, PageReason::Superseded).merge(work(1, 5, PageReason::Superseded));
        assert_eq!((merged.oldest.number, merged.generation.number), (5, 7));
        assert_eq!(merged.reason, PageReason::Superseded);
    }

    #[test]
    fn what_was_in_flight_is_purged_even_after_a_change_of_epoch() {
        let merged = work(1, 5, PageReason::InFlight).merge(work(2, 1, PageReason::Superseded));
        assert_eq!(merged, work(2, 1, PageReason::InFlight));
    }
}
