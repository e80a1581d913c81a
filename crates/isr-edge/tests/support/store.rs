//! A store in memory that can go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use isr_core::{
    Beginning, Bind, BindOutcome, Clock, Collected, Cursor, Epoch, GraphStatistics, Heard, News,
    PageTags, PageUrl, Position, Receipt, Secret, SenderId, SenderReport, SenderState, Standing,
    StoreError, Tag, TagGraph, Target, Timestamp, UrlChunk,
};
use isr_graph::{MemoryOptions, MemoryStore};
use parking_lot::Mutex;

#[derive(Debug)]
pub(crate) struct FlakyStore {
    inner: MemoryStore,
    away: AtomicBool,
    full: AtomicBool,
    /// Every bind that was answered.
    pub(crate) binds: Mutex<Vec<(Bind, BindOutcome)>>,
}

impl FlakyStore {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let inner = MemoryStore::new(clock, MemoryOptions::default());
        Self {
            inner,
            away: AtomicBool::new(false),
            full: AtomicBool::new(false),
            binds: Mutex::default(),
        }
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Whether its queue takes no more.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    fn here(&self) -> Result<&MemoryStore, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable {
                store: "flaky".to_owned(),
                source: "switched off by the test".into(),
            });
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl TagGraph for FlakyStore {
    async fn position(&self) -> Result<Position, StoreError> {
        self.here()?.position().await
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        self.here()?.time().await
    }

    async fn secret(&self) -> Result<Secret, StoreError> {
        self.here()?.secret().await
    }

    async fn bind(&self, binds: &[Bind]) -> Result<Vec<BindOutcome>, StoreError> {
        let outcomes = self.here()?.bind(binds).await?;
        self.binds
            .lock()
            .extend(binds.iter().cloned().zip(outcomes.iter().copied()));
        Ok(outcomes)
    }

    async fn unbind(&self, urls: &[PageUrl]) -> Result<u64, StoreError> {
        self.here()?.unbind(urls).await
    }

    async fn urls_for(
        &self,
        target: &Target,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<UrlChunk, StoreError> {
        self.here()?.urls_for(target, after, limit).await
    }

    async fn tags_for(&self, url: &PageUrl) -> Result<Option<PageTags>, StoreError> {
        self.here()?.tags_for(url).await
    }

    async fn invalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::QueueFull { limit: 1 });
        }
        self.here()?.invalidate(receipt).await
    }

    async fn beginning(&self) -> Result<Option<Beginning>, StoreError> {
        self.here()?.beginning().await
    }

    async fn dealt_with(&self, beginning: Epoch) -> Result<(), StoreError> {
        self.here()?.dealt_with(beginning).await
    }

    async fn news_since(&self, after: &Position, limit: usize) -> Result<News, StoreError> {
        self.here()?.news_since(after, limit).await
    }

    async fn standing(&self, page: &PageUrl, tags: &[Tag]) -> Result<Standing, StoreError> {
        self.here()?.standing(page, tags).await
    }

    async fn history(
        &self,
        page: &PageUrl,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        self.here()?.history(page, before, limit).await
    }

    async fn report(&self, report: &SenderReport) -> Result<(), StoreError> {
        self.here()?.report(report).await
    }

    async fn senders(&self) -> Result<Vec<SenderState>, StoreError> {
        self.here()?.senders().await
    }

    async fn dismiss(&self, sender: &SenderId) -> Result<(), StoreError> {
        self.here()?.dismiss(sender).await
    }

    async fn statistics(&self, largest: usize) -> Result<GraphStatistics, StoreError> {
        self.here()?.statistics(largest).await
    }

    async fn collect_garbage(&self, limit: usize) -> Result<Collected, StoreError> {
        self.here()?.collect_garbage(limit).await
    }
}
