//! Serving the cache on a socket.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service as _;

use crate::edge::Edge;
use crate::patient::Patient;
use crate::visit::Peer;

/// How connections are served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Connections at once; more wait to be accepted. Default: 10 000.
    pub most_connections: usize,
    /// How long the head of a request may take, from when the connection was made or the response
    /// before it ended: an unused connection is closed then. HTTP/1.1 only. Default: 30 s.
    pub head_timeout: Duration,
    /// How long a client may take nothing of what is sent to it before its connection is closed.
    /// Default: 1 min.
    pub send_timeout: Duration,
    /// Bytes of a request's header section at most, at least 8 KiB. Default: 64 KiB.
    pub head_bytes: usize,
    /// How long requests under way may take once the server is to stop. Default: 30 s.
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

/// Serves the cache over HTTP/1.1 and cleartext HTTP/2 until `shutdown` is done; then accepts no
/// more, and waits for the requests under way. Says whether all of them ended within the grace.
///
/// Dropping the future stops accepting; connections that are open go on.
pub async fn serve(
    listener: TcpListener,
    edge: Edge,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> bool {
    let server = server(&options);
    let connections = Arc::new(Semaphore::new(options.most_connections.max(1)));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let stream = Patient::new(stream, options.head_timeout, options.send_timeout);
                let connection = connection(&server, stream, peer, edge.clone());
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    let _permit = permit;
                    if let Err(error) = connection.await {
                        tracing::debug!(error, %peer, "a connection broke off");
                    }
                });
            }
            Err(error) => {
                // Out of file handles, most likely, so that trying again at once would only spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    tokio::time::timeout(options.grace, graceful.shutdown())
        .await
        .is_ok()
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

fn connection(
    server: &Builder<TokioExecutor>,
    stream: Patient<TcpStream>,
    peer: SocketAddr,
    edge: Edge,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = isr_core::BoxError> + Send + 'static
{
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        edge.clone().call(request)
    });
    server
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .into_owned()
}
