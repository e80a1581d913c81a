//! The server itself: HTTP/2, and stopping in good order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use isr_edge::{ServeOptions, serve};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support::origin::{Gate, Script, ScriptedOrigin, Step};
use crate::support::{HOST, Setup, until};

#[tokio::test]
async fn cleartext_http2_is_spoken_too() {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], "body")).await;
    let site = Setup::new().rule("/**", &[]).start(origin).await;
    let stream = TcpStream::connect(site.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    for expected in ["edge-isr; fwd=uri-miss", "edge-isr; hit"] {
        let request = Request::builder()
            .uri(format!("http://{HOST}/page"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.headers()["cache-status"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(status.starts_with(expected), "{status}");
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "body"
        );
    }
    assert_eq!(site.origin.seen()[0].field("host"), Some(HOST));
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_is_under_way() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |_| Script::ok(&[], "done").behind(&behind)).await;
    let mut site = Setup::new().rule("/**", &[]).start(origin).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    site.address = listener.local_addr().unwrap();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let edge = site.edge.clone();
    let server = tokio::spawn(async move {
        serve(listener, edge, ServeOptions::default(), stopped.notified()).await
    });
    let visit = tokio::spawn(site.get_owned("/"));
    site.origin.wait_for(1).await;
    stop.notify_one();
    let address = site.address;
    until(|| std::net::TcpStream::connect(address).is_err()).await;
    gate.open();
    assert_eq!(visit.await.unwrap().text, "done");
    assert!(server.await.unwrap(), "everything ended in time");
}

#[tokio::test]
async fn a_visitor_who_takes_nothing_is_given_up_on() {
    let origin = ScriptedOrigin::start(|seen| match seen.target.as_str() {
        "/endless" => {
            let head = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
            Script::raw(head).then(Step::Repeat(chunk.into(), 1_000_000))
        }
        _ => Script::ok(&[], "body"),
    });
    let mut site = Setup::new().start(origin.await).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    site.address = listener.local_addr().unwrap();
    let options = ServeOptions {
        most_connections: 1,
        send_timeout: Duration::from_millis(20),
        ..ServeOptions::default()
    };
    let edge = site.edge.clone();
    let server = tokio::spawn(serve(listener, edge, options, std::future::pending()));
    let taken_up = site.ask("/endless").open().await;
    // There is room for one visitor only, so the next is answered once the first is given up on.
    let next = tokio::time::timeout(Duration::from_secs(20), site.get("/"));
    assert_eq!(next.await.expect("he is given up on").text, "body");
    assert!(taken_up.into_body().collect().await.is_err());
    server.abort();
}

#[tokio::test]
async fn a_server_does_not_wait_for_ever() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |_| Script::ok(&[], "late").behind(&behind)).await;
    let mut site = Setup::new().rule("/**", &[]).start(origin).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    site.address = listener.local_addr().unwrap();
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let edge = site.edge.clone();
    let options = ServeOptions {
        grace: Duration::from_millis(20),
        ..ServeOptions::default()
    };
    let server =
        tokio::spawn(async move { serve(listener, edge, options, stopped.notified()).await });
    let visit = tokio::spawn(site.get_owned("/"));
    site.origin.wait_for(1).await;
    stop.notify_one();
    assert!(!server.await.unwrap(), "the origin has not answered yet");
    gate.open();
    visit.abort();
}
