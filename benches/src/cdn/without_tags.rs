//! A service that is said to know no tags, so that pages are purged by URL.

use std::sync::Arc;

use async_trait::async_trait;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, PurgeBatch, PurgeReceipt,
    Reference,
};

/// The same connector, with capabilities that lack tags.
#[derive(Debug)]
pub(super) struct WithoutTags {
    inner: Arc<dyn CdnConnector>,
    capabilities: Capabilities,
}

impl WithoutTags {
    pub(super) fn new(inner: Arc<dyn CdnConnector>) -> Self {
        let capabilities = Capabilities {
            tag: None,
            tags: None,
            ..inner.capabilities().clone()
        };
        Self {
            inner,
            capabilities,
        }
    }
}

#[async_trait]
impl CdnConnector for WithoutTags {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        self.inner.purge(batch).await
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        self.inner.poll(reference).await
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.inner.check().await
    }
}
