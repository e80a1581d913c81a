//! The service: from a request's head to its response's head.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use isr_core::BoxError;
use tower_service::Service;

use crate::Page;
use crate::parts::Setup;
use crate::route::Route;
use crate::{arrive, depart};

/// What [`IsrLayer`](crate::IsrLayer) makes of a service.
#[derive(Clone, Debug)]
pub struct IsrService<S> {
    inner: S,
    setup: Arc<Setup>,
    route: Arc<Route>,
}

/// The parts of a request by which its response is judged.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
}

impl<S> IsrService<S> {
    pub(crate) const fn new(inner: S, setup: Arc<Setup>, route: Arc<Route>) -> Self {
        Self {
            inner,
            setup,
            route,
        }
    }
}

impl<S, Q, B> Service<Request<Q>> for IsrService<S>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    Q: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let unready = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, unready); // the clone has not been polled ready
        Box::pin(answer(
            ready,
            Arc::clone(&self.setup),
            Arc::clone(&self.route),
            request,
        ))
    }
}

async fn answer<S, Q, B>(
    mut inner: S,
    setup: Arc<Setup>,
    route: Arc<Route>,
    request: Request<Q>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Q>, Response = Response<B>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = request.into_parts();
    let outer = Page::of(&head.extensions)
        .filter(|page| Arc::ptr_eq(page.setup(), &setup))
        .cloned();
    if let Some(page) = outer {
        route.describe(&page, &mut head).await;
        let response = inner.call(Request::from_parts(head, body)).await?;
        return Ok(response.map(Body::new)); // the outer layer goes on with it
    }
    let page = Page::new(Arc::clone(&setup), arrive::visit(&setup, &mut head).await);
    route.describe(&page, &mut head).await;
    head.extensions.insert(page.clone());
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let response = inner.call(Request::from_parts(head, body)).await?;
        return Ok(response.map(Body::new));
    }
    // The inner service takes the request, and the response's `Vary` selects from it afterwards.
    let asked = Asked {
        method: head.method.clone(),
        headers: head.headers.clone(),
    };
    let response = inner.call(Request::from_parts(head, body)).await?;
    Ok(depart::depart(&page, &asked, response).await)
}
