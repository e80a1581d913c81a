//! Asking over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An answer, whole or broken off.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
    /// How long it took, to the last byte.
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).context("the answer is not what was expected")
    }
}

/// A client with connections of its own.
#[derive(Clone, Debug)]
pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Asks for a page of a host, at whatever address.
    pub(crate) async fn page(
        &self,
        url: &str,
        host: &str,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        let request = Request::get(url).header(header::HOST, host);
        self.ask(request.body(Full::default())?, patience).await
    }

    /// Reads JSON; `None` for what there is not.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        url: &str,
        patience: Duration,
    ) -> anyhow::Result<Option<T>> {
        let request = Request::get(url).body(Full::default())?;
        let answer = self.ask(request, patience).await?;
        match answer.status {
            200 if answer.whole => answer.read().map(Some),
            404 => Ok(None),
            status => bail!("answered {status}"),
        }
    }

    /// Sends JSON.
    pub(crate) async fn post(
        &self,
        url: &str,
        body: &Value,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))?;
        self.ask(request, patience).await
    }

    async fn ask(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + patience;
        let response = tokio::time::timeout_at(deadline, self.0.request(request));
        let response = response.await.map_err(|_| anyhow!("no answer in time"))??;
        let (parts, mut body) = Response::into_parts(response);
        let mut bytes = Vec::new();
        let reading = read(&mut body, &mut bytes);
        let whole = tokio::time::timeout_at(deadline, reading).await == Ok(true);
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: bytes,
            whole,
            took: started.elapsed(),
        })
    }
}

/// Reads a body as far as it comes; says whether it came to its end.
async fn read(body: &mut Incoming, bytes: &mut Vec<u8>) -> bool {
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend(frame.data_ref().map(Bytes::as_ref).unwrap_or_default()),
            Err(_) => return false,
        }
    }
    true
}
