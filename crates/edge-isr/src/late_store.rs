//! A store that is opened as soon as it lets itself be opened.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Beginning, Bind, BindOutcome, Claim, Claimed, Clock, Collected, Cursor, DeadLetterChunk, Epoch,
    GraphStatistics, Heard, JobKey, JobStore, Leave, LeavePage, News, PageJob, PageTags, PageUrl,
    PageWork, Position, QueueDepth, RateBudget, RateLimit, Receipt, ReceiptChunk, ReceiptFilter,
    RevalidationId, Secret, SenderId, SenderReport, SenderState, Standing, Store, StoreError, Tag,
    TagGraph, Taken, Target, Timestamp, UrlChunk, WorkerId,
};
use tokio::sync::{Mutex, OnceCell};

/// How long after a failed attempt the next one is made.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(500);

/// A store being opened.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Store>, StoreError>> + Send>>;

/// Opens a store.
pub(crate) type Opener = Box<dyn Fn() -> Opening + Send + Sync>;

/// A store that need not be there when the program starts. As long as it cannot be opened, every call
/// fails as a call to a store that went away does, and every now and then one tries to open it.
pub(crate) struct LateStore {
    name: &'static str,
    open: Opener,
    clock: Arc<dyn Clock>,
    store: OnceCell<Arc<dyn Store>>,
    /// Whoever holds it makes the next attempt, if that is due; holds when the last one failed.
    failed: Mutex<Option<Duration>>,
}

impl LateStore {
    pub(crate) fn new(name: &'static str, open: Opener, clock: Arc<dyn Clock>) -> Self {
        Self {
            name,
            open,
            clock,
            store: OnceCell::new(),
            failed: Mutex::new(None),
        }
    }

    /// The store, opened now if it was not and an attempt is due.
    pub(crate) async fn get(&self) -> Result<&Arc<dyn Store>, StoreError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let mut failed = self.failed.lock().await;
        let now = self.clock.now();
        if failed.is_some_and(|at| now < at + BETWEEN_ATTEMPTS) && !self.store.initialized() {
            return Err(self.not_open());
        }
        let opened = self.store.get_or_try_init(|| (self.open)()).await;
        *failed = opened.is_err().then_some(now);
        opened
    }

    fn not_open(&self) -> StoreError {
        let source = "it could not be opened a moment ago".into();
        StoreError::Unavailable {
            store: self.name.to_owned(),
            source,
        }
    }
}

impl fmt::Debug for LateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateStore")
            .field("name", &self.name)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Hands every call on to the store once it is open.
macro_rules! hand_on {
    ($seam:ident: $($call:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl $seam for LateStore {
            $(async fn $call(&self, $($argument: $kind),*) -> Result<$result, StoreError> {
                self.get().await?.$call($($argument),*).await
            })*
        }
    };
}

hand_on! { TagGraph:
    position() -> Position;
    time() -> Timestamp;
    secret() -> Secret;
    bind(binds: &[Bind]) -> Vec<BindOutcome>;
    unbind(urls: &[PageUrl]) -> u64;
    urls_for(target: &Target, after: Option<&Cursor>, limit: usize) -> UrlChunk;
    tags_for(url: &PageUrl) -> Option<PageTags>;
    invalidate(receipt: Receipt) -> Receipt;
    beginning() -> Option<Beginning>;
    dealt_with(beginning: Epoch) -> ();
    news_since(after: &Position, limit: usize) -> News;
    standing(page: &PageUrl, tags: &[Tag]) -> Standing;
    history(page: &PageUrl, before: Option<u64>, limit: usize) -> Vec<Heard>;
    report(report: &SenderReport) -> ();
    senders() -> Vec<SenderState>;
    dismiss(sender: &SenderId) -> ();
    statistics(largest: usize) -> GraphStatistics;
    collect_garbage(limit: usize) -> Collected;
}

hand_on! { JobStore:
    claim_revalidations(worker: &WorkerId, limit: usize, lease: Duration) -> Vec<Claimed<Receipt>>;
    cancel(id: &RevalidationId) -> Option<Receipt>;
    release(id: &RevalidationId) -> Option<Receipt>;
    save(claim: &Claim, receipt: &Receipt, lease: Duration) -> ();
    leave(claim: &Claim, receipt: &Receipt, how: &Leave) -> ();
    queue_pages(pages: &[PageWork], delay: Duration) -> ();
    claim_pages(worker: &WorkerId, limit: usize, lease: Duration) -> Vec<Claimed<PageWork>>;
    renew_pages(claims: &[Claim], lease: Duration) -> ();
    leave_pages(pages: &[(Claim, LeavePage)]) -> ();
    pages_outstanding(position: &Position) -> u64;
    hand_back(worker: &WorkerId) -> ();
    receipt(id: &RevalidationId) -> Option<Receipt>;
    receipts(wanted: &ReceiptFilter, after: Option<&Cursor>, limit: usize) -> ReceiptChunk;
    dead_letters(after: Option<&Cursor>, limit: usize) -> DeadLetterChunk;
    page_job(page: &PageUrl) -> Option<PageJob>;
    replay(jobs: &[JobKey]) -> u64;
    depth() -> QueueDepth;
}

hand_on! { RateBudget:
    take(limit: &RateLimit, tokens: u32, patience: Duration) -> Taken;
    pause(limit: &RateLimit, pause: Duration) -> ();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use isr_graph::{MemoryOptions, MemoryStore};
    use isr_testkit::HandClock;

    use super::*;

    /// A store that fails to open `failures` times, and how often that was tried.
    fn late(failures: u32) -> (LateStore, HandClock, Arc<AtomicU32>) {
        let (clock, tries) = (HandClock::new(), Arc::new(AtomicU32::new(0)));
        let (of_store, counted) = (clock.clone(), Arc::clone(&tries));
        let open: Opener = Box::new(move || {
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            let clock = Arc::new(of_store.clone());
            Box::pin(async move {
                if attempt < failures {
                    return Err(StoreError::Unavailable {
                        store: "model".into(),
                        source: "away".into(),
                    });
                }
                Ok(Arc::new(MemoryStore::new(clock, MemoryOptions::default())) as Arc<dyn Store>)
            })
        });
        (
            LateStore::new("model", open, Arc::new(clock.clone())),
            clock,
            tries,
        )
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_tried_again_after_a_while_and_then_kept() {
        let (store, clock, tries) = late(1);
        assert!(store.position().await.is_err());
        assert!(store.position().await.is_err());
        assert_eq!(tries.load(Ordering::SeqCst), 1, "not at every call");
        clock.advance(BETWEEN_ATTEMPTS);
        let position = store.position().await.unwrap();
        assert_eq!(store.position().await.unwrap(), position);
        assert_eq!(tries.load(Ordering::SeqCst), 2);
    }
}
