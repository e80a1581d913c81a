//! The connector to this cache: a tier that is purged by the generations themselves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Position, PurgeBatch, PurgeReceipt,
    Reference, SenderRole, StoreError, TagGraph,
};

/// How long to wait before asking again whether all instances have learnt of a revalidation.
const ASK_AGAIN: Duration = Duration::from_millis(25);

/// All instances of the built-in cache that share a store, as one tier.
///
/// There is nothing to call: accepting a revalidation moves the generations, and each instance judges
/// what it has stored by them. So a purge is complete when every living instance has learnt of it.
#[derive(Debug)]
pub struct EdgeConnector {
    graph: Arc<dyn TagGraph>,
    capabilities: Capabilities,
}

impl EdgeConnector {
    /// The name of the tier.
    pub const NAME: &str = "edge";

    /// The connector to the instances that report to `graph`.
    #[must_use]
    pub fn new(graph: Arc<dyn TagGraph>) -> Self {
        let capabilities = Capabilities {
            purge_url: true,
            purge_tag: true,
            purge_prefix: true,
            purge_host: true,
            purge_everything: true,
            soft: true,
            items_per_call: None,
            observes_completion: true,
            foreign: false,
            settling_time: Duration::ZERO,
            distance: 0,
        };
        Self {
            graph,
            capabilities,
        }
    }
}

#[async_trait]
impl CdnConnector for EdgeConnector {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let reference =
            serde_json::to_string(&batch.position).map_err(|error| ConnectorError::Refused {
                connector: Self::NAME.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(PurgeReceipt {
            accepted: batch.targets().len() as u64,
            rejected: Vec::new(),
            reference: Some(Reference(reference)),
        })
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        let position: Position = serde_json::from_str(&reference.0).map_err(|_| {
            let reason = "the reference is not one that this tier gave".to_owned();
            ConnectorError::Refused {
                connector: Self::NAME.to_owned(),
                reason,
            }
        })?;
        // Within another history, whoever has learnt of that calls everything older expired.
        let current = self.graph.position().await.map_err(unreachable)?.epoch;
        let has_learnt = |known: &Position| {
            known.covers(&position) || (position.epoch != current && known.epoch == current)
        };
        let senders = self.graph.senders().await.map_err(unreachable)?;
        let edges = senders
            .iter()
            .filter(|sender| sender.alive && sender.report.role == SenderRole::Edge);
        let complete = edges
            .into_iter()
            .all(|sender| has_learnt(&sender.report.known));
        Ok(if complete {
            Completion::Complete
        } else {
            Completion::Pending {
                retry_after: ASK_AGAIN,
            }
        })
    }

    async fn check(&self) -> Result<(), ConnectorError> {
        self.graph.position().await.map(|_| ()).map_err(unreachable)
    }
}

fn unreachable(error: StoreError) -> ConnectorError {
    ConnectorError::Unreachable {
        connector: EdgeConnector::NAME.to_owned(),
        source: error.into(),
    }
}
