//! A worker before a connector: its own store, and a clock that goes on while it is waited for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Bind, Capabilities, CdnConnector, Clock, Completion, ConnectorError, Finding, Mode, NoRecorder,
    PageUrl, PurgeBatch, PurgeReceipt, Receipt, Reference, RevalidateOptions, Revalidator as _,
    Source, Store, TagSet, Target, Targets, Tier, VariantKey,
};
use isr_graph::{MemoryOptions, MemoryStore};
use isr_pipeline::{Intake, Parts, Worker, WorkerOptions};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ConnectorFixture;
use crate::HandClock;

/// How far the clock goes on at a time, and how long the service has meanwhile to answer.
const STEP: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(2);

/// What only a fault takes longer than.
const PATIENCE: Duration = Duration::from_mins(1);

/// A worker whose one tier is the fixture's. It ends when this is dropped.
pub(super) struct World {
    pub(super) store: Arc<dyn Store>,
    clock: HandClock,
    tier: Arc<Timed>,
    wake: Arc<Notify>,
    worker: JoinHandle<()>,
}

/// The connector, and when it was called.
#[derive(Debug)]
struct Timed {
    connector: Arc<dyn CdnConnector>,
    capabilities: Capabilities,
    clock: HandClock,
    calls: Mutex<Vec<TimedCall>>,
}

/// When a call was made and when it was answered, by the worker's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimedCall {
    pub(super) made: Duration,
    pub(super) answered: Duration,
}

impl World {
    /// A worker for what the connector can do.
    pub(super) fn of(fixture: &dyn ConnectorFixture) -> Self {
        let capabilities = fixture.connector().capabilities().clone();
        Self::start(fixture, capabilities, options())
    }

    /// A worker that takes the tier for one without tags, and resolves them to pages.
    pub(super) fn without_tags(fixture: &dyn ConnectorFixture) -> Self {
        let capabilities = Capabilities {
            tag: None,
            tags: None,
            ..fixture.connector().capabilities().clone()
        };
        Self::start(fixture, capabilities, options())
    }

    /// A worker that gives up at once.
    pub(super) fn impatient(fixture: &dyn ConnectorFixture) -> Self {
        let capabilities = fixture.connector().capabilities().clone();
        let options = WorkerOptions {
            call_attempts: 1,
            attempts: 1,
            ..options()
        };
        Self::start(fixture, capabilities, options)
    }

    fn start(
        fixture: &dyn ConnectorFixture,
        capabilities: Capabilities,
        options: WorkerOptions,
    ) -> Self {
        let clock = HandClock::new();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = MemoryStore::new(Arc::clone(&shared), MemoryOptions::default());
        let store: Arc<dyn Store> = Arc::new(store);
        let tier = Arc::new(Timed {
            connector: fixture.connector(),
            capabilities,
            clock: clock.clone(),
            calls: Mutex::default(),
        });
        let wake = Arc::new(Notify::new());
        let parts = Parts {
            store: Arc::clone(&store),
            tiers: vec![Tier::new(Arc::clone(&tier) as Arc<_>)],
            warmer: None,
            clock: shared,
            recorder: Arc::new(NoRecorder),
            wake: Arc::clone(&wake),
        };
        let worker = Worker::new(parts, options);
        let worker = tokio::spawn(async move { worker.run(CancellationToken::new()).await });
        Self {
            store,
            clock,
            tier,
            wake,
            worker,
        }
    }

    /// What the worker believes the tier can do.
    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.tier.capabilities
    }

    /// The calls that the worker has made.
    pub(super) fn calls(&self) -> Vec<TimedCall> {
        self.tier.calls.lock().clone()
    }

    /// Binds a page to tags.
    pub(super) async fn bind(&self, url: PageUrl, tags: TagSet) {
        let position = self.store.position().await.expect("memory is there");
        let bind = Bind {
            generation: position.generation_of(&url),
            url,
            variant: VariantKey::default(),
            tags,
            lifetime: Duration::from_hours(1),
        };
        let bound = self.store.bind(&[bind]).await;
        bound.expect("memory is there");
    }

    /// Asks for a hard revalidation of targets, and answers with its receipt once nobody works on it any
    /// more.
    pub(super) async fn revalidate(&self, targets: &[Target]) -> Receipt {
        let targets = match targets {
            [Target::Everything] => Targets::everything(),
            some => Targets::new(some.iter().cloned()).expect("they can be purged together"),
        };
        let options = RevalidateOptions {
            mode: Mode::Hard.into(),
            warm: false,
            ..RevalidateOptions::default()
        };
        let receipt = Receipt::new(targets, options, Source::Library);
        let (store, wake) = (Arc::clone(&self.store), Arc::clone(&self.wake));
        let intake = Intake::new(store, None, Arc::new(NoRecorder), wake);
        let asked = intake.revalidate(receipt).await.expect("memory is there");
        self.until(&asked, |receipt| receipt.phase.is_final()).await
    }

    /// Waits until a receipt is as it is wanted, while time goes on.
    pub(super) async fn until(
        &self,
        receipt: &Receipt,
        is_wanted: impl Fn(&Receipt) -> bool,
    ) -> Receipt {
        let wanted = async {
            loop {
                let now = self.store.receipt(&receipt.id).await;
                let now = now.expect("memory is there").expect("it is known");
                if is_wanted(&now) {
                    return now;
                }
                self.clock.advance(STEP);
                tokio::time::sleep(PAUSE).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, wanted).await;
        seen.unwrap_or_else(|_| panic!("{receipt:?} never comes so far: {:?}", self.calls()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// Those of a worker that keeps its claims however far time goes on while a service answers.
fn options() -> WorkerOptions {
    WorkerOptions {
        lease: Duration::from_hours(24),
        ..WorkerOptions::new("one")
    }
}

#[async_trait]
impl CdnConnector for Timed {
    fn name(&self) -> &str {
        self.connector.name()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let made = self.clock.now();
        let answer = self.connector.purge(batch).await;
        let answered = self.clock.now();
        self.calls.lock().push(TimedCall { made, answered });
        answer
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        self.connector.poll(reference).await
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.connector.check().await
    }
}
