//! A relay in front of a service that keeps what passes, and misbehaves when told to.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Respond};

use super::Fault;

/// What [`Fault::Garbage`] looks like: a login page between the caller and the service.
const GARBAGE: &str = "<!doctype html><title>Welcome to our network</title><p>Please log in.";

/// A relay on a free port of the loopback interface, by HTTP/1.1 without TLS. It ends when this is
/// dropped, with every connection it has.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    relay: Arc<Relay>,
    task: JoinHandle<()>,
    /// What is behind it, where that is a model.
    model: Option<MockServer>,
}

/// A request that came, and what the service answered to it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When the request had come.
    pub at: Instant,
    /// The request's method.
    pub method: Method,
    /// The request's path and query.
    pub target: String,
    /// The request's header fields.
    pub headers: HeaderMap,
    /// The request's body.
    pub body: Bytes,
    /// What the service answered; `None` when it has not seen the request, or not answered yet.
    pub answer: Option<(StatusCode, Bytes)>,
}

#[derive(Debug)]
struct Relay {
    service: String,
    failure: fn(u16) -> String,
    client: Client<HttpConnector, Full<Bytes>>,
    script: Mutex<VecDeque<Fault>>,
    exchanges: Mutex<Vec<Exchange>>,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

impl Front {
    /// A relay to a service that listens at `host:port`, on the loopback interface. `failure` is the
    /// body with which the service itself sends a status that is no success.
    ///
    /// # Panics
    ///
    /// When no port is to be had.
    pub async fn before(service: &str, failure: fn(u16) -> String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("the loopback interface has a free port");
        let relay = Arc::new(Relay {
            service: service.to_owned(),
            failure,
            client: Client::builder(TokioExecutor::new()).build_http(),
            script: Mutex::default(),
            exchanges: Mutex::default(),
        });
        Self {
            address: listener.local_addr().expect("it is bound"),
            task: tokio::spawn(accept(listener, Arc::clone(&relay))),
            relay,
            model: None,
        }
    }

    /// A relay to a model that answers every request like this, and ends with the relay.
    pub async fn before_model(model: impl Respond + 'static, failure: fn(u16) -> String) -> Self {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(model).mount(&server).await;
        let mut front = Self::before(&server.address().to_string(), failure).await;
        front.model = Some(server);
        front
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says how the next request ends for which nothing has been said yet.
    pub fn next(&self, fault: Fault) {
        self.relay.script.lock().push_back(fault);
    }

    /// Every request that came so far, in the order in which they were read.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.relay.exchanges.lock().clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, relay: Arc<Relay>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&relay)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, relay: Arc<Relay>) {
    let service = service_fn(move |request| {
        let relay = Arc::clone(&relay);
        async move { relay.answer(request).await }
    });
    // A connection that breaks is what the caller sees, and nothing to anybody here.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Relay {
    /// An error closes the connection without an answer.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let index = self.keep(&head, &body);
        let fault = self.script.lock().pop_front();
        Ok(match fault {
            None => whole(self.pass_on(index, head, body).await?),
            Some(Fault::Truncated) => cut_short(self.pass_on(index, head, body).await?),
            Some(Fault::Slow) => in_pieces(self.pass_on(index, head, body).await?),
            Some(Fault::Reset) => return Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::Hang) => pending().await,
            Some(Fault::Garbage) => whole(Response::new(Bytes::from_static(GARBAGE.as_bytes()))),
            Some(Fault::Status(status)) => whole(self.failed(status)),
            Some(Fault::Throttled { seconds }) => {
                let mut response = self.failed(429);
                let delay = HeaderValue::from(seconds);
                response.headers_mut().insert(header::RETRY_AFTER, delay);
                whole(response)
            }
        })
    }

    fn keep(&self, head: &http::request::Parts, body: &Bytes) -> usize {
        let mut exchanges = self.exchanges.lock();
        exchanges.push(Exchange {
            at: Instant::now(),
            method: head.method.clone(),
            target: head.uri.to_string(),
            headers: head.headers.clone(),
            body: body.clone(),
            answer: None,
        });
        exchanges.len() - 1
    }

    async fn pass_on(
        &self,
        index: usize,
        mut head: http::request::Parts,
        body: Bytes,
    ) -> io::Result<Response<Bytes>> {
        let uri = format!("http://{}{}", self.service, head.uri);
        head.uri = uri.parse::<Uri>().map_err(io::Error::other)?;
        let request = Request::from_parts(head, Full::new(body));
        let response = self.client.request(request).await;
        let (mut head, body) = response.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        // How long the body is, is said anew where it is sent on.
        head.headers.remove(header::TRANSFER_ENCODING);
        head.headers.remove(header::CONNECTION);
        self.exchanges.lock()[index].answer = Some((head.status, body.clone()));
        Ok(Response::from_parts(head, body))
    }

    fn failed(&self, status: u16) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from((self.failure)(status)));
        *response.status_mut() = StatusCode::from_u16(status).expect("a test names a real status");
        response
    }
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|body| {
        Full::new(body)
            .map_err(|never: Infallible| match never {})
            .boxed_unsync()
    })
}

/// Half the body, and then the end of the connection.
fn cut_short(response: Response<Bytes>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let promised = HeaderValue::from(body.len().max(2));
    head.headers.insert(header::CONTENT_LENGTH, promised);
    let half = body.slice(..body.len() / 2);
    let frames = stream::iter([Ok(Frame::data(half))]).chain(stream::once(async {
        // Gives way once, so that what is there already is sent.
        tokio::task::yield_now().await;
        Err(io::ErrorKind::ConnectionReset.into())
    }));
    Response::from_parts(head, StreamBody::new(frames).boxed_unsync())
}

/// The body in five pieces, with a pause before each.
fn in_pieces(response: Response<Bytes>) -> Response<Body> {
    const PIECES: usize = 5;
    const PAUSE: Duration = Duration::from_millis(100);
    let (mut head, body) = response.into_parts();
    head.headers
        .insert(header::CONTENT_LENGTH, body.len().into());
    let ends = (0..=PIECES).map(|piece| body.len() * piece / PIECES);
    let pieces: Vec<Bytes> = ends
        .clone()
        .zip(ends.skip(1))
        .map(|(start, end)| body.slice(start..end))
        .filter(|piece| !piece.is_empty())
        .collect();
    let frames = stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(PAUSE).await;
        Ok(Frame::data(piece))
    });
    Response::from_parts(head, StreamBody::new(frames).boxed_unsync())
}
