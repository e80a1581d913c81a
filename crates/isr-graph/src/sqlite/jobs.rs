//! The store as a job store.

use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Claim, Claimed, Cursor, DeadLetterChunk, Generation, JobKey, JobStore, Leave, LeavePage,
    PageJob, PageJobState, PageUrl, PageWork, Partition, Position, QueueDepth, Receipt,
    ReceiptChunk, ReceiptFilter, RevalidationId, StoreError, WorkerId,
};

use super::claims::Taken;
use super::failure::Failure;
use super::job_row::{self, Kind};
use super::readers::Read;
use super::receipts::Ended;
use super::state::micros;
use super::writer::Write;
use super::{SqliteStore, claims, dead_letters, held, queue, receipts, schedule};

#[async_trait]
impl JobStore for SqliteStore {
    async fn claim_revalidations(
        &self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed<Receipt>>, StoreError> {
        let claimed = self.claim(Kind::Revalidation, worker, limit, lease, |write, taken| {
            let id: RevalidationId = taken.claim.job.parse()?;
            let receipt = receipts::find(write.connection, &id)?;
            receipt.ok_or_else(|| Failure::unreadable(format!("job {id} has no receipt")))
        });
        claimed.await
    }

    async fn cancel(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        let id = *id;
        self.write(move |write| schedule::cancel(write, &id)).await
    }

    async fn release(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        let id = *id;
        self.write(move |write| held::release(write, &id)).await
    }

    async fn save(
        &self,
        claim: &Claim,
        receipt: &Receipt,
        lease: Duration,
    ) -> Result<(), StoreError> {
        let (claim, receipt) = (claim.clone(), receipt.clone());
        self.write(move |write| {
            let until = write.now + micros(lease);
            let held = claims::renew(write, Kind::Revalidation, &claim, until)?;
            require_held(held, &claim)?;
            receipts::update(write, &receipt, Ended::Not)
        })
        .await
    }

    async fn leave(&self, claim: &Claim, receipt: &Receipt, how: &Leave) -> Result<(), StoreError> {
        let (claim, receipt, how) = (claim.clone(), receipt.clone(), how.clone());
        self.write(move |write| {
            let held = leave(write, &claim, &receipt, &how)?;
            require_held(held, &claim)?;
            let ended = match how {
                Leave::Done => Ended::Finished,
                Leave::Dead => Ended::GivenUp,
                Leave::Later { .. } | Leave::Held => Ended::Not,
            };
            receipts::update(write, &receipt, ended)
        })
        .await
    }

    async fn queue_pages(&self, pages: &[PageWork], delay: Duration) -> Result<(), StoreError> {
        let pages = pages.to_vec();
        self.write(move |write| {
            queue::require_room(write, Kind::Page, pages.len())?;
            let due = write.now + micros(delay);
            for page in &pages {
                queue::push(
                    write,
                    Kind::Page,
                    page.url.as_str(),
                    Some(page.clone()),
                    due,
                )?;
            }
            Ok(())
        })
        .await
    }

    async fn claim_pages(
        &self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed<PageWork>>, StoreError> {
        let claimed = self.claim(Kind::Page, worker, limit, lease, |_, taken| {
            let job = &taken.claim.job;
            let work = taken.work.clone();
            work.ok_or_else(|| Failure::unreadable(format!("the job for {job} has no work")))
        });
        claimed.await
    }

    async fn renew_pages(&self, claims: &[Claim], lease: Duration) -> Result<(), StoreError> {
        let claims = claims.to_vec();
        self.write(move |write| {
            let until = write.now + micros(lease);
            claims.iter().try_for_each(|claim| {
                claims::renew(write, Kind::Page, claim, until)?;
                Ok(())
            })
        })
        .await
    }

    async fn leave_pages(&self, pages: &[(Claim, LeavePage)]) -> Result<(), StoreError> {
        let pages = pages.to_vec();
        self.write(move |write| {
            pages
                .iter()
                .try_for_each(|(claim, how)| leave_page(write, claim, how))
        })
        .await
    }

    async fn pages_outstanding(&self, position: &Position) -> Result<u64, StoreError> {
        let generation = Generation {
            epoch: position.epoch,
            number: position.number(Partition(0)),
        };
        self.read(move |read| queue::outstanding(read.connection, generation))
            .await
    }

    async fn hand_back(&self, worker: &WorkerId) -> Result<(), StoreError> {
        let worker = worker.clone();
        self.write(move |write| claims::hand_back(write, &worker))
            .await
    }

    async fn receipt(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        let id = *id;
        self.read(move |read| receipts::find(read.connection, &id))
            .await
    }

    async fn receipts(
        &self,
        wanted: &ReceiptFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ReceiptChunk, StoreError> {
        let (wanted, after) = (wanted.clone(), after.cloned());
        self.read(move |read| receipts::list(read.connection, &wanted, after.as_ref(), limit))
            .await
    }

    async fn dead_letters(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<DeadLetterChunk, StoreError> {
        let after = after.cloned();
        self.read(move |read| dead_letters::list(read.connection, after.as_ref(), limit))
            .await
    }

    async fn page_job(&self, page: &PageUrl) -> Result<Option<PageJob>, StoreError> {
        let page = page.clone();
        self.read(move |read| page_job(read, &page)).await
    }

    async fn replay(&self, jobs: &[JobKey]) -> Result<u64, StoreError> {
        let jobs = jobs.to_vec();
        self.write(move |write| {
            jobs.iter().try_fold(0, |replayed, job| {
                Ok(replayed + u64::from(replay(write, job)?))
            })
        })
        .await
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        self.read(depth).await
    }
}

impl SqliteStore {
    /// Workers ask again and again; as long as nothing is due, that takes no lock.
    async fn claim<W: Send + 'static>(
        &self,
        kind: Kind,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
        work: impl Fn(&Write<'_>, &Taken) -> Result<W, Failure> + Send + 'static,
    ) -> Result<Vec<Claimed<W>>, StoreError> {
        if !self.read(move |read| is_anything_due(read, kind)).await? {
            return Ok(Vec::new());
        }
        let worker = worker.clone();
        self.write(move |write| {
            if kind == Kind::Revalidation {
                schedule::begin_due(write)?;
            }
            let taken = claims::claim(write, kind, &worker, limit, lease)?;
            let claimed = taken.into_iter().map(|taken| {
                Ok(Claimed {
                    work: work(write, &taken)?,
                    attempt: taken.attempt,
                    claim: taken.claim,
                })
            });
            claimed.collect()
        })
        .await
    }
}

/// Whether a claim would find or begin anything.
fn is_anything_due(read: &Read<'_>, kind: Kind) -> Result<bool, Failure> {
    let begins = kind == Kind::Revalidation && schedule::is_anything_due(read)?;
    Ok(begins || queue::is_anything_due(read, kind)?)
}

fn require_held(held: bool, claim: &Claim) -> Result<(), Failure> {
    if held {
        Ok(())
    } else {
        Err(StoreError::ClaimLost {
            job: claim.job.clone(),
        }
        .into())
    }
}

fn leave(
    write: &mut Write<'_>,
    claim: &Claim,
    receipt: &Receipt,
    how: &Leave,
) -> Result<bool, Failure> {
    match how {
        Leave::Done => claims::finish(write, Kind::Revalidation, claim),
        Leave::Held => {
            let mine = claims::finish(write, Kind::Revalidation, claim)?;
            if mine {
                held::add(write, &receipt.id)?;
            }
            Ok(mine)
        }
        Leave::Later { delay, failed } => {
            let due = write.now + micros(*delay);
            claims::put_off(write, Kind::Revalidation, claim, due, *failed)
        }
        Leave::Dead => claims::bury(
            write,
            Kind::Revalidation,
            claim,
            receipt.error.as_deref().unwrap_or_default(),
        ),
    }
}

/// A claim that was lost is passed over: its page is somebody else's now.
fn leave_page(write: &mut Write<'_>, claim: &Claim, how: &LeavePage) -> Result<(), Failure> {
    match how {
        LeavePage::Done => claims::finish(write, Kind::Page, claim)?,
        LeavePage::Later { delay } => {
            let due = write.now + micros(*delay);
            claims::put_off(write, Kind::Page, claim, due, true)?
        }
        LeavePage::Dead { error } => claims::bury(write, Kind::Page, claim, error)?,
    };
    Ok(())
}

fn replay(write: &mut Write<'_>, job: &JobKey) -> Result<bool, Failure> {
    match job {
        JobKey::Revalidation(id) => {
            let replayed = queue::replay(write, Kind::Revalidation, &id.to_string())?;
            if replayed {
                receipts::not_given_up(write, id)?;
            }
            Ok(replayed)
        }
        JobKey::Page(url) => queue::replay(write, Kind::Page, url.as_str()),
    }
}

fn page_job(read: &Read<'_>, page: &PageUrl) -> Result<Option<PageJob>, Failure> {
    let Some((_, entry)) = job_row::load(read.connection, Kind::Page, page.as_str())? else {
        return Ok(None);
    };
    let left = entry.at.map_or(0, |at| at - read.now);
    let left = Duration::from_micros(u64::try_from(left).unwrap_or_default());
    let state = match (entry.error, entry.held) {
        (Some(error), _) => PageJobState::Dead { error },
        (None, Some(_)) => PageJobState::Claimed { lease: left },
        (None, None) => PageJobState::Waiting { due_in: left },
    };
    let no_work = || Failure::unreadable(format!("the job for {page} has no work"));
    Ok(Some(PageJob {
        work: entry.work.ok_or_else(no_work)?,
        state,
        attempts: entry.attempt,
        again: entry.again.is_some(),
    }))
}

fn depth(read: &Read<'_>) -> Result<QueueDepth, Failure> {
    let state = &read.state;
    Ok(QueueDepth {
        revalidations: state.revalidations.cast_unsigned(),
        scheduled: state.scheduled.cast_unsigned(),
        held: state.held.cast_unsigned(),
        pages: state.page_jobs.cast_unsigned(),
        dead: state.dead.cast_unsigned(),
        oldest_due: queue::oldest_due(read)?,
    })
}
