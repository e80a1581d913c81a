//! One nginx that is called, as a tier.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, InvalidOption, PageUrl,
    PurgeBatch, PurgeReceipt, Reference, Target,
};
use reqwest::{Client, redirect};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::answer::Answer;
use super::request::{self, Call};
use crate::capabilities;
use crate::options::{LocationSettings, Machine};

/// The most bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1024;
/// A host that no page has: its domain is reserved (RFC 6761 §6.4).
const NO_HOST: &str = "edge-isr-check.invalid";

/// A connector for each machine.
pub(crate) fn connect(
    name: &str,
    settings: LocationSettings,
) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
    let settings = Arc::new(settings);
    let machines = settings.machines.iter();
    machines
        .map(|machine| {
            let nginx = Nginx::new(name, machine, &settings)?;
            Ok(Arc::new(nginx) as Arc<dyn CdnConnector>)
        })
        .collect()
}

#[derive(Debug)]
struct Nginx {
    name: String,
    machine: Machine,
    settings: Arc<LocationSettings>,
    capabilities: Capabilities,
    client: Client,
    /// One permit for each request that may be under way.
    room: Semaphore,
}

/// What came of one target.
enum Outcome {
    Purged { copies: u64 },
    Refused(Target, String),
}

impl Nginx {
    fn new(
        name: &str,
        machine: &Machine,
        settings: &Arc<LocationSettings>,
    ) -> Result<Self, InvalidOption> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(InvalidOption::new(
                "kind",
                "needs TLS, and no provider is installed: install rustls' default provider first",
            ));
        }
        let client = Client::builder()
            .user_agent(concat!("edge-isr/", env!("CARGO_PKG_VERSION")))
            // The page's host goes into `Host`, which HTTP/2 would take from the machine's address.
            .http1_only()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.tier.timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| {
                InvalidOption::new("machines", format!("cannot be called: {error}"))
            })?;
        Ok(Self {
            name: format!("{name}@{}", machine.label),
            machine: machine.clone(),
            settings: Arc::clone(settings),
            capabilities: capabilities::of_location(settings),
            client,
            room: Semaphore::new(settings.concurrency.get()),
        })
    }

    /// Purges one target. An error that may pass ends the batch, which is sent again; one that will not is
    /// that of this target alone.
    async fn purge_one(&self, target: Target) -> Result<Outcome, ConnectorError> {
        let refused = |reason: String| Ok(Outcome::Refused(target.clone(), reason));
        let Target::Url(page) = &target else {
            return refused(format!(
                "nginx's purge location takes no target of kind {}: use method = \"cache_path\" for it",
                target.kind()
            ));
        };
        let Some(calls) = request::calls(page, &self.machine, &self.settings) else {
            return refused("the URL cannot be sent as it is".to_owned());
        };
        let mut copies = 0;
        for call in calls {
            match self.send(call).await {
                Ok(gone) => copies += gone,
                Err(ConnectorError::Refused { reason, .. }) => return refused(reason),
                Err(error) => return Err(error),
            }
        }
        Ok(Outcome::Purged { copies })
    }

    /// Sends one request and gives the number of copies that went.
    async fn send(&self, call: Call) -> Result<u64, ConnectorError> {
        let _permit = self.room.acquire().await.expect("it is never closed");
        let answer = self.exchange(call).await.map_err(|error| {
            // The URL says no more than the name does, and may be long.
            let source = error.without_url().into();
            ConnectorError::Unreachable {
                connector: self.name.clone(),
                source,
            }
        })?;
        answer.copies(&self.name, self.settings.answer_header.as_ref())
    }

    async fn exchange(&self, call: Call) -> Result<Answer, reqwest::Error> {
        let request = self.client.get(call.url).headers(call.headers);
        let mut response = request.send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = LONGEST_ANSWER - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == LONGEST_ANSWER {
                break;
            }
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

#[async_trait]
impl CdnConnector for Nginx {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let mut receipt = PurgeReceipt::default();
        let mut copies = 0;
        let mut outcomes = stream::iter(batch.targets().to_vec())
            .map(|target| self.purge_one(target))
            .buffer_unordered(self.settings.concurrency.get());
        while let Some(outcome) = outcomes.try_next().await? {
            match outcome {
                Outcome::Purged { copies: gone } => {
                    receipt.accepted += 1;
                    copies += gone;
                }
                Outcome::Refused(target, reason) => receipt.rejected.push((target, reason)),
            }
        }
        receipt.copies = Some(copies);
        match receipt.rejected.first() {
            Some((_, reason)) if receipt.accepted == 0 => Err(ConnectorError::Refused {
                connector: self.name.clone(),
                reason: reason.clone(),
            }),
            _ => Ok(receipt),
        }
    }

    async fn poll(&self, _reference: &Reference) -> Result<Completion, ConnectorError> {
        // Purges are carried out when they are answered, so nothing is handed out to ask about.
        Ok(Completion::Complete)
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let unused = Uuid::now_v7().simple();
        let page = PageUrl::parse(&format!("http://{NO_HOST}/{unused}"))
            .expect("a host and a path are a URL");
        let label = &self.machine.label;
        let path = &self.settings.purge_path;
        let calls = request::calls(&page, &self.machine, &self.settings);
        let call = calls.and_then(|mut calls| calls.pop());
        let finding = match self.send(call.expect("the URL is plain")).await {
            Ok(_) => Finding::good(format!("the purge location {path} at {label} answers")),
            Err(ConnectorError::Refused { reason, .. }) => Finding::bad(format!(
                "the purge location {path} at {label} does not purge: {reason}"
            )),
            Err(error) => return Err(error),
        };
        Ok(vec![finding])
    }
}
