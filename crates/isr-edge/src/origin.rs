//! The seam to the origin, and an origin in this process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
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
    /// The origin's TLS certificate is not valid for its host, or nobody who is trusted has issued it.
    /// Nothing was sent.
    #[error(
        "the TLS certificate of {host} is not trusted: name the authority that issued it, or have \
         one issued for this host"
    )]
    Untrusted {
        /// The host that was connected to.
        host: String,
        /// What is wrong with the certificate.
        #[source]
        source: BoxError,
    },
    /// What came is not HTTP, or its header section is beyond the limits.
    #[error("the origin answered with a head that cannot be used")]
    Malformed(#[source] BoxError),
    /// The connection broke before the head had come.
    #[error("the origin broke off before it answered")]
    BrokeOff(#[source] BoxError),
    /// The head did not come in time.
    #[error("the origin did not answer in time")]
    TimedOut,
    /// Not all of the request could be sent, because the visitor who sent it fell silent.
    #[error("the visitor fell silent within his request")]
    VisitorSilent,
}

impl OriginError {
    /// The reason as the `detail` of `Cache-Status`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "origin_unreachable",
            Self::Untrusted { .. } => "origin_untrusted",
            Self::Malformed(_) => "origin_malformed_head",
            Self::BrokeOff(_) => "origin_broke_off",
            Self::TimedOut => "origin_timed_out",
            Self::VisitorSilent => "visitor_silent",
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
