//! An origin for tests of caches: what it serves has a version, and it counts who asks.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What pages say of their lifetimes unless they were given headers of their own.
const CACHE_CONTROL: &str = "max-age=0, s-maxage=600, stale-while-revalidate=600";

/// An origin on a free port of the loopback interface.
///
/// The body of every page is `HOST PATH?QUERY LANGUAGE vN`, where `LANGUAGE` is the request's
/// `Accept-Language` or `-` and `N` the version, which is 1 until [`CountingOrigin::publish`]. Pages can be
/// kept by shared caches for ten minutes, and have an entity tag. Only `GET` and `HEAD` are served.
#[derive(Debug)]
pub struct CountingOrigin {
    address: SocketAddr,
    pages: Arc<Mutex<Pages>>,
    /// The page whose answers wait.
    held: watch::Sender<Option<String>>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Pages {
    version: u64,
    headers: HashMap<String, HeaderMap>,
    requests: HashMap<String, u64>,
}

impl CountingOrigin {
    /// Starts the origin.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Arc::new(Mutex::new(Pages {
            version: 1,
            headers: HashMap::new(),
            requests: HashMap::new(),
        }));
        let (held, is_held) = watch::channel(None);
        let server = tokio::spawn(serve(listener, Arc::clone(&pages), is_held));
        Self {
            address,
            pages,
            held,
            server,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives a page, by its path and query, headers that are sent with it, in place of those of the same
    /// name that all pages have.
    pub fn set_headers(&self, path_and_query: &str, headers: &[(&'static str, &str)]) {
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).expect("a test's header is valid");
            (HeaderName::from_static(name), value)
        });
        let mut pages = self.pages.lock();
        pages
            .headers
            .insert(path_and_query.to_owned(), headers.collect());
    }

    /// Changes every page: the version goes up by one.
    pub fn publish(&self) {
        self.pages.lock().version += 1;
    }

    /// Lets answers wait that are about a page, by its path and query, until [`CountingOrigin::release`]. They
    /// have been put together by then, and are of the version that there was.
    pub fn hold(&self, path_and_query: &str) {
        self.held.send_replace(Some(path_and_query.to_owned()));
    }

    /// Lets every answer go.
    pub fn release(&self) {
        self.held.send_replace(None);
    }

    /// How often a page was asked for, by its path and query, on any host.
    #[must_use]
    pub fn requests(&self, path_and_query: &str) -> u64 {
        let pages = self.pages.lock();
        pages.requests.get(path_and_query).copied().unwrap_or(0)
    }
}

impl Drop for CountingOrigin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    listener: TcpListener,
    pages: Arc<Mutex<Pages>>,
    held: watch::Receiver<Option<String>>,
) {
    while let Ok((connection, _)) = listener.accept().await {
        let (pages, held) = (Arc::clone(&pages), held.clone());
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = pages.lock().answer(&request);
                let page = page(&request).to_owned();
                let mut held = held.clone();
                async move {
                    // An origin that has gone holds nothing any more.
                    let _ = held.wait_for(|held| held.as_ref() != Some(&page)).await;
                    Ok::<_, Infallible>(answer)
                }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            // A cache that goes away in mid-sentence is no fault of the origin.
            let _ = server
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}

fn page(request: &Request<Incoming>) -> &str {
    request.uri().path_and_query().map_or("/", |it| it.as_str())
}

impl Pages {
    fn answer(&mut self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let page = page(request);
        *self.requests.entry(page.to_owned()).or_default() += 1;
        let field = |name| {
            let value: Option<&HeaderValue> = request.headers().get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or("-")
        };
        let mut response = Response::new(Full::default());
        if !matches!(request.method().as_str(), "GET" | "HEAD") {
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
        let (host, language) = (field(header::HOST), field(header::ACCEPT_LANGUAGE));
        let tag = format!("\"v{}\"", self.version);
        let headers = response.headers_mut();
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(CACHE_CONTROL),
        );
        headers.insert(header::ETAG, HeaderValue::from_str(&tag).unwrap());
        if let Some(own) = self.headers.get(page) {
            headers.extend(own.clone());
        }
        if field(header::IF_NONE_MATCH) == tag {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let body = format!("{host} {page} {language} v{}", self.version);
        *response.body_mut() = Full::new(body.into());
        response
    }
}
