//! The connector.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use http::header::CONTENT_TYPE;
use isr_core::options::is_loopback;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, InvalidOption, Mode,
    PurgeBatch, PurgeReceipt, Reference,
};
use reqwest::Client;

use crate::answer::Answer;
use crate::capabilities::capabilities;
use crate::options::{Options, Settings};
use crate::request::body;
use crate::signature::{SIGNATURE_HEADER, signature};

/// What requests are sent as.
const USER_AGENT: &str = concat!("edge-isr/", env!("CARGO_PKG_VERSION"));

/// One receiver.
#[derive(Debug)]
struct Webhook {
    name: String,
    settings: Settings,
    capabilities: Capabilities,
    client: Client,
}

/// The connector that some options describe. Nobody is called.
///
/// The process must have installed rustls' default provider.
///
/// # Errors
///
/// The first option that cannot be used, and what to do about it.
pub fn connect(name: &str, options: Options) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
    let settings = options.check()?;
    let client = client(&settings)?;
    Ok(vec![Arc::new(Webhook {
        name: name.to_owned(),
        capabilities: capabilities(name, &settings),
        settings,
        client,
    })])
}

/// A client that follows no redirect and repeats nothing.
fn client(settings: &Settings) -> Result<Client, InvalidOption> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let fault = "cannot be reached by TLS: install rustls' default provider before connecting";
        return Err(InvalidOption::new("url", fault));
    }
    let mut client = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout);
    if settings.endpoint.0.host_str().is_some_and(is_loopback) {
        client = client.no_proxy();
    }
    client.build().map_err(|error| {
        let error = error.without_url();
        let fault = format!("cannot be called, since no HTTP client could be set up: {error}");
        InvalidOption::new("url", fault)
    })
}

#[async_trait]
impl CdnConnector for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let soft = self.settings.soft && batch.mode == Mode::Soft;
        let body = body(batch, soft, &self.capabilities).map_err(|target| {
            let kind = target.kind();
            self.refused(format!(
                "it takes no target of the kind {kind}: see its option `kinds`"
            ))
        })?;
        let body = serde_json::to_vec(&body).expect("it is made of texts alone");
        let signature = signature(&self.settings.secret, SystemTime::now(), &body);
        let call = self
            .client
            .post(self.settings.endpoint.0.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, signature)
            .body(body);
        let answer = Answer::read(&self.name, call.send().await).await?;
        answer.receipt(&self.name, batch)
    }

    async fn poll(&self, _: &Reference) -> Result<Completion, ConnectorError> {
        Err(self.refused("a receiver does not say when a purge has been carried out".to_owned()))
    }

    /// Asks for the headers alone, unsigned: there is no call that purges nothing, since a receiver
    /// might take an empty one for everything.
    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let endpoint = &self.settings.endpoint;
        let look = self.client.head(endpoint.0.clone());
        let answer = Answer::read(&self.name, look.send().await).await?;
        let status = answer.status;
        let found = match answer.succeeded(&self.name) {
            Err(error) if error.is_retryable() => return Err(error),
            Err(_) if matches!(status.as_u16(), 404 | 410) => Finding::bad(format!(
                "{endpoint} answers {status} to HEAD for the path of `url`: check the path, or let \
                 the receiver answer HEAD with 204 or 405"
            )),
            Err(_) if status.is_redirection() => Finding::bad(format!(
                "{endpoint} answers {status}, and redirects are not followed: set `url` to where it \
                 leads"
            )),
            _ => Finding::good(format!(
                "{endpoint} answers; whether it accepts the signature shows with the first purge"
            )),
        };
        Ok(vec![found])
    }
}

impl Webhook {
    fn refused(&self, reason: String) -> ConnectorError {
        ConnectorError::refused(&self.name, reason)
    }
}
