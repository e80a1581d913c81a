//! Binds of single pages by many callers at once, sent together.
//!
//! A call of a script costs the server about as much as binding two pages does. So while a few calls are
//! under way, the pages that come in meanwhile wait for the next one and share it. A page that comes in
//! when none is under way is sent at once.

use std::collections::VecDeque;
use std::sync::Arc;

use isr_core::{Bind, BindOutcome, Partition, StoreError};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::RedisStore;
use super::bind::{PAGES_A_CALL, TAGS_A_CALL};

/// How many calls are under way at once: the server works on one while the next is on its way.
const CALLS: usize = 2;

type Outcome = Result<BindOutcome, StoreError>;

/// The pages of one partition that wait.
#[derive(Debug)]
pub(super) struct Gathering {
    waiting: Mutex<VecDeque<(Bind, oneshot::Sender<Outcome>)>>,
    calls: Semaphore,
}

impl Gathering {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            calls: Semaphore::new(CALLS),
        }
    }

    fn join(&self, bind: &Bind) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().push_back((bind.clone(), sender));
        receiver
    }

    /// As many as one call takes, without those whose callers have gone.
    fn take(&self) -> Vec<(Bind, oneshot::Sender<Outcome>)> {
        let mut waiting = self.waiting.lock();
        let (mut taken, mut tags) = (Vec::new(), 0);
        while let Some((bind, caller)) = waiting.pop_front() {
            if caller.is_closed() {
                continue;
            }
            tags += bind.tags.len();
            taken.push((bind, caller));
            if taken.len() == PAGES_A_CALL || tags >= TAGS_A_CALL {
                break;
            }
        }
        taken
    }
}

impl RedisStore {
    /// Binds one page, in one call with others that are to be bound now. Each caller may be the one who
    /// sends for all; when he is dropped meanwhile, the others begin again, since every bind may be made
    /// twice.
    pub(super) async fn bind_together(&self, partition: Partition, bind: &Bind) -> Outcome {
        let gathering = &self.gatherings[partition.index()];
        let mut answer = gathering.join(bind);
        loop {
            let answered = tokio::select! {
                biased;
                answered = &mut answer => answered,
                permit = gathering.calls.acquire() => {
                    let _permit = permit.expect("the semaphore is never closed");
                    let taken = gathering.take();
                    if !taken.is_empty() {
                        self.send_gathered(partition, taken).await;
                        continue;
                    }
                    // Nobody waits, so mine has been sent by somebody else.
                    (&mut answer).await
                }
            };
            match answered {
                Ok(outcome) => return outcome,
                Err(_) => answer = gathering.join(bind),
            }
        }
    }

    async fn send_gathered(
        &self,
        partition: Partition,
        taken: Vec<(Bind, oneshot::Sender<Outcome>)>,
    ) {
        let binds: Vec<&Bind> = taken.iter().map(|(bind, _)| bind).collect();
        let outcomes = match self.bind_some(partition, &binds).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let error = Arc::new(error);
                taken.iter().map(|_| Err(error_for_each(&error))).collect()
            }
        };
        for ((_, caller), outcome) in taken.into_iter().zip(outcomes) {
            // Whoever has gone meanwhile needs no answer.
            let _ = caller.send(outcome);
        }
    }
}

/// The same failure, for each of those who share a call.
fn error_for_each(error: &Arc<StoreError>) -> StoreError {
    let source = Box::new(Arc::clone(error));
    match &**error {
        StoreError::Unavailable { store, .. } => StoreError::Unavailable {
            store: store.clone(),
            source,
        },
        StoreError::Full { store, .. } => StoreError::Full {
            store: store.clone(),
            source,
        },
        &StoreError::NewerLayout {
            ref store,
            found,
            known,
        } => StoreError::NewerLayout {
            store: store.clone(),
            found,
            known,
        },
        &StoreError::OtherPartitions {
            ref store,
            found,
            configured,
        } => StoreError::OtherPartitions {
            store: store.clone(),
            found,
            configured,
        },
        other => super::error::corrupt(other.to_string()),
    }
}
