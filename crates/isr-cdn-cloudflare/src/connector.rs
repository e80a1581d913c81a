//! The connector.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use isr_core::options::is_loopback;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, InvalidOption, Mode,
    PurgeBatch, PurgeReceipt, Reference,
};
use reqwest::{Client, RequestBuilder};
use serde::de::IgnoredAny;

use crate::answer::Answer;
use crate::capabilities::capabilities;
use crate::options::{Options, Settings};
use crate::request::request;

/// What requests are sent as.
const USER_AGENT: &str = concat!("edge-isr/", env!("CARGO_PKG_VERSION"));

/// One zone at Cloudflare.
#[derive(Debug)]
pub(crate) struct Cloudflare {
    pub(crate) name: String,
    pub(crate) settings: Settings,
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
    Ok(vec![Arc::new(Cloudflare {
        name: name.to_owned(),
        capabilities: capabilities(&settings),
        settings,
        client,
    })])
}

/// A client that follows no redirect and repeats nothing.
fn client(settings: &Settings) -> Result<Client, InvalidOption> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let fault = "cannot be reached by TLS: install rustls' default provider before connecting";
        return Err(InvalidOption::new("api_base", fault));
    }
    let mut token = HeaderValue::try_from(format!("Bearer {}", settings.token.expose()))
        .expect("a checked token is printable");
    token.set_sensitive(true);
    let mut client = Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, token)]))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout);
    if settings.api_base.host_str().is_some_and(is_loopback) {
        client = client.no_proxy();
    }
    client.build().map_err(|error| {
        let fault = format!("cannot be called, since no HTTP client could be set up: {error}");
        InvalidOption::new("api_base", fault)
    })
}

#[async_trait]
impl CdnConnector for Cloudflare {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let request = request(batch, &self.settings.variant_headers)
            .map_err(|reason| ConnectorError::refused_over_targets(&self.name, reason))?;
        let mut pause = None;
        if request.sent > 0 {
            // Both take the same bodies and count towards the same limits.
            let endpoint = match batch.mode {
                Mode::Soft if self.settings.soft => "invalidate_cache",
                Mode::Soft | Mode::Hard => "purge_cache",
            };
            let body = serde_json::to_vec(&request.body).expect("it is made of texts alone");
            let path = format!("zones/{}/{endpoint}", self.settings.zone);
            let call = self.client.post(self.url(&path)).body(body);
            let call = call.header(http::header::CONTENT_TYPE, "application/json");
            let answer = self.answer_to(call).await?;
            answer.result::<IgnoredAny>(&self.name)?;
            pause = answer.pause();
        }
        Ok(PurgeReceipt {
            accepted: request.sent,
            rejected: request.rejected,
            pause,
            ..PurgeReceipt::default()
        })
    }

    async fn poll(&self, _: &Reference) -> Result<Completion, ConnectorError> {
        Err(self.refused("Cloudflare does not say when a purge has been carried out"))
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.look().await
    }
}

impl Cloudflare {
    /// Looks something up.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, ConnectorError> {
        self.answer_to(self.client.get(self.url(path))).await
    }

    async fn answer_to(&self, call: RequestBuilder) -> Result<Answer, ConnectorError> {
        Answer::read(&self.name, call.send().await).await
    }

    fn url(&self, path: &str) -> String {
        let base = self.settings.api_base.as_str().trim_end_matches('/');
        format!("{base}/{path}")
    }

    fn refused(&self, reason: &str) -> ConnectorError {
        ConnectorError::refused(&self.name, reason)
    }
}
