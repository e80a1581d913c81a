//! The connector.

use std::fmt;

use async_trait::async_trait;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, InvalidOption, PurgeBatch,
    PurgeReceipt, Reference,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::answer;
use crate::capabilities::{PATHS_IN_PROGRESS, WILDCARDS_IN_PROGRESS, capabilities};
use crate::check;
use crate::in_progress::{Full, InProgress};
use crate::options::Options;
use crate::request::Request;
use crate::service::{Fault, Service, is_completed};

/// Purges one distribution, or one distribution tenant.
pub struct CloudFrontConnector {
    name: String,
    capabilities: Capabilities,
    service: Service,
    in_progress: Mutex<InProgress>,
}

impl CloudFrontConnector {
    /// The connector. Nothing is read and nobody is called before it is used.
    ///
    /// # Errors
    ///
    /// When an option cannot be used.
    pub fn new(name: &str, options: Options) -> Result<Self, InvalidOption> {
        let settings = options.check()?;
        Ok(Self {
            name: name.to_owned(),
            capabilities: capabilities(&settings),
            service: Service::new(settings),
            in_progress: Mutex::default(),
        })
    }

    fn error(&self, fault: Fault) -> ConnectorError {
        let settings = self.service.settings();
        answer::error(&self.name, &settings.scope, fault, settings.poll_interval)
    }

    /// CloudFront would say so itself, and count the call.
    fn full(&self, full: &Full) -> ConnectorError {
        ConnectorError::RateLimited {
            connector: self.name.clone(),
            reason: format!(
                "{} of {PATHS_IN_PROGRESS} paths and {} of {WILDCARDS_IN_PROGRESS} wildcards are in \
                 progress, so there is no room for these",
                full.paths, full.wildcards
            ),
            retry_after: Some(self.service.settings().poll_interval),
        }
    }

    /// Whether CloudFront has certainly not taken a batch on, so that it leaves no trace there. Where no
    /// answer came it may have.
    fn is_certain(error: &ConnectorError) -> bool {
        !matches!(error, ConnectorError::Unreachable { .. })
    }
}

#[async_trait]
impl CdnConnector for CloudFrontConnector {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let mut request = Request::of(batch, self.capabilities.tag.is_some())
            .map_err(|reason| ConnectorError::refused_over_targets(&self.name, reason))?;
        let mut receipt = PurgeReceipt {
            accepted: request.targets,
            rejected: std::mem::take(&mut request.rejected),
            ..PurgeReceipt::default()
        };
        if request.items.is_empty() {
            return Ok(receipt);
        }
        self.in_progress
            .lock()
            .begin(
                batch.id(),
                request.paths(),
                request.wildcards,
                Instant::now(),
            )
            .map_err(|full| self.full(&full))?;
        // Whoever stops waiting here leaves the batch counted, since CloudFront may have taken it on.
        let reference = batch.id().to_string();
        let created = self.service.create_invalidation(&reference, &request.items);
        match created.await.map_err(|fault| self.error(fault)) {
            Ok(id) => {
                self.in_progress.lock().accepted(batch.id(), &id);
                receipt.reference = Some(Reference(id));
                Ok(receipt)
            }
            Err(error) => {
                if Self::is_certain(&error) {
                    self.in_progress.lock().not_accepted(batch.id());
                }
                Err(error)
            }
        }
    }

    /// An invalidation that CloudFront does not know is an error, as it is to Amazon's own waiters: it
    /// cannot have been complete and gone, for none is ever removed, so saying that it is would be a
    /// guess.
    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        let status = self.service.status(&reference.0).await;
        if is_completed(&status.map_err(|fault| self.error(fault))?) {
            self.in_progress.lock().complete(&reference.0);
            return Ok(Completion::Complete);
        }
        Ok(Completion::Pending {
            retry_after: self.service.settings().poll_interval,
        })
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let mut findings = Vec::new();
        match check::look(&self.service, &mut findings).await {
            Ok(()) => Ok(findings),
            Err(fault) => match self.error(fault) {
                ConnectorError::Refused { reason, .. } => {
                    findings.push(Finding::bad(reason));
                    Ok(findings)
                }
                error => Err(error),
            },
        }
    }
}

impl fmt::Debug for CloudFrontConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFrontConnector")
            .field("name", &self.name)
            .field("settings", self.service.settings())
            .finish_non_exhaustive()
    }
}
