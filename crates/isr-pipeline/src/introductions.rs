//! Senders that a store has forgotten.
//!
//! A store that has lost something may have lost who sends. Whoever lives reports again within a lease, or may not
//! share any more. Until then nobody can tell what was on its way.

use std::time::Duration;

use isr_core::{Clock, Epoch, SenderOptions, Store, StoreError};
use parking_lot::Mutex;

/// From when on, by the worker's clock, all senders of the newest history are known.
#[derive(Debug, Default)]
pub(crate) struct Introductions {
    newest: Mutex<Option<(Epoch, Duration)>>,
}

impl Introductions {
    /// How much longer senders of this history may be unknown. `None` once they are not, which most of the time
    /// costs nothing to say.
    pub(crate) async fn last(
        &self,
        store: &dyn Store,
        clock: &dyn Clock,
        epoch: Epoch,
    ) -> Result<Option<Duration>, StoreError> {
        let known = *self.newest.lock();
        let until = match known {
            Some((newest, until)) if newest == epoch => until,
            known => {
                let is_lost = store.beginning().await?.is_some_and(|it| it.lost);
                let is_young = known.is_some() || is_lost;
                let until = if is_young {
                    clock.now() + SenderOptions::LEASE
                } else {
                    Duration::ZERO
                };
                *self.newest.lock() = Some((epoch, until));
                until
            }
        };
        Ok(until
            .checked_sub(clock.now())
            .filter(|left| !left.is_zero()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use isr_core::TagGraph as _;
    use isr_graph::{MemoryOptions, MemoryStore};
    use isr_testkit::HandClock;

    use super::*;

    #[tokio::test]
    async fn whoever_lives_has_a_lease_to_report_to_a_store_that_lost_something() {
        let clock = HandClock::new();
        let store = MemoryStore::new(Arc::new(clock.clone()), MemoryOptions::default());
        let epoch = async || store.position().await.unwrap().epoch;
        let last = async |introductions: &Introductions| {
            let epoch = epoch().await;
            introductions.last(&store, &clock, epoch).await.unwrap()
        };

        let first = Introductions::default();
        assert_eq!(last(&first).await, None, "the store was made");
        store.begin_epoch();
        assert_eq!(last(&first).await, Some(SenderOptions::LEASE));
        clock.advance(SenderOptions::LEASE / 2);
        assert_eq!(last(&first).await, Some(SenderOptions::LEASE / 2));
        // One that was started since does not know when it began.
        let second = Introductions::default();
        assert_eq!(last(&second).await, Some(SenderOptions::LEASE));
        clock.advance(SenderOptions::LEASE);
        assert_eq!(last(&first).await, None);
        assert_eq!(last(&second).await, None);

        store.dealt_with(epoch().await).await.unwrap();
        assert_eq!(last(&Introductions::default()).await, None);
    }
}
