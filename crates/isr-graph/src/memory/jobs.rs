//! The queue of revalidations and pages, and the receipts.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use isr_core::{
    Claim, Claimed, DeadLetter, JobKey, Leave, LeavePage, PageReason, PageUrl, PageWork, Position,
    QueueDepth, Receipt, RevalidationId, StoreError, WorkerId,
};

use super::queue::Queue;
use crate::RECEIPTS_KEPT;

#[derive(Clone, Debug)]
struct Kept {
    receipt: Receipt,
    /// Its place among all that were made.
    sequence: u64,
    /// When nobody was going to work on it any more.
    finished: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct Jobs {
    limit: usize,
    /// By the receipt's id; the receipt itself is in `receipts`.
    revalidations: Queue<RevalidationId>,
    receipts: HashMap<RevalidationId, Kept>,
    /// The receipts in the order in which they were made; their names say nothing about that.
    made: BTreeMap<u64, RevalidationId>,
    sequence: u64,
    pages: Queue<PageWork>,
}

impl Jobs {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            revalidations: Queue::default(),
            receipts: HashMap::new(),
            made: BTreeMap::new(),
            sequence: 0,
            pages: Queue::default(),
        }
    }

    pub(super) fn require_room(&self) -> Result<(), StoreError> {
        self.require(self.revalidations.len() + 1)
    }

    pub(super) fn require_page_room(&self, pages: usize) -> Result<(), StoreError> {
        self.require(self.pages.len() + pages)
    }

    fn require(&self, jobs: usize) -> Result<(), StoreError> {
        if jobs > self.limit {
            Err(StoreError::QueueFull {
                limit: self.limit as u64,
            })
        } else {
            Ok(())
        }
    }

    pub(super) fn queue_revalidation(&mut self, receipt: Receipt, now: Duration) -> Receipt {
        self.revalidations
            .push(&receipt.id.to_string(), receipt.id, now, now, |_, new| new);
        self.sequence += 1;
        self.made.insert(self.sequence, receipt.id);
        self.receipts.insert(
            receipt.id,
            Kept {
                receipt: receipt.clone(),
                sequence: self.sequence,
                finished: None,
            },
        );
        receipt
    }

    pub(super) fn claim_revalidations(
        &mut self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
        now: Duration,
    ) -> Vec<Claimed<Receipt>> {
        let claimed = self.revalidations.claim(worker, limit, lease, now);
        let with_receipt = |claimed: Claimed<RevalidationId>| {
            let kept = self
                .receipts
                .get(&claimed.work)
                .expect("a receipt outlives its job");
            Claimed {
                work: kept.receipt.clone(),
                attempt: claimed.attempt,
                claim: claimed.claim,
            }
        };
        claimed.into_iter().map(with_receipt).collect()
    }

    pub(super) fn save(
        &mut self,
        claim: &Claim,
        receipt: &Receipt,
        until: Duration,
    ) -> Result<(), StoreError> {
        let held = self.revalidations.renew(&claim.job, claim.token, until);
        self.keep(held, claim, receipt, None)
    }

    pub(super) fn leave(
        &mut self,
        claim: &Claim,
        receipt: &Receipt,
        how: &Leave,
        now: Duration,
    ) -> Result<(), StoreError> {
        let (job, token) = (claim.job.as_str(), claim.token);
        let (held, finished) = match how {
            Leave::Done => (self.revalidations.finish(job, token), Some(now)),
            Leave::Later { delay, failed } => (
                self.revalidations
                    .put_off(job, token, now + *delay, *failed),
                None,
            ),
            Leave::Dead => (
                self.revalidations.bury(
                    job,
                    token,
                    receipt.error.as_deref().unwrap_or_default(),
                    |_, new| new,
                ),
                None,
            ),
        };
        self.keep(held, claim, receipt, finished)
    }

    fn keep(
        &mut self,
        held: bool,
        claim: &Claim,
        receipt: &Receipt,
        finished: Option<Duration>,
    ) -> Result<(), StoreError> {
        if !held {
            return Err(StoreError::ClaimLost {
                job: claim.job.clone(),
            });
        }
        if let Some(kept) = self.receipts.get_mut(&receipt.id) {
            (kept.receipt, kept.finished) = (receipt.clone(), finished);
        }
        Ok(())
    }

    pub(super) fn queue_page(&mut self, work: PageWork, due: Duration, now: Duration) {
        let key = work.url.as_str().to_owned();
        self.pages.push(&key, work, due, now, PageWork::merge);
    }

    pub(super) fn claim_pages(
        &mut self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
        now: Duration,
    ) -> Vec<Claimed<PageWork>> {
        self.pages.claim(worker, limit, lease, now)
    }

    pub(super) fn renew_page(&mut self, claim: &Claim, until: Duration) {
        self.pages.renew(&claim.job, claim.token, until);
    }

    pub(super) fn leave_page(&mut self, claim: &Claim, how: &LeavePage, now: Duration) {
        let (job, token) = (claim.job.as_str(), claim.token);
        match how {
            LeavePage::Done => self.pages.finish(job, token),
            LeavePage::Later { delay } => self.pages.put_off(job, token, now + *delay, true),
            LeavePage::Dead { error } => self.pages.bury(job, token, error, PageWork::merge),
        };
    }

    pub(super) fn pages_outstanding(&self, position: &Position) -> u64 {
        let covered = |work: &&PageWork| {
            work.reason == PageReason::InFlight
                && position.generation_of(&work.url).covers(work.oldest)
        };
        self.pages.works().filter(covered).count() as u64
    }

    pub(super) fn hand_back(&mut self, worker: &WorkerId, now: Duration) {
        self.revalidations.hand_back(worker, now);
        self.pages.hand_back(worker, now);
    }

    pub(super) fn receipt(&self, id: &RevalidationId) -> Option<Receipt> {
        self.receipts.get(id).map(|kept| kept.receipt.clone())
    }

    pub(super) fn receipts(&self, limit: usize) -> Vec<Receipt> {
        let newest = self.made.values().rev().take(limit);
        newest.filter_map(|id| self.receipt(id)).collect()
    }

    pub(super) fn collect_receipts(&mut self, now: Duration) -> u64 {
        let before = self.receipts.len();
        self.receipts.retain(|_, kept| {
            let is_kept = kept.finished.is_none_or(|at| at + RECEIPTS_KEPT > now);
            if !is_kept {
                self.made.remove(&kept.sequence);
            }
            is_kept
        });
        (before - self.receipts.len()) as u64
    }

    pub(super) fn dead_letters(&self, limit: usize) -> Vec<DeadLetter> {
        let letter = |job: JobKey, attempts: u32, error: &str| DeadLetter {
            job,
            attempts,
            error: error.to_owned(),
        };
        let revalidations = self
            .revalidations
            .dead()
            .filter_map(|(key, attempts, error)| {
                Some(letter(
                    JobKey::Revalidation(key.parse().ok()?),
                    attempts,
                    error,
                ))
            });
        let pages = self.pages.dead().filter_map(|(key, attempts, error)| {
            Some(letter(
                JobKey::Page(PageUrl::from_stored(key).ok()?),
                attempts,
                error,
            ))
        });
        revalidations.chain(pages).take(limit).collect()
    }

    pub(super) fn replay(&mut self, job: &JobKey, now: Duration) -> bool {
        match job {
            JobKey::Revalidation(id) => self.revalidations.replay(&id.to_string(), now),
            JobKey::Page(url) => self.pages.replay(url.as_str(), now),
        }
    }

    pub(super) fn depth(&self, now: Duration) -> QueueDepth {
        let dead = self.revalidations.dead().count() + self.pages.dead().count();
        QueueDepth {
            revalidations: self.revalidations.len() as u64,
            pages: self.pages.len() as u64,
            dead: dead as u64,
            oldest_due: self
                .revalidations
                .oldest_due(now)
                .max(self.pages.oldest_due(now)),
        }
    }
}
