//! Serving the cache, or another service, on a socket.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use isr_core::BoxError;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tower_service::Service;

use crate::patient::Patient;
use crate::visit::Peer;

/// How connections are served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Connections at once, upgraded ones among them; more wait to be accepted. Default: 10 000.
    pub most_connections: usize,
    /// How long the head of a request may take, from when the connection was made or the response
    /// before it ended: an unused connection is closed then. HTTP/1.1 only. Default: 30 s.
    pub head_timeout: Duration,
    /// How long a client may take nothing of what is sent to it before its connection is closed.
    /// Default: 1 min.
    pub send_timeout: Duration,
    /// Bytes of a request's header section at most, at least 8 KiB. Default: 64 KiB.
    pub head_bytes: usize,
    /// How long requests under way, and upgraded connections, may take once the server is to stop.
    /// Default: 30 s.
    pub grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            most_connections: 10_000,
            head_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_mins(1),
            head_bytes: 64 * 1024,
            grace: Duration::from_secs(30),
        }
    }
}

/// Serves the cache, or any other service, over HTTP/1.1 and cleartext HTTP/2 until `shutdown` is done;
/// then accepts no more, closes connections on which no request has come whole, and waits for the
/// requests under way and for upgraded connections. Says whether all of them ended within the grace.
///
/// Each request has the [`Peer`] it came from as an extension. The service is cloned for each.
///
/// Dropping the future stops accepting; connections that are open go on.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> bool
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let server = server(&options);
    let connections = Arc::new(Semaphore::new(options.most_connections.max(1)));
    let (awaited, mut all_ended) = mpsc::channel(1);
    let (stop, _) = watch::channel(false);
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let stream = Patient::new(stream, options.head_timeout, options.send_timeout);
                let connection = Connection::new(permit, awaited.clone());
                let begun = Arc::clone(&connection.0);
                let serving = serving(&server, stream, peer, service.clone(), connection);
                tokio::spawn(see_through(serving, begun, stop.subscribe(), peer));
            }
            Err(error) => {
                // Out of file handles, most likely, so that trying again at once would only spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop((listener, awaited));
    stop.send_replace(true);
    tokio::time::timeout(options.grace, all_ended.recv())
        .await
        .is_ok()
}

/// A visitor's connection, as an extension of his requests: it counts as one, and is waited for, until
/// the last copy is gone. Whoever takes the connection over keeps one.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Open>);

#[derive(Debug)]
struct Open {
    /// Whether a request has come whole.
    begun: AtomicBool,
    _permit: OwnedSemaphorePermit,
    _awaited: mpsc::Sender<Infallible>,
}

impl Connection {
    fn new(permit: OwnedSemaphorePermit, awaited: mpsc::Sender<Infallible>) -> Self {
        Self(Arc::new(Open {
            begun: AtomicBool::new(false),
            _permit: permit,
            _awaited: awaited,
        }))
    }
}

/// Sees a connection through to its end, or to the server's.
async fn see_through(
    connection: impl GracefulConnection<Error = BoxError>,
    open: Arc<Open>,
    stop: watch::Receiver<bool>,
    peer: SocketAddr,
) {
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased; // so that a request that has come is seen before the stop
        ended = connection.as_mut() => Some(ended),
        () = stopped(stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None if open.begun.load(Ordering::Relaxed) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        // Nobody is owed an answer, and a request that is half there may never come whole.
        None => return,
    };
    if let Err(error) = ended {
        tracing::debug!(error, %peer, "a connection broke off");
    }
}

/// Ends when the server is to stop; never, when nobody is there any more to say so.
async fn stopped(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections)
        .acquire_owned()
        .await
        .expect("it is never closed");
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

fn server(options: &ServeOptions) -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .max_buf_size(options.head_bytes.max(8192));
    let fields = u32::try_from(options.head_bytes).unwrap_or(u32::MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(fields);
    server
}

fn serving<S, B>(
    server: &Builder<TokioExecutor>,
    stream: Patient<TcpStream>,
    peer: SocketAddr,
    service: S,
    connection: Connection,
) -> impl GracefulConnection<Error = BoxError> + Send + 'static
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let service = TowerToHyperService::new(service);
    let service = service_fn(move |mut request: Request<Incoming>| {
        connection.0.begun.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(connection.clone());
        hyper::service::Service::call(&service, request)
    });
    server
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned()
}
