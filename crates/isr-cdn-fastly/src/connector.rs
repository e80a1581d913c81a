//! The connector.

use std::fmt;

use async_trait::async_trait;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, InvalidOption, PurgeBatch,
    PurgeReceipt, Reference,
};

use crate::api::Api;
use crate::capabilities::capabilities;
use crate::options::Options;
use crate::request::Request;
use crate::{answer, check};

/// Purges one service.
pub struct FastlyConnector {
    name: String,
    capabilities: Capabilities,
    api: Api,
}

impl FastlyConnector {
    /// The connector. Nobody is called before it is used.
    ///
    /// # Errors
    ///
    /// When an option cannot be used, or the process has installed no TLS provider.
    pub fn new(name: &str, options: Options) -> Result<Self, InvalidOption> {
        let settings = options.check()?;
        Ok(Self {
            name: name.to_owned(),
            capabilities: capabilities(&settings),
            api: Api::new(settings)?,
        })
    }

    fn refused(&self, reason: &str) -> ConnectorError {
        ConnectorError::refused(&self.name, reason)
    }
}

#[async_trait]
impl CdnConnector for FastlyConnector {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let settings = self.api.settings();
        let request = Request::of(batch, settings)
            .map_err(|reason| ConnectorError::refused_over_targets(&self.name, reason))?;
        let answer = self.api.purge(&request).await;
        let answer = answer.map_err(|error| ConnectorError::unreachable(&self.name, error))?;
        answer::purged(&self.name, &settings.service, &request.asks_for, &answer)?;
        Ok(PurgeReceipt {
            pause: answer::pause(&answer),
            ..PurgeReceipt::accepted(batch)
        })
    }

    /// Fastly's answers hold an ID, by which its support finds a purge; nobody else can ask for it.
    async fn poll(&self, _: &Reference) -> Result<Completion, ConnectorError> {
        Err(self.refused("how far a purge has come cannot be asked"))
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        check::look(&self.name, &self.api).await
    }
}

impl fmt::Debug for FastlyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastlyConnector")
            .field("name", &self.name)
            .field("settings", self.api.settings())
            .finish_non_exhaustive()
    }
}
