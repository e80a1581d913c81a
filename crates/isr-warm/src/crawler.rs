//! The crawler: what happens to each page of a call.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use isr_core::{Clock, Event, Recorder, WarmFailure, WarmOutcome, WarmRequest, Warmer, WarmupKey};
use tokio::sync::watch;

use crate::batch::Batch;
use crate::fetch::{Address, Fetch, Fetcher};
use crate::in_flight::InFlight;
use crate::options::{CrawlerOptions, InvalidOption};
use crate::origin::{Limits, Origin, Origins};
use crate::retry::backoff;
use crate::verdict::Verdict;

/// Requests pages so that caches hold them.
///
/// All calls share one set of limits, one set of connections and one table of what is on its way,
/// so a process needs one crawler. It spawns no task: requests run where [`Warmer::warm`] is awaited,
/// and one that several calls wait for runs on until the last of them is dropped.
#[derive(Debug)]
pub struct Crawler {
    context: Arc<Context>,
    in_flight: InFlight,
    stop: watch::Sender<bool>,
}

/// Why a crawler could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrawlerError {
    /// An option is out of its range.
    #[error("the crawler's options are not valid")]
    Options(#[from] InvalidOption),
    /// The process has not been given a TLS implementation.
    #[error(
        "no TLS provider is installed: install rustls' default provider before making a crawler"
    )]
    NoTlsProvider,
    /// The HTTP client could not be set up.
    #[error("the crawler's HTTP client could not be set up")]
    Client(#[source] isr_core::BoxError),
}

/// What every visit to a page needs.
#[derive(Debug)]
struct Context {
    options: CrawlerOptions,
    clock: Arc<dyn Clock>,
    recorder: Arc<dyn Recorder>,
    fetcher: Box<dyn Fetch>,
    origins: Origins,
    stopped: watch::Receiver<bool>,
}

impl Crawler {
    /// A crawler that signs its requests with `key`.
    ///
    /// Rates, delays and signatures go by `clock`; the timeouts, which are about other people's
    /// machines, go by the runtime's. The process must have installed rustls' default provider.
    ///
    /// # Errors
    ///
    /// See [`CrawlerError`].
    pub fn new(
        options: CrawlerOptions,
        key: WarmupKey,
        clock: Arc<dyn Clock>,
        recorder: Arc<dyn Recorder>,
    ) -> Result<Self, CrawlerError> {
        options.check()?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(CrawlerError::NoTlsProvider);
        }
        let fetcher = Fetcher::new(&options, key, Arc::clone(&clock))
            .map_err(|error| CrawlerError::Client(error.into()))?;
        Ok(Self::asking(Box::new(fetcher), options, clock, recorder))
    }

    /// A crawler of checked options that asks through `fetcher`.
    pub(crate) fn asking(
        fetcher: Box<dyn Fetch>,
        options: CrawlerOptions,
        clock: Arc<dyn Clock>,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let origins = Origins::new(
            Arc::clone(&clock),
            Limits::of(&options),
            Arc::clone(&recorder),
        );
        let context = Context {
            options,
            clock,
            recorder,
            fetcher,
            origins,
            stopped,
        };
        Self {
            context: Arc::new(context),
            in_flight: InFlight::default(),
            stop,
        }
    }

    /// Ends every visit, those under way and those yet to come, as [`WarmFailure::Cancelled`].
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

#[async_trait]
impl Warmer for Crawler {
    async fn warm(&self, requests: &[WarmRequest]) -> Vec<WarmOutcome> {
        let batch = Batch::of(requests);
        let visit = |page: WarmRequest| Arc::clone(&self.context).visit(page).boxed();
        let visits: Vec<_> = batch
            .pages()
            .iter()
            .map(|page| self.in_flight.join(page, visit))
            .collect();
        batch.spread(&join_all(visits).await)
    }
}

impl Context {
    /// Sees one page through to its outcome, and has it recorded.
    async fn visit(self: Arc<Self>, page: WarmRequest) -> WarmOutcome {
        let mut stopped = self.stopped.clone();
        let outcome = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => WarmOutcome::Failed {
                reason: WarmFailure::Cancelled,
                detail: "the crawler was stopped".to_owned(),
            },
            outcome = self.attempts(&page) => outcome,
        };
        self.note(&page, &outcome);
        outcome
    }

    /// Asks for a page until the answer is the last word, or enough has been tried.
    async fn attempts(&self, page: &WarmRequest) -> WarmOutcome {
        let address = match Address::of(page, &self.options.allowed) {
            Ok(address) => address,
            Err(detail) => {
                return WarmOutcome::Failed {
                    reason: WarmFailure::Forbidden,
                    detail,
                };
            }
        };
        let origin = self.origins.at(&address.origin);
        let mut attempt = 1;
        loop {
            let outcome = match self.attempt(&origin, &address, page).await {
                Verdict::Final(outcome) => return outcome,
                Verdict::Again { outcome, .. } => outcome,
            };
            if attempt >= self.options.attempts {
                return outcome;
            }
            self.clock.sleep(self.delay(attempt)).await;
            attempt += 1;
        }
    }

    /// Waits for its turn, and asks once.
    async fn attempt(&self, origin: &Origin, address: &Address, page: &WarmRequest) -> Verdict {
        let turn = match origin.turn().await {
            Ok(turn) => turn,
            Err(outcome) => {
                return Verdict::Again {
                    outcome,
                    pause: None,
                };
            }
        };
        let answer = self.fetcher.fetch(address, page).await;
        let signal = answer.signal();
        let verdict = answer.judge(page.least, self.clock.time_of_day());
        // Before the next in line gets its turn.
        let refusal = match &verdict {
            Verdict::Again { outcome, pause } => {
                if let Some(pause) = pause {
                    origin.close_for((*pause).min(self.options.longest_retry_after));
                }
                Some(outcome)
            }
            Verdict::Final(_) => None,
        };
        turn.end(signal, refusal);
        verdict
    }

    fn delay(&self, failures: u32) -> std::time::Duration {
        let CrawlerOptions {
            backoff: first,
            longest_backoff,
            ..
        } = self.options;
        backoff(failures, first, longest_backoff, &mut rand::rng())
    }

    fn note(&self, page: &WarmRequest, outcome: &WarmOutcome) {
        let (url, via) = (&page.url, page.via.as_deref());
        match outcome {
            WarmOutcome::Failed { reason, detail } if *reason != WarmFailure::Cancelled => {
                tracing::warn!(%url, via, detail, "a page could not be warmed");
            }
            _ => tracing::debug!(%url, via, ?outcome, "visited a page"),
        }
        self.recorder.record(&match *outcome {
            WarmOutcome::Warmed { took, .. } => Event::Warmed { took },
            WarmOutcome::Failed { reason, .. } => Event::WarmFailed { reason },
            WarmOutcome::Gone { .. } | WarmOutcome::Redirected { .. } => Event::WarmSkipped,
        });
    }
}
