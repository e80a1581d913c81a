//! The seam to the origin, and the two ways to reach one: over HTTP, and in this process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use isr_core::BoxError;
use tower_service::Service;

use crate::body::{OriginBody, RequestBody};

/// Why the origin gave no usable response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// No connection could be made, and nothing was sent.
    #[error("the origin cannot be reached")]
    Unreachable(#[source] BoxError),
    /// What came is not HTTP, or its header section is beyond the limits.
    #[error("the origin answered with a head that cannot be used")]
    Malformed(#[source] BoxError),
    /// The connection broke before the head had come.
    #[error("the origin broke off before it answered")]
    BrokeOff(#[source] BoxError),
    /// The head did not come in time.
    #[error("the origin did not answer in time")]
    TimedOut,
}

impl OriginError {
    /// The reason as the `detail` of `Cache-Status`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "origin_unreachable",
            Self::Malformed(_) => "origin_malformed_head",
            Self::BrokeOff(_) => "origin_broke_off",
            Self::TimedOut => "origin_timed_out",
        }
    }
}

/// Where responses come from.
#[async_trait]
pub trait Origin: fmt::Debug + Send + Sync + 'static {
    /// Sends a request, whose target is a path and query and whose fields are complete, and gives
    /// back the response once its head has come. A response of status 101 carries
    /// [`hyper::upgrade::OnUpgrade`] in its extensions.
    ///
    /// # Errors
    ///
    /// See [`OriginError`]; an error status is a response and no error.
    async fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<OriginBody>, OriginError>;
}

/// How an origin is reached over HTTP.
#[derive(Clone, Debug)]
pub struct HttpOriginOptions {
    /// How long connecting may take, TLS not counted. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default: 30 s.
    pub keep_idle: Duration,
    /// Unused connections kept at most. Default: 256.
    pub most_idle: usize,
    /// Header fields of a response at most. Default: 100.
    pub most_fields: usize,
    /// Bytes of a response's header section at most, at least 8 KiB. Default: 64 KiB.
    pub head_bytes: usize,
    /// Whether HTTP/2 is offered to origins with TLS. Default: no.
    pub http2: bool,
}

impl Default for HttpOriginOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            keep_idle: Duration::from_secs(30),
            most_idle: 256,
            most_fields: 100,
            head_bytes: 64 * 1024,
            http2: false,
        }
    }
}

/// An origin reached over HTTP/1.1, or HTTP/2 with TLS, through a pool of connections.
#[derive(Clone)]
pub struct HttpOrigin {
    scheme: Scheme,
    authority: Authority,
    client: Client<HttpsConnector<HttpConnector>, RequestBody>,
}

impl fmt::Debug for HttpOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpOrigin({}://{})", self.scheme, self.authority)
    }
}

/// A URL that is not that of an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no origin: write http:// or https:// and a host, and nothing after its port")]
pub struct InvalidOrigin {
    /// What was given.
    pub url: String,
}

impl HttpOrigin {
    /// An origin by its URL, such as `http://127.0.0.1:8000`. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// Other schemes, a missing host, and anything after the port are refused.
    pub fn new(url: &str, options: &HttpOriginOptions) -> Result<Self, InvalidOrigin> {
        let invalid = || InvalidOrigin {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(invalid());
        };
        let known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        let bare = parts.path_and_query.is_none_or(|rest| rest.as_str() == "/");
        if !known || !bare || authority.as_str().contains('@') {
            return Err(invalid());
        }
        Ok(Self {
            scheme,
            authority,
            client: client(options),
        })
    }
}

fn client(options: &HttpOriginOptions) -> Client<HttpsConnector<HttpConnector>, RequestBody> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(options.connect_timeout));
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .expect("the provider knows the default protocol versions")
        .https_or_http()
        .enable_http1();
    let connector = if options.http2 {
        tls.enable_http2().wrap_connector(tcp)
    } else {
        tls.wrap_connector(tcp)
    };
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(options.keep_idle)
        .pool_max_idle_per_host(options.most_idle)
        .http1_max_headers(options.most_fields)
        .http1_max_buf_size(options.head_bytes.max(8192))
        .build(connector)
}

#[async_trait]
impl Origin for HttpOrigin {
    async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<OriginBody>, OriginError> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() =
            Uri::from_parts(parts).map_err(|error| OriginError::Malformed(error.into()))?;
        let response = self.client.request(request).await.map_err(origin_error)?;
        Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync()))
    }
}

fn origin_error(error: hyper_util::client::legacy::Error) -> OriginError {
    if error.is_connect() {
        return OriginError::Unreachable(error.into());
    }
    let source = std::error::Error::source(&error);
    let malformed = source
        .and_then(|source| source.downcast_ref::<hyper::Error>())
        .is_some_and(hyper::Error::is_parse);
    if malformed {
        OriginError::Malformed(error.into())
    } else {
        OriginError::BrokeOff(error.into())
    }
}

/// An origin in this process: any tower service.
#[derive(Clone, Debug)]
pub struct ServiceOrigin<S>(S);

impl<S> ServiceOrigin<S> {
    /// Puts the cache in front of a service. The service is cloned for each request and must be
    /// ready at once, or wait within its call.
    pub const fn new(service: S) -> Self {
        Self(service)
    }
}

#[async_trait]
impl<S, B> Origin for ServiceOrigin<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + fmt::Debug,
    S: Send + Sync + 'static,
    S::Error: Into<BoxError> + Send,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<OriginBody>, OriginError> {
        let broke_off = |error: S::Error| OriginError::BrokeOff(error.into());
        let mut service = self.0.clone();
        std::future::poll_fn(|context| service.poll_ready(context))
            .await
            .map_err(broke_off)?;
        let response = boxed_call(&mut service, request).await.map_err(broke_off)?;
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

type BoxCall<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

/// The call as a future whose type says nothing of the service's, which the compiler could not
/// otherwise prove to be `Send` here.
fn boxed_call<S>(service: &mut S, request: Request<RequestBody>) -> BoxCall<S::Response, S::Error>
where
    S: Service<Request<RequestBody>>,
    S::Future: Send + 'static,
{
    Box::pin(service.call(request))
}

/// A future whose origin is given up on when it stays silent for `patience`; `moved` says how long
/// ago anything last happened, so that a slow upload is no silence.
pub(crate) async fn with_patience<F: Future>(
    future: F,
    patience: Duration,
    moved: impl Fn() -> Duration,
) -> Option<F::Output> {
    tokio::pin!(future);
    let mut wait = patience;
    loop {
        if let Ok(output) = tokio::time::timeout(wait, &mut future).await {
            return Some(output);
        }
        wait = patience.saturating_sub(moved());
        if wait.is_zero() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        let rows = [
            ("http://127.0.0.1:8000", true),
            ("https://app.example/", true),
            ("ftp://app.example", false),
            ("app.example", false),
            ("http://app.example/path", false),
            ("http://app.example/?q", false),
            ("http://user@app.example", false),
            ("", false),
        ];
        for (url, good) in rows {
            let origin = HttpOrigin::new(url, &HttpOriginOptions::default());
            assert_eq!(origin.is_ok(), good, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_only_after_silence() {
        let second = Duration::from_secs(1);
        let never = || with_patience(std::future::pending::<()>(), second, || second);
        assert!(never().await.is_none());
        let slow = tokio::time::sleep(Duration::from_millis(2500));
        assert!(
            with_patience(slow, second, || Duration::ZERO)
                .await
                .is_some()
        );
    }
}
