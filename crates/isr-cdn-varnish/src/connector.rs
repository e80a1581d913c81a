//! One Varnish, as a tier.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::header;
use isr_core::{
    BoundedBody, Capabilities, CdnConnector, Completion, ConnectorError, Finding, InvalidOption,
    Machine, Mode, PageUrl, PurgeBatch, PurgeOutcome, PurgeReceipt, Reference, Target,
};
use reqwest::{Client, redirect};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::answer::Answer;
use crate::capabilities::capabilities;
use crate::options::{Options, Settings};
use crate::request::{self, Call};

/// What a `[[connector]]` table calls this kind.
pub const KIND: &str = "varnish";

/// The most bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1024;
/// A host that no page has: its domain is reserved (RFC 6761 §6.4).
const NO_HOST: &str = "edge-isr-check.invalid";

/// Connectors for every machine of the options, named `NAME@host:port`. Nobody is called.
///
/// # Errors
///
/// Options that cannot be used, and a process that has not installed rustls' default provider.
pub fn connect(name: &str, options: Options) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
    let settings = Arc::new(options.check()?);
    let machines = settings.machines.iter();
    machines
        .map(|machine| {
            let varnish = Varnish::new(name, machine, &settings)?;
            Ok(Arc::new(varnish) as Arc<dyn CdnConnector>)
        })
        .collect()
}

#[derive(Debug)]
struct Varnish {
    name: String,
    machine: Machine,
    settings: Arc<Settings>,
    capabilities: Capabilities,
    client: Client,
    /// One permit for each request that may be under way.
    room: Semaphore,
}

impl Varnish {
    fn new(name: &str, machine: &Machine, settings: &Arc<Settings>) -> Result<Self, InvalidOption> {
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
            .timeout(settings.timeout)
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
            capabilities: capabilities(settings),
            client,
            room: Semaphore::new(settings.concurrency.get()),
        })
    }

    /// Sends one request and gives the number of copies it was about, where that is said.
    async fn send(&self, call: &Call) -> Result<Option<u64>, ConnectorError> {
        let Some(url) = self.machine.url(&call.path) else {
            let reason = "the URL cannot be sent as it is";
            return Err(ConnectorError::refused_over_targets(&self.name, reason));
        };
        let _permit = self.room.acquire().await.expect("it is never closed");
        // The URL says no more than the name does, and may be long.
        let answer = self
            .exchange(url, call)
            .await
            .map_err(|error| ConnectorError::unreachable(&self.name, error.without_url()))?;
        answer.copies(&self.name, self.settings.headers.count.as_ref())
    }

    async fn exchange(&self, url: String, call: &Call) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .headers(call.headers.clone());
        if let Some((name, value)) = &self.settings.headers.secret {
            request = request.header(name, value);
        }
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

    /// Sends one request of a batch. What is refused over its targets is theirs alone; any other error ends
    /// the batch.
    async fn carry_out(&self, call: Call) -> Result<PurgeOutcome, ConnectorError> {
        let answer = self.send(&call).await;
        PurgeOutcome::of(call.targets, answer)
    }

    /// A request for each method that the VCL is to answer. None of it is about anything that
    /// is kept.
    fn questions(&self) -> Vec<(&'static str, Call)> {
        let names = &self.settings.headers;
        let unused = Uuid::now_v7().simple().to_string();
        let page = PageUrl::parse(&format!("http://{NO_HOST}/{unused}"))
            .expect("a host and a path are a URL");
        let soft = self.settings.soft;
        let mut questions = vec![("PURGE", request::url(&page, soft, names))];
        if self.settings.xkey {
            let key = format!("edge-isr-check:{unused}");
            questions.push(("PURGEKEYS", request::keys(&[&key], soft, names)));
        }
        if self.settings.ban {
            // The same each time, so that Varnish keeps one ban of it at most.
            let host = Target::Host(NO_HOST.to_owned());
            questions.push(("BAN", request::ban(&host, names)));
        }
        questions
            .into_iter()
            .filter_map(|(method, call)| Some((method, call?)))
            .collect()
    }
}

#[async_trait]
impl CdnConnector for Varnish {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let soft = batch.mode == Mode::Soft;
        let (calls, rejected) = request::calls(batch.targets(), soft, &self.settings);
        let mut receipt = PurgeReceipt {
            rejected,
            ..PurgeReceipt::default()
        };
        let mut outcomes = stream::iter(calls)
            .map(|call| self.carry_out(call))
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
        let mut findings = Vec::new();
        let label = self.machine.label();
        for (method, mut call) in self.questions() {
            call.headers
                .entry(header::HOST)
                .or_insert(header::HeaderValue::from_static(NO_HOST));
            findings.push(match self.send(&call).await {
                Ok(_) => Finding::good(format!("the VCL at {label} answers {method}")),
                Err(ConnectorError::Refused { reason, .. }) => {
                    Finding::bad(format!("{method} at {label}: {reason}"))
                }
                Err(error) => return Err(error),
            });
        }
        Ok(findings)
    }
}
