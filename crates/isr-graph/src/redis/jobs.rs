//! The queue.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::ToRedisArgs;
use isr_core::{
    Claim, Claimed, Cursor, DeadLetterChunk, JobKey, JobStore, Leave, LeavePage, PageJob, PageUrl,
    PageWork, Partition, Position, QueueDepth, Receipt, ReceiptChunk, ReceiptFilter,
    RevalidationId, StoreError, WorkerId,
};

use super::link::Lane;
use super::receipts::{list_receipts, one_receipt};
use super::revalidate::write_receipt;
use super::scripts::{
    CLAIM, DEPTH, HAND_BACK, LEAVE_PAGES, QUEUE_PAGES, RENEW_PAGES, REPLAY, SAVE,
};
use super::work::{read_work, write_work};
use super::{HOME, RedisStore, milliseconds, read_url};
use crate::GIVEN_UP_KEPT;

/// The most pages or other jobs in one call.
pub(super) const JOBS_A_CALL: usize = 128;
/// How the scripts name the kinds of jobs.
pub(super) const PAGES: &str = "p";
pub(super) const REVALIDATIONS: &str = "r";

/// Key, work, attempt, token, and of a revalidation its numbers and when it was made.
type Taken = (String, String, u32, u64, String, u64);
/// Revalidations, pages, dead jobs, milliseconds that the oldest has been due, outstanding pages, scheduled
/// revalidations, held ones.
type Depths = (u64, u64, u64, i64, u64, u64, u64);

impl RedisStore {
    /// Whether scheduled revalidations are due, and the jobs that were taken.
    async fn claim(
        &self,
        partition: Partition,
        kind: &str,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<(bool, Vec<Taken>), StoreError> {
        self.run(Lane::Bulk, partition, &CLAIM, |_, command| {
            command
                .arg(kind)
                .arg(&worker.0)
                .arg(limit.min(JOBS_A_CALL))
                .arg(milliseconds(lease));
        })
        .await
    }

    /// Saves a receipt under a claim. `how` is what becomes of the claim, after `delay`.
    async fn save_as(
        &self,
        claim: &Claim,
        receipt: &Receipt,
        how: &str,
        delay: Duration,
    ) -> Result<(), StoreError> {
        let text = write_receipt(receipt)?;
        let reason = receipt.error.as_deref().unwrap_or_default();
        let held: bool = self
            .run(Lane::Bulk, HOME, &SAVE, |_, command| {
                command.arg(&claim.job).arg(claim.token).arg(&text).arg(how);
                command
                    .arg(milliseconds(delay))
                    .arg(reason)
                    .arg(self.options.keep_receipts.as_secs())
                    .arg(self.options.keep_receipts.max(GIVEN_UP_KEPT).as_secs());
            })
            .await?;
        if held {
            Ok(())
        } else {
            Err(StoreError::ClaimLost {
                job: claim.job.clone(),
            })
        }
    }

    /// Those of `items` whose page is in a partition, in pieces for one call each.
    fn by_partition<'a, I>(
        &self,
        items: &'a [I],
        url_of: impl Fn(&I) -> Result<PageUrl, StoreError>,
    ) -> Result<Vec<(Partition, Vec<&'a I>)>, StoreError> {
        let mut sorted: Vec<Vec<&I>> = vec![Vec::new(); usize::from(self.options.partitions)];
        for item in items {
            sorted[self.partition_of(&url_of(item)?).index()].push(item);
        }
        let pieces = |(partition, here): (Partition, Vec<&'a I>)| {
            here.chunks(JOBS_A_CALL)
                .map(|some| (partition, some.to_vec()))
                .collect::<Vec<_>>()
        };
        Ok(self.partitions().zip(sorted).flat_map(pieces).collect())
    }

    async fn depths(&self, counted: impl Fn(Partition) -> i64) -> Result<Vec<Depths>, StoreError> {
        let (_, depths) = self
            .run_everywhere(&DEPTH, |partition, _, command| {
                command.arg(counted(partition));
            })
            .await?;
        Ok(depths)
    }

    async fn replay_in(
        &self,
        partition: Partition,
        kind: &str,
        keys: impl ToRedisArgs,
    ) -> Result<u64, StoreError> {
        self.run(Lane::Bulk, partition, &REPLAY, |_, command| {
            command.arg(kind).arg(&keys);
        })
        .await
    }
}

/// How the scripts name what becomes of a claim, and the reason where there is one.
fn leave_page(how: &LeavePage) -> (&'static str, u64, &str) {
    match how {
        LeavePage::Done => ("done", 0, ""),
        LeavePage::Later { delay } => ("failed", milliseconds(*delay), ""),
        LeavePage::Dead { error } => ("dead", 0, error),
    }
}

#[async_trait]
impl JobStore for RedisStore {
    async fn claim_revalidations(
        &self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed<Receipt>>, StoreError> {
        let (are_due, mut taken) = self
            .claim(HOME, REVALIDATIONS, worker, limit, lease)
            .await?;
        if are_due {
            // What has been taken is not held for nothing: the next call tries again.
            match self.begin_due().await {
                Err(error) if taken.is_empty() => return Err(error),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "scheduled revalidations cannot begin yet");
                }
                Ok(()) => {}
            }
            let left = limit - taken.len();
            let (_, begun) = self.claim(HOME, REVALIDATIONS, worker, left, lease).await?;
            taken.extend(begun);
        }
        let mut claimed = Vec::new();
        for (job, text, attempt, token, numbers, made) in taken {
            claimed.push(Claimed {
                work: self.known((text, numbers, made)).await?,
                attempt,
                claim: Claim { job, token },
            });
        }
        Ok(claimed)
    }

    async fn cancel(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        self.call_off(id).await
    }

    async fn release(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        self.let_go(id).await
    }

    async fn save(
        &self,
        claim: &Claim,
        receipt: &Receipt,
        lease: Duration,
    ) -> Result<(), StoreError> {
        self.save_as(claim, receipt, "renew", lease).await
    }

    async fn leave(&self, claim: &Claim, receipt: &Receipt, how: &Leave) -> Result<(), StoreError> {
        let (how, delay) = match how {
            Leave::Done => ("done", Duration::ZERO),
            Leave::Later {
                delay,
                failed: false,
            } => ("later", *delay),
            Leave::Later {
                delay,
                failed: true,
            } => ("failed", *delay),
            Leave::Dead => ("dead", Duration::ZERO),
            Leave::Held => ("held", Duration::ZERO),
        };
        self.save_as(claim, receipt, how, delay).await
    }

    async fn queue_pages(&self, pages: &[PageWork], delay: Duration) -> Result<(), StoreError> {
        let mut left = pages.len();
        for (partition, some) in self.by_partition(pages, |work| Ok(work.url.clone()))? {
            let queued: bool = self
                .run(Lane::Fast, partition, &QUEUE_PAGES, |_, command| {
                    command
                        .arg(milliseconds(delay))
                        .arg(self.options.queue)
                        .arg(left);
                    for work in &some {
                        command.arg(work.url.as_str()).arg(write_work(work));
                    }
                })
                .await?;
            if !queued {
                return Err(StoreError::QueueFull {
                    limit: self.options.queue as u64,
                });
            }
            left -= some.len();
        }
        Ok(())
    }

    async fn claim_pages(
        &self,
        worker: &WorkerId,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed<PageWork>>, StoreError> {
        let partitions = self.options.partitions;
        let first = self.claiming.fetch_add(1, Ordering::Relaxed);
        let mut claimed = Vec::new();
        for step in 0..partitions {
            let partition = Partition(first.wrapping_add(step) % partitions);
            let wanted = limit - claimed.len();
            if wanted == 0 {
                break;
            }
            let (_, taken) = self.claim(partition, PAGES, worker, wanted, lease).await?;
            for (job, text, attempt, token, ..) in taken {
                let work = read_work(read_url(&job)?, &text)?;
                claimed.push(Claimed {
                    work,
                    attempt,
                    claim: Claim { job, token },
                });
            }
        }
        Ok(claimed)
    }

    async fn renew_pages(&self, claims: &[Claim], lease: Duration) -> Result<(), StoreError> {
        for (partition, some) in self.by_partition(claims, |claim| read_url(&claim.job))? {
            let () = self
                .run(Lane::Fast, partition, &RENEW_PAGES, |_, command| {
                    command.arg(milliseconds(lease));
                    for claim in &some {
                        command.arg(&claim.job).arg(claim.token);
                    }
                })
                .await?;
        }
        Ok(())
    }

    async fn leave_pages(&self, pages: &[(Claim, LeavePage)]) -> Result<(), StoreError> {
        for (partition, some) in self.by_partition(pages, |(claim, _)| read_url(&claim.job))? {
            let () = self
                .run(Lane::Fast, partition, &LEAVE_PAGES, |_, command| {
                    for (claim, how) in &some {
                        let (how, delay, reason) = leave_page(how);
                        command
                            .arg(&claim.job)
                            .arg(claim.token)
                            .arg(how)
                            .arg(delay)
                            .arg(reason);
                    }
                })
                .await?;
        }
        Ok(())
    }

    async fn pages_outstanding(&self, position: &Position) -> Result<u64, StoreError> {
        // Of another epoch, or another number of partitions, nothing can be told apart: all count.
        let here = self.identity().await?.epoch == position.epoch
            && position.partitions() == self.options.partitions;
        let counted = |partition| {
            if here {
                i64::try_from(position.number(partition)).unwrap_or(i64::MAX)
            } else {
                -1
            }
        };
        Ok(self
            .depths(counted)
            .await?
            .iter()
            .map(|depths| depths.4)
            .sum())
    }

    async fn hand_back(&self, worker: &WorkerId) -> Result<(), StoreError> {
        for partition in self.partitions() {
            loop {
                let count: u64 = self
                    .run(Lane::Bulk, partition, &HAND_BACK, |_, command| {
                        command.arg(&worker.0);
                    })
                    .await?;
                if count == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn receipt(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        one_receipt(self, id).await
    }

    async fn receipts(
        &self,
        wanted: &ReceiptFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ReceiptChunk, StoreError> {
        list_receipts(self, wanted, after, limit).await
    }

    async fn dead_letters(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<DeadLetterChunk, StoreError> {
        self.list_dead(after, limit).await
    }

    async fn page_job(&self, page: &PageUrl) -> Result<Option<PageJob>, StoreError> {
        self.job_of(page).await
    }

    async fn replay(&self, jobs: &[JobKey]) -> Result<u64, StoreError> {
        let mut revalidations = Vec::new();
        let mut pages = Vec::new();
        for job in jobs {
            match job {
                JobKey::Revalidation(id) => revalidations.push(id.to_string()),
                JobKey::Page(url) => pages.push(url.clone()),
            }
        }
        let mut replayed = 0;
        for some in revalidations.chunks(JOBS_A_CALL) {
            replayed += self.replay_in(HOME, REVALIDATIONS, some).await?;
        }
        for (partition, some) in self.by_partition(&pages, |url| Ok(url.clone()))? {
            let keys: Vec<&str> = some.iter().map(|url| url.as_str()).collect();
            replayed += self.replay_in(partition, PAGES, keys).await?;
        }
        Ok(replayed)
    }

    async fn queued(&self) {
        self.waking.told().await;
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        let mut total = QueueDepth::default();
        for (revalidations, pages, dead, oldest, _, scheduled, held) in self.depths(|_| 0).await? {
            total.revalidations += revalidations;
            total.scheduled += scheduled;
            total.held += held;
            total.pages += pages;
            total.dead += dead;
            let oldest = u64::try_from(oldest).ok().map(Duration::from_millis);
            total.oldest_due = total.oldest_due.max(oldest);
        }
        Ok(total)
    }
}
