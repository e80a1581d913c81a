//! Who sends responses, asked for once by everybody who wants to know at the same time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{Clock, SenderState, StoreError};
use tokio::sync::Mutex;

/// The newest list of senders. Thousands of revalidations may wait for the same few of them.
#[derive(Debug, Default)]
pub(crate) struct RollCall {
    newest: Mutex<Option<Answer>>,
}

/// When the store was asked, and what it answered unless it failed.
type Answer = (Duration, Option<Arc<[SenderState]>>);

impl RollCall {
    /// The senders at some moment after this was called: as the store says, or as it has told somebody else since.
    pub(crate) async fn senders(
        &self,
        clock: &dyn Clock,
        store: impl Future<Output = Result<Vec<SenderState>, StoreError>>,
    ) -> Result<Arc<[SenderState]>, StoreError> {
        let called = clock.now();
        // Whoever waits here while the store answers somebody else has no use for that answer, but shares the next.
        let mut newest = self.newest.lock().await;
        match &*newest {
            Some((asked, Some(senders))) if *asked > called => return Ok(Arc::clone(senders)),
            // One after the other they would all wait for a store that does not answer.
            Some((asked, None)) if *asked > called => {
                drop(newest);
                return Ok(store.await?.into());
            }
            _ => {}
        }
        let asked = clock.now();
        let answer = store.await.map(Arc::from);
        *newest = Some((asked, answer.as_ref().ok().cloned()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;
    use crate::TokioClock;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_not_waited_for_by_one_after_the_other() {
        let (roll_call, clock) = (RollCall::default(), TokioClock::new());
        let ask = async |after: u64| {
            tokio::time::sleep(Duration::from_millis(after)).await;
            let store = async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let source = "timed out".into();
                let store = "test".to_owned();
                Err(StoreError::Unavailable { store, source })
            };
            roll_call.senders(&clock, store).await.unwrap_err();
        };
        let began = clock.now();
        join_all((0..50).map(ask)).await;
        assert_eq!(clock.now(), began + Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_shares_the_answer_to_a_question_asked_since() {
        let (roll_call, clock, asked) = (RollCall::default(), TokioClock::new(), AtomicU32::new(0));
        let ask = async |after: u64| {
            tokio::time::sleep(Duration::from_millis(after)).await;
            let store = async {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(Vec::new())
            };
            roll_call.senders(&clock, store).await.unwrap();
        };
        // The first is asked at 0, and answers at 100; the others came meanwhile and share the second.
        join_all([0, 10, 20, 90].map(ask)).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        // An answer that is there already is too old for whoever comes now.
        ask(0).await;
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
