//! The connector to this cache: a tier that is purged by the generations themselves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Ability, Capabilities, CdnConnector, Completion, ConnectorError, Finding, Position, PurgeBatch,
    PurgeReceipt, Reference, SenderRole, StoreError, TagGraph,
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
        let soft = Some(Ability::UNLIMITED.soft());
        let capabilities = Capabilities {
            url: soft.clone(),
            tag: soft.clone(),
            prefix: soft.clone(),
            host: soft.clone(),
            everything: soft,
            mixed_calls: true,
            observes_completion: true,
            foreign: false,
            settling_time: Duration::ZERO,
            distance: 0,
            ..Capabilities::default()
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
        let reference = serde_json::to_string(&batch.position)
            .map_err(|error| ConnectorError::refused(Self::NAME, error.to_string()))?;
        Ok(PurgeReceipt {
            reference: Some(Reference(reference)),
            ..PurgeReceipt::accepted(batch)
        })
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        let position: Position = serde_json::from_str(&reference.0).map_err(|_| {
            let reason = "the reference is not one that this tier gave";
            ConnectorError::refused(Self::NAME, reason)
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

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let senders = self.graph.senders().await.map_err(unreachable)?;
        let edges = senders
            .iter()
            .filter(|sender| sender.alive && sender.report.role == SenderRole::Edge)
            .count();
        Ok(vec![Finding::good(format!(
            "the store answers and knows {edges} running instances of the built-in edge"
        ))])
    }
}

fn unreachable(error: StoreError) -> ConnectorError {
    ConnectorError::Unreachable {
        connector: EdgeConnector::NAME.to_owned(),
        source: error.into(),
    }
}
