//! The key of warm-up requests, which all processes of a site share.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{Clock, Secret, Store, StoreError, WarmupKey};
use tokio_util::sync::CancellationToken;

/// How often the store is asked whether its secret is still the same: it is not after its data were
/// lost.
const EVERY: Duration = Duration::from_mins(1);

/// How long after a failed attempt the next one is made.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// The configuration's key, or else the store's secret. Until the store has told that, it is a key of
/// this process alone, whose warm-up requests are to others like a visitor's.
#[derive(Clone, Debug)]
pub(super) struct SharedKey {
    key: WarmupKey,
    /// Who tells the key; `None` where the configuration did.
    store: Option<Arc<dyn Store>>,
}

impl SharedKey {
    pub(super) fn new(given: Option<WarmupKey>, store: &Arc<dyn Store>) -> Self {
        match given {
            Some(key) => Self { key, store: None },
            None => Self {
                key: WarmupKey::new(Secret::random()).expect("a random secret is long enough"),
                store: Some(Arc::clone(store)),
            },
        }
    }

    pub(super) fn key(&self) -> WarmupKey {
        self.key.clone()
    }

    /// Asks the store, if it is the one to tell the key.
    pub(super) async fn ask(&self) -> Result<(), StoreError> {
        if let Some(store) = &self.store {
            let replaced = self.key.replace(store.secret().await?);
            replaced.expect("a store's secret is long enough");
        }
        Ok(())
    }

    /// Asks again and again, so that the key is the one that others have. That the store is away is
    /// told by those who need it for more.
    pub(super) async fn keep_up(self, clock: Arc<dyn Clock>, stop: CancellationToken) {
        while self.store.is_some() {
            let pause = match self.ask().await {
                Ok(()) => EVERY,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "no key yet");
                    BETWEEN_ATTEMPTS
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(pause) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use isr_core::{PageUrl, WarmupKey};
    use isr_graph::{MemoryOptions, MemoryStore};
    use isr_pipeline::TokioClock;

    use super::*;

    /// Whether what one signs is good for the other.
    fn knows(one: &WarmupKey, other: &WarmupKey) -> bool {
        let page = PageUrl::parse("https://example.com/").unwrap();
        let now = std::time::SystemTime::now();
        let header = one.sign(&page, None, now, Duration::from_mins(1));
        other.verify(&header, &page, now).is_ok()
    }

    #[tokio::test]
    async fn whoever_has_the_store_has_the_key_once_it_was_asked() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(
            Arc::new(TokioClock::new()),
            MemoryOptions::default(),
        ));
        let (one, other) = (SharedKey::new(None, &store), SharedKey::new(None, &store));
        assert!(!knows(&one.key(), &other.key()));
        let held = one.key();
        one.ask().await.unwrap();
        other.ask().await.unwrap();
        assert!(knows(&held, &other.key()));

        let given = WarmupKey::new(Secret::new("0123456789abcdef")).unwrap();
        let configured = SharedKey::new(Some(given.clone()), &store);
        configured.ask().await.unwrap();
        assert!(
            knows(&configured.key(), &given),
            "the configuration decides"
        );
    }
}
