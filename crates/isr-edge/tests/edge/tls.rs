//! Origins behind TLS, with certificates of an authority that is nobody else's.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::support::log::Log;
use crate::support::origin::{Script, ScriptedOrigin};
use crate::support::tls::{Authority, TlsFront, self_signed};
use crate::support::{HOST, Setup};

/// A site whose origin is on this machine, behind TLS, trusted as far as its own authority is.
fn setup(front: SocketAddr, trusted: &[&Authority]) -> Setup {
    Setup::new().rule("/**", &[]).with(|setup| {
        setup.url = Some(format!("https://localhost:{}", front.port()));
        setup.origin.extra_roots = trusted.iter().map(|authority| authority.root()).collect();
    })
}

#[tokio::test]
async fn an_origin_is_connected_to_by_its_own_name_and_told_the_sites() {
    let authority = Authority::new();
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], "body")).await;
    let front = TlsFront::start(authority.server("localhost", &[]), origin.address).await;
    let site = setup(front.address, &[&authority]).start(origin).await;
    assert_eq!(site.get("/").await.text, "body");
    site.get("/").await.assert_hit();
    assert_eq!(front.names(), [Some("localhost".to_owned())]);
    let seen = &site.origin.seen()[0];
    assert_eq!(seen.field("host"), Some(HOST));
    assert_eq!(seen.field("x-forwarded-host"), Some(HOST));
}

#[tokio::test]
async fn an_origin_may_speak_for_itself() {
    let (server, certificate) = self_signed("localhost");
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], "body")).await;
    let front = TlsFront::start(server, origin.address).await;
    let setup = setup(front.address, &[]).with(|setup| {
        setup.origin.extra_roots = vec![certificate];
    });
    assert_eq!(setup.start(origin).await.get("/").await.text, "body");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_and_its_host_is_named() {
    let authority = Authority::new();
    let cases: [(&str, &[&Authority], &str); 2] = [
        ("localhost", &[], "UnknownIssuer"),
        ("other.example", &[&authority], "not valid for name"),
    ];
    for (host, trusted, reason) in cases {
        let log = Log::default();
        let _listening = log.listen();
        let origin = ScriptedOrigin::start(|_| Script::ok(&[], "body")).await;
        let front = TlsFront::start(authority.server(host, &[]), origin.address).await;
        let site = setup(front.address, trusted).start(origin).await;
        let answer = site.get("/").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{host}");
        assert_eq!(
            answer.cache_status(),
            "edge-isr; fwd=uri-miss; detail=origin_untrusted"
        );
        assert_eq!(site.origin.count(), 0, "nothing was sent");
        let log = log.text();
        assert!(
            log.contains("the TLS certificate of localhost is not trusted") && log.contains(reason),
            "{log}"
        );
    }
}

/// What an HTTP/2 server saw of a request.
async fn described(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let version = request.version() == Version::HTTP_2;
    let authority = request.uri().authority().map(ToString::to_string);
    let host = request.headers().get("host");
    let text = format!("{version} {authority:?} {host:?}");
    Ok(Response::new(Full::from(text)))
}

#[tokio::test]
async fn over_http2_authority_and_host_are_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(described)));
        }
    });
    let authority = Authority::new();
    let front = TlsFront::start(authority.server("localhost", &["h2"]), behind).await;
    let unused = ScriptedOrigin::start(|_| Script::ok(&[], "")).await;
    let setup = setup(front.address, &[&authority]).with(|setup| setup.origin.http2 = true);
    let site = setup.start(unused).await;
    let expected = format!("true Some({HOST:?}) Some({HOST:?})");
    assert_eq!(site.get("/").await.text, expected);
    assert_eq!(front.names(), [Some("localhost".to_owned())]);
    server.abort();
}
