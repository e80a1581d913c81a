//! An origin reached over HTTP, with or without TLS.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http::header::HOST;
use http::uri::{Authority, Scheme, Uri};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use isr_core::BoxError;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::body::{BodyError, OriginBody, RequestBody};
use crate::origin::{Origin, OriginError};

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
    /// Certificates of authorities that are trusted besides the public ones (Mozilla's list), as DER.
    /// Default: none.
    pub extra_roots: Vec<CertificateDer<'static>>,
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
            extra_roots: Vec::new(),
        }
    }
}

/// An origin reached over HTTP/1.1, or HTTP/2 with TLS, through a pool of connections.
///
/// What is connected to, and whose name is asked for in the TLS handshake (RFC 6066 §3) and has to
/// stand in the certificate, is the host of the origin's URL. The `Host` of the requests is the
/// site's own: the origin is told what its visitors typed.
#[derive(Clone)]
pub struct HttpOrigin {
    scheme: Scheme,
    authority: Authority,
    /// Whether requests name their own host as the authority; see [`HttpOrigin::authority_of`].
    http2: bool,
    client: Client<ToOrigin, RequestBody>,
}

impl fmt::Debug for HttpOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpOrigin({}://{})", self.scheme, self.authority)
    }
}

/// Why something is no origin that can be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOrigin {
    /// A URL that is not that of an origin.
    #[error(
        "`{url}` is no origin: write http:// or https:// and a host, and nothing after its port"
    )]
    Url {
        /// What was given.
        url: String,
    },
    /// An additional root certificate that cannot be read.
    #[error("additional root certificate {number} cannot be used: give X.509 certificates")]
    Root {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
}

impl HttpOrigin {
    /// An origin by its URL, such as `http://127.0.0.1:8000`. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// Other schemes, a missing host, and anything after the port are refused, and so are additional
    /// root certificates that cannot be read.
    pub fn new(url: &str, options: &HttpOriginOptions) -> Result<Self, InvalidOrigin> {
        let invalid = || InvalidOrigin::Url {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let parts = uri.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(invalid());
        };
        let known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        let bare = parts.path_and_query.is_none_or(|rest| rest.as_str() == "/");
        if !known || !bare || authority.as_str().contains('@') {
            return Err(invalid());
        }
        Ok(Self {
            http2: options.http2 && scheme == Scheme::HTTPS,
            scheme,
            authority,
            client: client(uri, options)?,
        })
    }

    /// The authority of a request's target. HTTP/2 sends it as `:authority`, which must not differ
    /// from `Host` (RFC 9113 §8.3.1); HTTP/1.1 sends `Host` alone, so that there all hosts of a site
    /// can share connections.
    fn authority_of(&self, headers: &HeaderMap) -> Authority {
        let host = headers.get(HOST).filter(|_| self.http2);
        host.and_then(|host| Authority::try_from(host.as_bytes()).ok())
            .unwrap_or_else(|| self.authority.clone())
    }

    fn error(&self, error: hyper_util::client::legacy::Error) -> OriginError {
        if let Some(rustls::Error::InvalidCertificate(_)) = cause(&error) {
            let host = self.authority.host().to_owned();
            let source = error.into();
            return OriginError::Untrusted { host, source };
        }
        if let Some(BodyError::VisitorSilent) = cause(&error) {
            return OriginError::VisitorSilent;
        }
        if error.is_connect() {
            return OriginError::Unreachable(error.into());
        }
        let malformed = error
            .source()
            .and_then(|source| source.downcast_ref::<hyper::Error>())
            .is_some_and(hyper::Error::is_parse);
        if malformed {
            OriginError::Malformed(error.into())
        } else {
            OriginError::BrokeOff(error.into())
        }
    }
}

/// The first error of a kind that is behind another.
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // The source of an I/O error is the source of the error that it stands for, not that error.
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => cause(inner),
        None => cause(error.source()?),
    }
}

fn client(
    origin: Uri,
    options: &HttpOriginOptions,
) -> Result<Client<ToOrigin, RequestBody>, InvalidOrigin> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(options.connect_timeout));
    let tls = HttpsConnectorBuilder::new()
        .with_tls_config(tls(&options.extra_roots)?)
        .https_or_http()
        .enable_http1();
    let connector = if options.http2 {
        tls.enable_http2().wrap_connector(tcp)
    } else {
        tls.wrap_connector(tcp)
    };
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(options.keep_idle)
        .pool_max_idle_per_host(options.most_idle)
        .http1_max_headers(options.most_fields)
        .http1_max_buf_size(options.head_bytes.max(8192))
        .build(ToOrigin { origin, connector }))
}

fn tls(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, InvalidOrigin> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.into(),
    };
    for (index, root) in extra_roots.iter().enumerate() {
        let unusable = |source: rustls::Error| InvalidOrigin::Root {
            number: index + 1,
            source: source.into(),
        };
        roots.add(root.clone()).map_err(unusable)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default protocol versions");
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Connects to the origin, whichever of the site's hosts a request is for.
#[derive(Clone, Debug)]
struct ToOrigin {
    origin: Uri,
    connector: HttpsConnector<HttpConnector>,
}

impl Service<Uri> for ToOrigin {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = <HttpsConnector<HttpConnector> as Service<Uri>>::Error;
    type Future = <HttpsConnector<HttpConnector> as Service<Uri>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        self.connector.call(self.origin.clone())
    }
}

#[async_trait]
impl Origin for HttpOrigin {
    async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<OriginBody>, OriginError> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority_of(request.headers()));
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() =
            Uri::from_parts(parts).map_err(|error| OriginError::Malformed(error.into()))?;
        let answer = self.client.request(request).await;
        let response = answer.map_err(|error| self.error(error))?;
        Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync()))
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

    #[test]
    fn a_root_that_is_no_certificate_is_refused_by_its_number() {
        let options = HttpOriginOptions {
            extra_roots: vec![CertificateDer::from(vec![1, 2, 3])],
            ..HttpOriginOptions::default()
        };
        let refusal = HttpOrigin::new("https://app.example", &options).unwrap_err();
        assert!(
            matches!(refusal, InvalidOrigin::Root { number: 1, .. }),
            "{refusal}"
        );
    }
}
