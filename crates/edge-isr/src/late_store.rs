//! A store that is opened as soon as it lets itself be opened.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{Clock, Store, StoreError};
use tokio::sync::{Mutex, OnceCell};

use crate::store_calls::store_calls;

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
    ($seam:ident: $($kind:literal $call:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl isr_core::$seam for LateStore {
            $(async fn $call(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                self.get().await?.$call($($argument),*).await
            })*
        }
    };
}

store_calls!(hand_on);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use isr_core::TagGraph;
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
