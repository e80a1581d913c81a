//! One nginx that is called, as a tier.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use isr_core::{
    BoundedBody, Capabilities, CdnConnector, Completion, ConnectorError, Finding, InvalidOption,
    Machine, PageUrl, PurgeBatch, PurgeOutcome, PurgeReceipt, Reference, Target,
};
use reqwest::{Client, redirect};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::answer::Answer;
use super::request::{self, Call};
use crate::capabilities;
use crate::options::LocationSettings;

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
            name: format!("{name}@{}", machine.label()),
            machine: machine.clone(),
            settings: Arc::clone(settings),
            capabilities: capabilities::of_location(settings),
            client,
            room: Semaphore::new(settings.concurrency.get()),
        })
    }

    /// Purges one target. What is refused over the target is that target's alone; any other error ends the
    /// batch.
    async fn purge_one(&self, target: Target) -> Result<PurgeOutcome, ConnectorError> {
        let answer = self.send_all(&target).await;
        PurgeOutcome::of(vec![target], answer.map(Some))
    }

    /// Sends every request of a target and gives the number of copies that went.
    async fn send_all(&self, target: &Target) -> Result<u64, ConnectorError> {
        let refused = |reason: String| ConnectorError::refused_over_targets(&self.name, reason);
        let Target::Url(page) = target else {
            return Err(refused(format!(
                "nginx's purge location takes no target of kind {}: use method = \"cache_path\" for it",
                target.kind()
            )));
        };
        let calls = request::calls(page, &self.machine, &self.settings)
            .ok_or_else(|| refused("the URL cannot be sent as it is".to_owned()))?;
        let mut copies = 0;
        for call in calls {
            copies += self.send(call).await?;
        }
        Ok(copies)
    }

    /// Sends one request and gives the number of copies that went.
    async fn send(&self, call: Call) -> Result<u64, ConnectorError> {
        let _permit = self.room.acquire().await.expect("it is never closed");
        // The URL says no more than the name does, and may be long.
        let answer = self
            .exchange(call)
            .await
            .map_err(|error| ConnectorError::unreachable(&self.name, error.without_url()))?;
        answer.copies(&self.name, self.settings.answer_header.as_ref())
    }

    async fn exchange(&self, call: Call) -> Result<Answer, reqwest::Error> {
        let request = self.client.get(call.url).headers(call.headers);
        let mut response = request.send().await?;
        let mut body = BoundedBody::with_room_for(LONGEST_ANSWER);
        while let Some(chunk) = response.chunk().await? {
            if body.push(&chunk).is_err() {
                break;
            }
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: body.into_text(),
            at: SystemTime::now(),
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
        let mut outcomes = stream::iter(batch.targets().to_vec())
            .map(|target| self.purge_one(target))
            .buffer_unordered(self.settings.concurrency.get());
        while let Some(outcome) = outcomes.try_next().await? {
            receipt.add(outcome);
        }
        receipt.unless_all_refused(&self.name)
    }

    async fn poll(&self, _reference: &Reference) -> Result<Completion, ConnectorError> {
        // Purges are carried out when they are answered, so nothing is handed out to ask about.
        Ok(Completion::Complete)
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let unused = Uuid::now_v7().simple();
        let page = PageUrl::parse(&format!("http://{NO_HOST}/{unused}"))
            .expect("a host and a path are a URL");
        let label = self.machine.label();
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
