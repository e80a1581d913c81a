//! One call, tried again while that may help.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Capabilities, CdnConnector, Clock, Completion, ConnectorError, Event, PurgeBatch, PurgeReceipt,
    RateBudget, RateLimit, RateUnit, Recorder, Reference, StoreError, Taken, Target,
};
use parking_lot::Mutex;

use super::queue::Load;
use crate::{WorkerOptions, backoff};

/// How a call is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallOptions {
    /// How long calls are kept open for others to join.
    pub(crate) window: Duration,
    /// Attempts at one call before whoever asked for it is told.
    pub(crate) attempts: u32,
    /// The longest delay after the first failed attempt; it doubles with each.
    pub(crate) first_delay: Duration,
    /// The longest delay that is waited for within a call.
    pub(crate) longest_delay: Duration,
}

/// How long a tier may go on asking for fewer calls before that counts as a failure.
const LONGEST_BUSY: Duration = Duration::from_mins(10);

/// Purges that a busy tier is asked about before it is waited for.
const POLLED_AT_ONCE: usize = 20;

/// When to look again at a store that could not say whether a call may be made.
pub(super) const STORE_AWAY: Duration = Duration::from_secs(1);

/// What a service's wish to be left alone is cut to.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Purges under way that are kept in mind.
const REMEMBERED: usize = 1_000;

/// The longest that a call waits before it is made again; whoever is to wait longer is put off.
const LONGEST_WITHIN: Duration = Duration::from_secs(30);

impl CallOptions {
    /// How a worker calls a tier. Nobody waits for others where a call costs nothing.
    pub(crate) fn of(options: &WorkerOptions, can: &Capabilities) -> Self {
        Self {
            window: if can.foreign {
                options.coalesce
            } else {
                Duration::ZERO
            },
            attempts: options.call_attempts,
            first_delay: options.first_delay,
            longest_delay: options.longest_delay.min(LONGEST_WITHIN),
        }
    }
}

/// What a call is made with.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) connector: Arc<dyn CdnConnector>,
    pub(super) budget: Arc<dyn RateBudget>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) recorder: Arc<dyn Recorder>,
    pub(super) options: CallOptions,
    /// What the tier was last seen to carry out still, oldest first.
    pub(super) under_way: Arc<Mutex<VecDeque<Reference>>>,
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) load: Load,
    pub(super) attempts: u64,
    pub(super) answer: Result<Answered, ConnectorError>,
}

/// What a tier answered to all that it took to make a call.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// Targets refused for good, with the tier's reason.
    pub(super) rejected: Vec<(Target, String)>,
    /// Copies that went or became stale, where the tier counts them.
    pub(super) copies: Option<u64>,
    /// What to poll by, where completion can be observed.
    pub(super) references: Vec<Reference>,
}

impl Answered {
    pub(super) fn reject(&mut self, targets: &[Target], reason: &str) {
        let targets = targets.iter().cloned();
        self.rejected
            .extend(targets.map(|target| (target, reason.to_owned())));
    }

    pub(super) fn add(&mut self, receipt: PurgeReceipt) {
        self.rejected.extend(receipt.rejected);
        self.references.extend(receipt.reference);
        if let Some(copies) = receipt.copies {
            *self.copies.get_or_insert(0) += copies;
        }
    }
}

impl Caller {
    /// Takes the tokens that a call of so many items needs; says when it may be made.
    pub(super) async fn reserve(
        &self,
        limit: &RateLimit,
        items: usize,
    ) -> Result<Duration, StoreError> {
        let tokens = match limit.unit {
            RateUnit::Calls => 1,
            RateUnit::Items => u32::try_from(items).unwrap_or(u32::MAX),
        };
        let taken = self.budget.take(limit, tokens, Duration::MAX).await?;
        let (Taken::After(wait) | Taken::TooLong(wait)) = taken;
        Ok(self.clock.now() + wait)
    }

    /// Makes the call. Tokens for the first attempt have been taken.
    pub(super) async fn make(self, load: Load, limit: Option<RateLimit>, items: usize) -> Ended {
        let limit = limit.as_ref();
        let whole = self.attempt(&load, load.targets.clone(), limit, items);
        let (mut attempts, answer) = whole.await;
        let answer = match answer {
            Ok(receipt) => {
                let mut answered = Answered::default();
                answered.add(receipt);
                Ok(answered)
            }
            Err(ConnectorError::Refused {
                reason,
                over_targets: true,
                ..
            }) => self.rejecting(&load, limit, reason, &mut attempts).await,
            Err(error) => Err(error),
        };
        Ended {
            load,
            attempts,
            answer,
        }
    }

    /// What a call comes to that was refused for `reason`, which may be over its targets.
    async fn rejecting(
        &self,
        load: &Load,
        limit: Option<&RateLimit>,
        reason: String,
        attempts: &mut u64,
    ) -> Result<Answered, ConnectorError> {
        if load.targets.len() > 1 {
            return self
                .without_the_refused(load, limit, reason, attempts)
                .await;
        }
        let mut answered = Answered::default();
        answered.reject(&load.targets, &reason);
        Ok(answered)
    }

    /// Makes one call of some targets, until it is answered or has failed too often. Says how often it was
    /// made.
    pub(super) async fn attempt(
        &self,
        load: &Load,
        targets: Vec<Target>,
        limit: Option<&RateLimit>,
        items: usize,
    ) -> (u64, Result<PurgeReceipt, ConnectorError>) {
        let batch = PurgeBatch::new(targets, load.mode, load.position.clone())
            .expect("calls are made of queues that are not empty");
        let mut attempts: u32 = 1;
        let mut failures = 0;
        let started = self.clock.now();
        loop {
            let answer = self.connector.purge(&batch).await;
            self.recorder.record(&Event::PurgeCalled {
                connector: self.connector.name(),
                ok: answer.is_ok(),
                items: batch.targets().len() as u64,
            });
            let waited = self.clock.now().saturating_sub(started);
            let delay = match &answer {
                // That a service is busy is no failure, as long as it does not stay so.
                Err(ConnectorError::RateLimited { retry_after, .. }) if waited < LONGEST_BUSY => {
                    self.within(retry_after.unwrap_or(self.options.first_delay), attempts)
                }
                Err(error) if error.is_retryable() => {
                    failures += 1;
                    let asked = error.retry_after().unwrap_or_default();
                    (failures < self.options.attempts)
                        .then(|| self.within(asked, failures))
                        .flatten()
                }
                _ => None,
            };
            let asked = match &answer {
                // Everybody else has to hear of it, also where this call is put off.
                Err(ConnectorError::RateLimited { retry_after, .. }) => {
                    Some(retry_after.or(delay).unwrap_or(self.options.first_delay))
                }
                Ok(receipt) => receipt.pause,
                Err(_) => None,
            };
            if let (Some(asked), Some(limit)) = (asked, limit) {
                self.pause(limit, asked.min(LONGEST_PAUSE)).await;
            }
            let Some(delay) = delay else {
                self.remember(&answer);
                return (attempts.into(), answer);
            };
            if matches!(answer, Err(ConnectorError::RateLimited { .. })) {
                self.make_room().await;
            }
            self.clock.sleep(delay).await;
            self.wait_for_turn(limit, items).await;
            attempts += 1;
        }
    }

    /// How long to wait before trying again; `None` when that is longer than a call may wait.
    fn within(&self, asked: Duration, times: u32) -> Option<Duration> {
        let (first, longest) = (self.options.first_delay, self.options.longest_delay);
        (asked <= longest).then(|| asked + backoff::jittered(first, longest, times))
    }

    /// Keeps in mind what the tier carries out later: as long as that is under way, it may take on no more.
    fn remember(&self, answer: &Result<PurgeReceipt, ConnectorError>) {
        let observed = self.connector.capabilities().observes_completion;
        if let Ok(PurgeReceipt {
            reference: Some(reference),
            ..
        }) = answer
            && observed
        {
            let mut under_way = self.under_way.lock();
            under_way.push_back(reference.clone());
            if under_way.len() > REMEMBERED {
                under_way.pop_front();
            }
        }
    }

    /// Asks a tier that has too much to do what it has finished, oldest first. Connectors learn by it that
    /// there is room again.
    async fn make_room(&self) {
        for _ in 0..POLLED_AT_ONCE {
            let oldest = self.under_way.lock().front().cloned();
            let Some(oldest) = oldest else { return };
            match self.connector.poll(&oldest).await {
                Ok(Completion::Complete) => {}
                // Not known any more, so not under way.
                Err(error) if !error.is_retryable() => {}
                Ok(Completion::Pending { .. }) | Err(_) => return,
            }
            self.under_way.lock().retain(|known| *known != oldest);
        }
    }

    /// Holds everybody back from a tier that asked for that. That they cannot be told is no reason not
    /// to go on: the tier will say so again.
    async fn pause(&self, limit: &RateLimit, pause: Duration) {
        if let Err(error) = self.budget.pause(limit, pause).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "could not tell other workers that a tier asked for a pause"
            );
        }
    }

    pub(super) async fn wait_for_turn(&self, limit: Option<&RateLimit>, items: usize) {
        let Some(limit) = limit else { return };
        loop {
            let Ok(ready_at) = self.reserve(limit, items).await else {
                self.clock.sleep(STORE_AWAY).await;
                continue;
            };
            let wait = ready_at.saturating_sub(self.clock.now());
            return self.clock.sleep(wait).await;
        }
    }
}
