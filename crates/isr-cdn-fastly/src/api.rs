//! Fastly's API: how calls are made and answers are read.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use isr_core::{BoundedBody, BoxError, InvalidOption};
use reqwest::{Client, RequestBuilder, redirect};

use crate::options::Settings;
use crate::request::{AsksFor, Request};

/// The most bytes that are read of an answer: 256 keys of 256 bytes, each written twice as long at worst,
/// with an ID each.
const LONGEST_ANSWER: usize = 256 * 1024;

/// The field that holds the token.
const TOKEN: HeaderName = HeaderName::from_static("fastly-key");

/// The field that makes a purge soft, by being there.
const SOFT: HeaderName = HeaderName::from_static("fastly-soft-purge");

/// A client of the API.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    settings: Settings,
}

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// When it had come.
    pub(crate) at: SystemTime,
}

impl Api {
    pub(crate) fn new(settings: Settings) -> Result<Self, InvalidOption> {
        let api_base = |fault: String| InvalidOption::new("api_base", fault);
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(api_base(
                "cannot be called: no TLS provider is installed; install rustls' default provider before \
                 making connectors"
                    .to_owned(),
            ));
        }
        let fields = [
            (TOKEN, settings.token.clone()),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
        ];
        let client = Client::builder()
            .user_agent(concat!("edge-isr/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter(fields))
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| api_base(format!("cannot be called: {error}")))?;
        Ok(Self { client, settings })
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks for a purge.
    pub(crate) async fn purge(&self, request: &Request) -> Result<Answer, BoxError> {
        let mut call = self.client.post(&request.url);
        if request.soft {
            call = call.header(SOFT, "1");
        }
        if let AsksFor::Keys(keys) = &request.asks_for {
            let body = serde_json::json!({ "surrogate_keys": keys }).to_string();
            call = call
                .header(header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        answer(call).await
    }

    /// Looks at something; `path` begins with a slash.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, BoxError> {
        answer(self.client.get(format!("{}{path}", self.settings.api_base))).await
    }
}

async fn answer(call: RequestBuilder) -> Result<Answer, BoxError> {
    let mut response = call.send().await.map_err(reqwest::Error::without_url)?;
    let mut body = BoundedBody::with_room_for(LONGEST_ANSWER);
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)?
    {
        body.push(&chunk)?;
    }
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body: body.into_bytes(),
        at: SystemTime::now(),
    })
}
