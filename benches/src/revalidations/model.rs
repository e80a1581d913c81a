//! A tier without limits, that takes note of when it is called.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use isr_core::{
    Ability, Capabilities, CdnConnector, Clock, Completion, ConnectorError, Finding, NoRecorder,
    PurgeBatch, PurgeReceipt, Reference, Store, Tier,
};
use isr_pipeline::{Intake, Parts, TokioClock, Worker, WorkerOptions};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

/// When a call was made, and of how many items.
pub(super) type Called = (Instant, usize);

#[derive(Debug)]
pub(super) struct Model {
    can: Capabilities,
    called: mpsc::UnboundedSender<Called>,
}

impl Model {
    /// A tier that is purged by URL, so many a call.
    pub(super) fn by_url(items: usize) -> (Arc<Self>, mpsc::UnboundedReceiver<Called>) {
        let ability = Ability {
            items_per_call: std::num::NonZeroUsize::new(items),
            ..Ability::UNLIMITED
        };
        Self::new(Capabilities {
            url: Some(ability),
            ..Capabilities::default()
        })
    }

    /// A tier that is purged by tag.
    pub(super) fn by_tag() -> (Arc<Self>, mpsc::UnboundedReceiver<Called>) {
        Self::new(Capabilities {
            url: Some(Ability::UNLIMITED),
            tag: Some(Ability::UNLIMITED),
            ..Capabilities::default()
        })
    }

    fn new(can: Capabilities) -> (Arc<Self>, mpsc::UnboundedReceiver<Called>) {
        let (called, calls) = mpsc::unbounded_channel();
        (Arc::new(Self { can, called }), calls)
    }
}

#[async_trait]
impl CdnConnector for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.can
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let items = batch.targets().len();
        let _ = self.called.send((Instant::now(), items)); // nobody may be listening any more
        Ok(PurgeReceipt {
            accepted: items as u64,
            ..PurgeReceipt::default()
        })
    }

    async fn poll(&self, _: &Reference) -> Result<Completion, ConnectorError> {
        Ok(Completion::Complete) // it never gives a reference
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        Ok(Vec::new())
    }
}

/// A worker before a tier, until it is dropped, and what accepts revalidations for it in the same process.
pub(super) fn start(store: &Arc<dyn Store>, tier: Arc<Model>) -> (Intake, DropGuard) {
    let (wake, worker) = work(store, tier);
    (accept(store, wake), worker)
}

/// What accepts revalidations for whoever can be woken so.
pub(super) fn accept(store: &Arc<dyn Store>, wake: Arc<Notify>) -> Intake {
    Intake::new(Arc::clone(store), None, Arc::new(NoRecorder), wake)
}

/// A worker before a tier, until it is dropped, and what wakes it in the same process.
pub(super) fn work(store: &Arc<dyn Store>, tier: Arc<Model>) -> (Arc<Notify>, DropGuard) {
    let wake = Arc::<Notify>::default();
    let clock = Arc::new(TokioClock::default()) as Arc<dyn Clock>;
    let parts = Parts {
        store: Arc::clone(store),
        tiers: vec![Tier::new(tier)],
        warmer: None,
        clock,
        recorder: Arc::new(NoRecorder),
        wake: Arc::clone(&wake),
    };
    let worker = Worker::new(parts, WorkerOptions::new("bench"));
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move { worker.run(stopped).await });
    (wake, stop.drop_guard())
}
