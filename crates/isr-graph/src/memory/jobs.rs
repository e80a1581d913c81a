//! The queue of revalidations and pages, and the receipts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use isr_core::{
    Claim, Claimed, Cursor, DeadLetter, DeadLetterChunk, JobKey, Leave, LeavePage, PageJob,
    PageReason, PageUrl, PageWork, Phase, Position, QueueDepth, Receipt, ReceiptChunk,
    ReceiptFilter, RevalidationId, StoreError, Timestamp, WorkerId,
};

use super::queue::Queue;
use crate::GIVEN_UP_KEPT;
use crate::listing::{looked_at, wanted_of};

#[derive(Clone, Debug)]
struct Kept {
    receipt: Receipt,
    /// Its place among all that were made.
    sequence: u64,
    /// When nobody was going to work on it any more.
    finished: Option<Duration>,
    /// When it was given up on.
    given_up: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct Jobs {
    limit: usize,
    /// How long receipts of finished revalidations are kept.
    keep: Duration,
    /// By the receipt's id; the receipt itself is in `receipts`.
    revalidations: Queue<RevalidationId>,
    /// What is to begin, by its time.
    scheduled: BTreeSet<(Timestamp, RevalidationId)>,
    /// What waits until somebody releases it.
    held: HashSet<RevalidationId>,
    receipts: HashMap<RevalidationId, Kept>,
    /// The receipts in the order in which they were made; their names say nothing about that.
    made: BTreeMap<u64, RevalidationId>,
    sequence: u64,
    pages: Queue<PageWork>,
}

impl Jobs {
    pub(super) fn new(limit: usize, keep: Duration) -> Self {
        Self {
            limit,
            keep,
            revalidations: Queue::default(),
            scheduled: BTreeSet::new(),
            held: HashSet::new(),
            receipts: HashMap::new(),
            made: BTreeMap::new(),
            sequence: 0,
            pages: Queue::default(),
        }
    }

    pub(super) fn require_room(&self) -> Result<(), StoreError> {
        self.require(self.revalidations.len() + self.scheduled.len() + self.held.len() + 1)
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
        self.note(receipt)
    }

    /// Keeps a receipt in its place among those that were made.
    fn note(&mut self, receipt: Receipt) -> Receipt {
        let known = self.receipts.get(&receipt.id).map(|kept| kept.sequence);
        let sequence = known.unwrap_or_else(|| {
            self.sequence += 1;
            self.sequence
        });
        self.made.insert(sequence, receipt.id);
        let kept = Kept {
            receipt: receipt.clone(),
            sequence,
            finished: None,
            given_up: None,
        };
        self.receipts.insert(receipt.id, kept);
        receipt
    }

    pub(super) fn schedule(&mut self, receipt: Receipt, at: Timestamp) -> Receipt {
        self.scheduled.insert((at, receipt.id));
        let phase = Phase::Scheduled;
        self.note(Receipt { phase, ..receipt })
    }

    /// Those whose time has come, the earliest first; they are scheduled no more.
    pub(super) fn take_due(&mut self, limit: usize, time: Timestamp) -> Vec<Receipt> {
        let due = self.scheduled.iter().take_while(|(at, _)| *at <= time);
        let due: Vec<(Timestamp, RevalidationId)> = due.take(limit).copied().collect();
        let taken = due.iter().map(|entry| {
            self.scheduled.remove(entry);
            self.receipt(&entry.1)
                .expect("a receipt outlives what is scheduled")
        });
        taken.collect()
    }

    pub(super) fn cancel(&mut self, id: &RevalidationId, now: Duration) -> Option<Receipt> {
        let kept = self.receipts.get_mut(id)?;
        let entry = kept.receipt.options.at.map(|at| (at, *id));
        if entry.is_some_and(|entry| self.scheduled.remove(&entry)) || self.held.remove(id) {
            kept.receipt.phase = Phase::Cancelled;
            kept.finished = Some(now);
        }
        Some(kept.receipt.clone())
    }

    pub(super) fn release(&mut self, id: &RevalidationId, now: Duration) -> Option<Receipt> {
        let kept = self.receipts.get_mut(id)?;
        if self.held.remove(id) {
            kept.receipt = kept.receipt.clone().released();
            self.revalidations
                .push(&id.to_string(), *id, now, now, |_, new| new);
        }
        Some(kept.receipt.clone())
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
        self.keep(held, claim, receipt, None, None)
    }

    pub(super) fn leave(
        &mut self,
        claim: &Claim,
        receipt: &Receipt,
        how: &Leave,
        now: Duration,
    ) -> Result<(), StoreError> {
        let (job, token) = (claim.job.as_str(), claim.token);
        let finished = (*how == Leave::Done).then_some(now);
        let given_up = (*how == Leave::Dead).then_some(now);
        let held = match how {
            Leave::Done => self.revalidations.finish(job, token),
            Leave::Held => {
                let mine = self.revalidations.finish(job, token);
                if mine {
                    self.held.insert(receipt.id);
                }
                mine
            }
            Leave::Later { delay, failed } => {
                let due = now + *delay;
                self.revalidations.put_off(job, token, due, *failed)
            }
            Leave::Dead => {
                let error = receipt.error.as_deref().unwrap_or_default();
                self.revalidations.bury(job, token, error, |_, new| new)
            }
        };
        self.keep(held, claim, receipt, finished, given_up)
    }

    fn keep(
        &mut self,
        held: bool,
        claim: &Claim,
        receipt: &Receipt,
        finished: Option<Duration>,
        given_up: Option<Duration>,
    ) -> Result<(), StoreError> {
        if !held {
            return Err(StoreError::ClaimLost {
                job: claim.job.clone(),
            });
        }
        if let Some(kept) = self.receipts.get_mut(&receipt.id) {
            kept.receipt = receipt.clone();
            (kept.finished, kept.given_up) = (finished, given_up);
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
        self.look_at(id, Receipt::clone)
    }

    pub(super) fn look_at<R>(
        &self,
        id: &RevalidationId,
        look: impl FnOnce(&Receipt) -> R,
    ) -> Option<R> {
        self.receipts.get(id).map(|kept| look(&kept.receipt))
    }

    /// Notes where a revalidation counts by now.
    pub(super) fn place(&mut self, id: &RevalidationId, position: Position) -> Option<Receipt> {
        let kept = self.receipts.get_mut(id)?;
        kept.receipt.position = Some(position);
        Some(kept.receipt.clone())
    }

    pub(super) fn receipts(
        &self,
        wanted: &ReceiptFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> ReceiptChunk {
        let before = after.and_then(|cursor| cursor.0.parse().ok());
        let older = self.made.range(..before.unwrap_or(u64::MAX)).rev();
        let mut older = older.filter_map(|(place, id)| Some((*place, self.receipt(id)?)));
        let some: Vec<(u64, Receipt)> = older.by_ref().take(looked_at(wanted, limit)).collect();
        let last = some.last().map(|(place, _)| *place);
        let rest = last.filter(|_| older.next().is_some());
        let (receipts, next) = wanted_of(some, wanted, limit, rest);
        let next = next.map(|place| Cursor(place.to_string()));
        ReceiptChunk { receipts, next }
    }

    /// Removes what is kept no longer, and answers with how many receipts were removed, and how many of
    /// those had been given up on.
    pub(super) fn collect_receipts(&mut self, now: Duration) -> (u64, u64) {
        let (before, mut given_up) = (self.receipts.len(), 0);
        let (keep, keep_given_up) = (self.keep, GIVEN_UP_KEPT.max(self.keep));
        self.receipts.retain(|id, kept| {
            let is_forgotten = kept.given_up.is_some_and(|at| at + keep_given_up <= now);
            if is_forgotten {
                self.revalidations.forget(&id.to_string());
                given_up += 1;
            }
            let is_kept = !is_forgotten && kept.finished.is_none_or(|at| at + keep > now);
            if !is_kept {
                self.made.remove(&kept.sequence);
            }
            is_kept
        });
        ((before - self.receipts.len()) as u64, given_up)
    }

    pub(super) fn dead_letters(&self, after: Option<&Cursor>, limit: usize) -> DeadLetterChunk {
        let after = after.and_then(|cursor| cursor.0.split_once(' '));
        let (revalidation, page) = match after {
            Some(("r", key)) => (Some(key), ""),
            Some((_, key)) => (None, key),
            None => (Some(""), ""),
        };
        let letter = |job: JobKey, attempts: u32, error: &str| DeadLetter {
            job,
            attempts,
            error: error.to_owned(),
        };
        let revalidations = revalidation
            .into_iter()
            .flat_map(|key| self.revalidations.dead_after(key))
            .filter_map(|(key, attempts, error)| {
                let job = JobKey::Revalidation(key.parse().ok()?);
                Some((format!("r {key}"), letter(job, attempts, error)))
            });
        let pages = self
            .pages
            .dead_after(page)
            .filter_map(|(key, attempts, error)| {
                let job = JobKey::Page(PageUrl::from_stored(key).ok()?);
                Some((format!("p {key}"), letter(job, attempts, error)))
            });
        let mut all = revalidations.chain(pages);
        let some: Vec<(String, DeadLetter)> = all.by_ref().take(limit.max(1)).collect();
        let last = some.last().map(|(place, _)| Cursor(place.clone()));
        DeadLetterChunk {
            next: last.filter(|_| all.next().is_some()),
            letters: some.into_iter().map(|(_, letter)| letter).collect(),
        }
    }

    pub(super) fn page_job(&self, page: &PageUrl, now: Duration) -> Option<PageJob> {
        let (work, state, attempts, again) = self.pages.get(page.as_str(), now)?;
        Some(PageJob {
            work: work.clone(),
            state,
            attempts,
            again,
        })
    }

    pub(super) fn replay(&mut self, job: &JobKey, now: Duration) -> bool {
        match job {
            JobKey::Revalidation(id) => {
                let replayed = self.revalidations.replay(&id.to_string(), now);
                if let Some(kept) = self.receipts.get_mut(id).filter(|_| replayed) {
                    kept.given_up = None;
                }
                replayed
            }
            JobKey::Page(url) => self.pages.replay(url.as_str(), now),
        }
    }

    pub(super) fn depth(&self, now: Duration, time: Timestamp) -> QueueDepth {
        let next = self.scheduled.first().map(|(at, _)| *at);
        let overdue = next.filter(|at| *at <= time).map(|at| time.since(at));
        let dead = self.revalidations.dead() + self.pages.dead();
        QueueDepth {
            revalidations: self.revalidations.len() as u64,
            scheduled: self.scheduled.len() as u64,
            held: self.held.len() as u64,
            pages: self.pages.len() as u64,
            dead: dead as u64,
            oldest_due: self
                .revalidations
                .oldest_due(now)
                .max(self.pages.oldest_due(now))
                .max(overdue),
        }
    }
}
