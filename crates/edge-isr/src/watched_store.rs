//! A store whose calls are timed.

use std::sync::Arc;

use async_trait::async_trait;
use isr_core::{Clock, Event, Recorder, Store, StoreError};

use crate::store_calls::store_calls;

/// Has it recorded how long each call took, whatever came of it: that the store is slow is to be seen before
/// it fails.
#[derive(Debug)]
pub(crate) struct WatchedStore {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
}

impl WatchedStore {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        Self {
            store,
            clock,
            recorder,
        }
    }

    /// Waits for a call to end. One that is given up before that is not told of.
    async fn watch<T>(&self, call: &'static str, answer: impl Future<Output = T>) -> T {
        let began = self.clock.now();
        let answer = answer.await;
        let took = self.clock.now().saturating_sub(began);
        self.recorder.record(&Event::StoreAsked { call, took });
        answer
    }
}

/// Hands every call on.
macro_rules! hand_on {
    ($seam:ident: $($kind:literal $call:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl isr_core::$seam for WatchedStore {
            $(async fn $call(&self, $($argument: $type),*) -> Result<$result, StoreError> {
                self.watch($kind, self.store.$call($($argument),*)).await
            })*
        }

        #[cfg(test)]
        impl Kinds for dyn isr_core::$seam {
            const ALL: &'static [&'static str] = &[$($kind),*];
        }
    };
}

/// The kinds of call of a seam.
#[cfg(test)]
trait Kinds {
    const ALL: &'static [&'static str];
}

store_calls!(hand_on);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use isr_core::{JobStore, RateBudget, TagGraph};
    use isr_graph::{MemoryOptions, MemoryStore};
    use isr_metrics::{Metrics, declarations};
    use isr_testkit::HandClock;

    use super::*;

    #[test]
    fn every_call_is_of_a_kind_that_is_declared_and_every_kind_has_calls() {
        let kinds: Vec<&str> = [
            <dyn TagGraph as Kinds>::ALL,
            <dyn JobStore as Kinds>::ALL,
            <dyn RateBudget as Kinds>::ALL,
        ]
        .concat();
        for kind in &kinds {
            assert!(declarations::STORE_CALLS.contains(kind), "{kind}");
        }
        for declared in declarations::STORE_CALLS {
            let has = kinds.contains(declared) || *declared == declarations::OTHER;
            assert!(has, "{declared}");
        }
    }

    #[tokio::test]
    async fn a_call_is_answered_as_by_the_store_and_timed() {
        let clock = HandClock::new();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let memory = MemoryStore::new(Arc::clone(&shared), MemoryOptions::default());
        let metrics = Arc::new(Metrics::new(["edge"]));
        let recorder: Arc<dyn Recorder> = metrics.clone();
        let store = WatchedStore::new(Arc::new(memory), shared, recorder);
        assert_eq!(store.statistics(0).await.unwrap().pages, 0);
        let slow = async { clock.advance(Duration::from_secs(2)) };
        store.watch("bind", slow).await;
        let rendered = metrics.render();
        for line in [
            "edge_isr_store_response_seconds_count{call=\"look\"} 1",
            "edge_isr_store_response_seconds_sum{call=\"bind\"} 2",
            "edge_isr_store_response_seconds_count{call=\"claim\"} 0",
        ] {
            assert!(rendered.contains(line), "{line}\n{rendered}");
        }
    }
}
