//! The store as a tag graph.

use async_trait::async_trait;
use isr_core::{
    Beginning, Bind, BindOutcome, Collected, Cursor, Epoch, GraphStatistics, Heard, News,
    PageReason, PageTags, PageUrl, PageWork, Phase, Position, Receipt, Secret, SenderId,
    SenderReport, SenderState, Standing, StoreError, Tag, TagGraph, Target, Timestamp, UrlChunk,
    targets_at,
};

use crate::LARGEST_TAGS;

use super::failure::{Failure, unavailable};
use super::job_row::Kind;
use super::state::DEALT_WITH;
use super::writer::Write;
use super::{SqliteStore, collect, generations, pages, queue, receipts, schedule, secret, walk};

/// Pages that are one request: others get their turn after that many.
const PAGES_AT_A_TIME: usize = 64;

/// Pairs that garbage collection looks at in one request.
const PAIRS_AT_A_TIME: usize = 512;

#[async_trait]
impl TagGraph for SqliteStore {
    async fn position(&self) -> Result<Position, StoreError> {
        self.read(|read| Ok(read.state.position())).await
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        self.read(|read| Ok(schedule::timestamp(read.now))).await
    }

    async fn secret(&self) -> Result<Secret, StoreError> {
        let beside = self.secret.clone();
        let read = tokio::task::spawn_blocking(move || secret::read_or_make(&beside));
        read.await.map_err(unavailable)?
    }

    async fn bind(&self, binds: &[Bind]) -> Result<Vec<BindOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(binds.len());
        for some in binds.chunks(PAGES_AT_A_TIME) {
            let some = some.to_vec();
            let bound = self.write(move |write| some.iter().map(|one| bind(write, one)).collect());
            outcomes.extend::<Vec<_>>(bound.await?);
        }
        Ok(outcomes)
    }

    async fn unbind(&self, urls: &[PageUrl]) -> Result<u64, StoreError> {
        let mut known = 0;
        for some in urls.chunks(PAGES_AT_A_TIME) {
            let some = some.to_vec();
            let forgotten = self.write(move |write| {
                some.iter().try_fold(0, |known, url| {
                    Ok(known + u64::from(pages::forget(write, url.as_str())?))
                })
            });
            known += forgotten.await?;
        }
        Ok(known)
    }

    async fn urls_for(
        &self,
        target: &Target,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<UrlChunk, StoreError> {
        let (target, after) = (target.clone(), after.cloned());
        self.read(move |read| walk::urls_for(read, &target, after.as_ref(), limit.max(1)))
            .await
    }

    async fn tags_for(&self, url: &PageUrl) -> Result<Option<PageTags>, StoreError> {
        let url = url.clone();
        self.read(move |read| walk::tags_for(read, &url)).await
    }

    async fn invalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.write(move |write| invalidate(write, &receipt)).await
    }

    async fn beginning(&self) -> Result<Option<Beginning>, StoreError> {
        self.read(|read| Ok(read.state.beginning())).await
    }

    async fn dealt_with(&self, beginning: Epoch) -> Result<(), StoreError> {
        self.write(move |write| {
            if write.state.epoch() == beginning {
                write.state.beginning = DEALT_WITH;
            }
            Ok(())
        })
        .await
    }

    async fn news_since(&self, after: &Position, limit: usize) -> Result<News, StoreError> {
        let after = after.clone();
        self.read(move |read| generations::news_since(read, &after, limit.max(1)))
            .await
    }

    async fn standing(&self, page: &PageUrl, tags: &[Tag]) -> Result<Standing, StoreError> {
        let targets: Vec<Target> = targets_at(page, tags.iter()).collect();
        self.read(move |read| generations::standing(read, targets))
            .await
    }

    async fn history(
        &self,
        _: &PageUrl,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        self.read(move |read| generations::heard_before(read.connection, before, limit.max(1)))
            .await
    }

    async fn report(&self, report: &SenderReport) -> Result<(), StoreError> {
        let report = report.clone();
        self.write(move |write| receipts::report(write, &report))
            .await
    }

    async fn senders(&self) -> Result<Vec<SenderState>, StoreError> {
        self.read(receipts::senders).await
    }

    async fn dismiss(&self, sender: &SenderId) -> Result<(), StoreError> {
        let sender = sender.clone();
        self.write(move |write| receipts::dismiss(write, &sender))
            .await
    }

    async fn statistics(&self, largest: usize) -> Result<GraphStatistics, StoreError> {
        let largest = largest.min(LARGEST_TAGS);
        self.read(move |read| walk::statistics(read, largest)).await
    }

    async fn collect_garbage(&self, limit: usize) -> Result<Collected, StoreError> {
        let mut collected = self.write(receipts::collect).await?;
        let more_receipts = std::mem::replace(&mut collected.more, true);
        let mut left = limit.max(1);
        while left > 0 && collected.more {
            let pairs = left.min(PAIRS_AT_A_TIME);
            let part = self.write(move |write| collect::collect(write, pairs));
            let part = part.await?;
            left -= pairs;
            collected.edges += part.edges;
            collected.pages += part.pages;
            collected.more = part.more;
        }
        collected.more |= more_receipts;
        Ok(collected)
    }
}

fn bind(write: &mut Write<'_>, bind: &Bind) -> Result<BindOutcome, Failure> {
    pages::add_tags(write, bind)?;
    let current = write.state.current();
    let Some(mode) = generations::superseded_by(write, bind)? else {
        return Ok(BindOutcome::Bound { current });
    };
    let again = PageWork::new(bind.url.clone(), current, PageReason::Superseded);
    let due = write.now;
    queue::push(write, Kind::Page, bind.url.as_str(), Some(again), due)?;
    Ok(BindOutcome::Superseded { current, mode })
}

fn invalidate(write: &mut Write<'_>, receipt: &Receipt) -> Result<Receipt, Failure> {
    if let Some(known) = receipts::find(write.connection, &receipt.id)? {
        return Ok(known);
    }
    let time = schedule::timestamp(write.now);
    let wait = receipt.options.waits_until(time)?;
    queue::require_room(write, Kind::Revalidation, 1)?;
    let made = Some(time);
    let receipt = Receipt {
        made,
        ..receipt.clone()
    };
    if let Some(at) = wait {
        return schedule::add(write, receipt, at);
    }
    let receipt = begin(write, receipt)?;
    receipts::insert(write, &receipt)?;
    Ok(receipt)
}

/// Moves the generations of a revalidation's targets and queues its job.
pub(super) fn begin(write: &mut Write<'_>, receipt: Receipt) -> Result<Receipt, Failure> {
    let position = generations::advance(write, &receipt)?;
    let receipt = Receipt {
        position: Some(position),
        phase: Phase::Queued,
        ..receipt
    };
    let due = write.now;
    queue::push(
        write,
        Kind::Revalidation,
        &receipt.id.to_string(),
        None,
        due,
    )?;
    Ok(receipt)
}
