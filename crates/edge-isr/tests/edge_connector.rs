//! The built-in edge is a tier like any other: the suite that every connector passes, with the store as
//! its service and an instance that follows it.
//!
//! There is no call to this tier. What another tier is called with, this one is told by the revalidation
//! itself; so to purge it, here, is to announce one and then to have it waited for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Capabilities, CdnConnector, Clock, Completion, ConnectorError, Finding, Mode, NoRecorder,
    Position, PurgeBatch, PurgeReceipt, Receipt, Reference, RevalidateOptions, Sender,
    SenderOptions, SenderRole, Source, Store, TagGraph, Target, Targets,
};
use isr_edge::EdgeConnector;
use isr_graph::{MemoryOptions, MemoryStore};
use isr_pipeline::{Follower, FollowerOptions};
use isr_testkit::{Call, ConnectorFixture, HandClock, connector_behaviour, fakes::Fault};

/// The tier, announced to as well as waited for.
#[derive(Debug)]
struct Announced {
    store: Arc<dyn Store>,
    edge: EdgeConnector,
    instance: Follower,
}

#[async_trait]
impl CdnConnector for Announced {
    fn name(&self) -> &str {
        self.edge.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.edge.capabilities()
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        // Everything is announced by itself, as everybody has to.
        let (everything, others): (Vec<Target>, Vec<Target>) = batch
            .targets()
            .iter()
            .cloned()
            .partition(|target| *target == Target::Everything);
        let everything = everything.first().map(|_| Targets::everything());
        let others = Targets::new(others).ok();
        let mut position: Option<Position> = None;
        for targets in others.into_iter().chain(everything) {
            let options = RevalidateOptions {
                mode: batch.mode.into(),
                ..RevalidateOptions::default()
            };
            let receipt = Receipt::new(targets, options, Source::Library);
            let stored = self.store.invalidate(receipt).await.expect("it is stored");
            position = stored.position;
        }
        let mut announced = batch.clone();
        announced.position = position.expect("a batch is never empty");
        self.edge.purge(&announced).await
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        let answer = self.edge.poll(reference).await;
        self.instance.step().await.expect("the store answers");
        answer
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.edge.check().await
    }
}

/// A site with one instance of the built-in edge.
#[derive(Debug)]
struct Site {
    store: Arc<dyn Store>,
    tier: Arc<Announced>,
    start: Position,
}

async fn site() -> Site {
    let clock: Arc<dyn Clock> = Arc::new(HandClock::new());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(
        Arc::clone(&clock),
        MemoryOptions::default(),
    ));
    let options = SenderOptions {
        role: SenderRole::Edge,
        ..SenderOptions::default()
    };
    let instance = Follower::new(
        Sender::new("instance", options, clock),
        Arc::clone(&store),
        Arc::new(NoRecorder),
        FollowerOptions::default(),
    );
    instance.step().await.expect("the store answers");
    let tier = Announced {
        store: Arc::clone(&store),
        edge: EdgeConnector::new(Arc::clone(&store) as Arc<dyn TagGraph>),
        instance,
    };
    Site {
        start: store.position().await.expect("the store answers"),
        store,
        tier: Arc::new(tier),
    }
}

#[async_trait]
impl ConnectorFixture for Site {
    fn connector(&self) -> Arc<dyn CdnConnector> {
        Arc::clone(&self.tier) as Arc<dyn CdnConnector>
    }

    async fn calls(&self) -> Vec<Call> {
        let news = self.store.news_since(&self.start, 10_000).await;
        let heard = news.expect("the store answers").heard;
        let call = |heard: isr_core::Heard| Call {
            items: heard.targets.iter().map(Target::key).collect(),
            soft: heard.mode == Mode::Soft,
            carried_out: true,
        };
        heard.into_iter().map(call).collect()
    }

    fn on_the_wire(&self, target: &Target) -> Vec<String> {
        vec![target.key()]
    }

    fn requests_for(&self, targets: &[Target]) -> usize {
        let everything = usize::from(targets.contains(&Target::Everything));
        everything + usize::from(targets.len() > everything)
    }

    async fn next(&self, _: Fault) {}

    /// Nothing is sent that could be lost on its way.
    fn is_failure(&self, _: Fault) -> bool {
        false
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

connector_behaviour!(site());

#[tokio::test]
async fn a_purge_is_complete_once_every_instance_has_heard_of_it() {
    let site = site().await;
    let batch = PurgeBatch::new(vec![Target::Everything], Mode::Soft, site.start.clone());
    let receipt = site.tier.purge(&batch.unwrap()).await.unwrap();
    let reference = receipt.reference.unwrap();
    let pending = Completion::Pending {
        retry_after: Duration::from_millis(25),
    };
    assert_eq!(site.tier.edge.poll(&reference).await.unwrap(), pending);
    site.tier.instance.step().await.unwrap();
    let complete = Completion::Complete;
    assert_eq!(site.tier.edge.poll(&reference).await.unwrap(), complete);
}
