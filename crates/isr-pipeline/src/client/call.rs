//! One call, tried again while that may help.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Capabilities, CdnConnector, Clock, ConnectorError, Event, PurgeBatch, PurgeReceipt, RateBudget,
    RateLimit, RateUnit, Recorder, StoreError, Taken,
};

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
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) load: Load,
    pub(super) attempts: u64,
    pub(super) answer: Result<PurgeReceipt, ConnectorError>,
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
        let batch = PurgeBatch::new(load.targets.clone(), load.mode, load.position.clone())
            .expect("calls are made of queues that are not empty");
        let mut attempts = 1;
        loop {
            let answer = self.connector.purge(&batch).await;
            self.recorder.record(&Event::PurgeCalled {
                connector: self.connector.name(),
                ok: answer.is_ok(),
                items: batch.targets().len() as u64,
            });
            let delay = match &answer {
                Err(error) if error.is_retryable() && attempts < self.options.attempts => {
                    self.delay(error, attempts)
                }
                _ => None,
            };
            let Some(delay) = delay else {
                return Ended {
                    load,
                    attempts: attempts.into(),
                    answer,
                };
            };
            if let (Err(ConnectorError::RateLimited { .. }), Some(limit)) = (&answer, &limit) {
                self.pause(limit, delay).await;
            }
            self.clock.sleep(delay).await;
            if let Some(limit) = &limit {
                self.wait_for_turn(limit, items).await;
            }
            attempts += 1;
        }
    }

    /// How long to wait before trying again; `None` when that is longer than a call may wait.
    fn delay(&self, error: &ConnectorError, failures: u32) -> Option<Duration> {
        let asked = error.retry_after().unwrap_or_default();
        if asked > self.options.longest_delay {
            return None;
        }
        let (first, longest) = (self.options.first_delay, self.options.longest_delay);
        Some(asked + backoff::jittered(first, longest, failures))
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

    async fn wait_for_turn(&self, limit: &RateLimit, items: usize) {
        if let Ok(ready_at) = self.reserve(limit, items).await {
            let wait = ready_at.saturating_sub(self.clock.now());
            self.clock.sleep(wait).await;
        }
    }
}
