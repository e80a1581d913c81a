//! A running server, asked over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use edge_isr::core::Secret;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Request;
use crate::failure::Failure;

/// How long a server may take to accept a connection before it counts as one that is there and busy.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    base: Url,
    token: Option<Secret>,
    http: reqwest::Client,
}

/// Whether anybody listens at an address of the admin API.
pub(super) async fn listens(address: SocketAddr) -> bool {
    !matches!(
        timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await,
        Ok(Err(_))
    )
}

impl Server {
    pub(super) fn new(base: &Url, token: Option<Secret>) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(Failure::asked)?;
        Ok(Self {
            base: base.clone(),
            token,
            http,
        })
    }

    pub(super) fn name(&self) -> String {
        format!("the server at {}", self.base)
    }

    pub(super) async fn send(&self, request: Request) -> Result<(StatusCode, Bytes), Failure> {
        let Request {
            method,
            url,
            body,
            patience,
        } = request;
        let mut builder = self.http.request(method, url).timeout(patience);
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body);
        }
        let unreachable = |error| self.unreachable(error);
        let response = builder.send().await.map_err(unreachable)?;
        let status = response.status();
        Ok((status, response.bytes().await.map_err(unreachable)?))
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let error = anyhow::Error::from(error.without_url());
        Failure::Unreachable(format!("no answer from {}: {error:#}", self.name()))
    }
}
