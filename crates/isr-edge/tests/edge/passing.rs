//! What takes no part in caching passes through, and what is broken is not made whole.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, BodyStream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::origin::{Gate, Script, ScriptedOrigin, Seen, Step};
use crate::support::{HOST, Setup, page, until};

#[tokio::test]
async fn an_upload_reaches_the_origin_byte_for_byte() {
    let origin =
        ScriptedOrigin::start(|seen| Script::ok(&[], &format!("{} bytes", seen.body.len())));
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let body = Bytes::from(
        (0..300_000_u32)
            .map(|n| (n % 251) as u8)
            .collect::<Vec<_>>(),
    );
    let answer = site
        .request(Method::POST, "/upload")
        .body(body.clone())
        .send()
        .await;
    assert_eq!(answer.assert_forwarded("method").text, "300000 bytes");
    let seen = &site.origin.seen()[0];
    assert!(seen.method == "POST" && seen.body == body);
}

#[tokio::test]
async fn the_origin_is_told_who_asked_and_visitors_cannot_speak_for_the_cache() {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], ""));
    let site = Setup::new().start(origin.await).await;
    site.ask("/x?y=1")
        .header("x-edge-isr-generation", "0000000000000001-999")
        .header("x-forwarded-for", "1.2.3.4")
        .header("connection", "x-secret")
        .header("x-secret", "1")
        .send()
        .await;
    let seen = &site.origin.seen()[0];
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.field("x-forwarded-host"), Some(HOST));
    assert_eq!(seen.field("host"), Some(HOST));
    assert_eq!(seen.field("x-secret"), None);
    let ours = site.sender.generation(&page("/x?y=1")).unwrap().to_string();
    assert_eq!(seen.field("x-edge-isr-generation"), Some(ours.as_str()));
}

#[tokio::test]
async fn an_unknown_host_is_refused_and_never_part_of_a_url() {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], ""));
    let setup = Setup::new().with(|setup| setup.options.default_host = false);
    let site = setup.start(origin.await).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 421"), "{text}");
    assert_eq!(site.origin.count(), 0);
}

#[tokio::test]
async fn an_upload_waits_for_the_word_to_go_on_and_trailers_pass() {
    let origin = ScriptedOrigin::start(|seen| {
        assert_eq!(seen.field("expect"), Some("100-continue"));
        let head = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
        Script::raw(format!("{head}2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n"))
    });
    let site = Setup::new().start(origin.await).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let head = "PUT /file HTTP/1.1\r\nhost: a.example\r\ncontent-length: 4\r\nte: trailers\r\n\
        connection: close, te\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut word = [0; 25];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.ends_with("2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n"),
        "{answer}"
    );
    assert_eq!(site.origin.seen()[0].body, b"body");
}

#[tokio::test]
async fn an_upload_that_stalls_is_the_visitor_s_fault_and_a_slow_one_is_no_fault() {
    let millis = Duration::from_millis;
    // The origin's patience, the visitor's, and what comes of an upload that pauses for longer than
    // the shorter of the two.
    let rows = [
        (millis(300), millis(60_000), "HTTP/1.1 200 "),
        (millis(60_000), millis(50), "HTTP/1.1 408 "),
    ];
    for (head_timeout, upload_timeout, expected) in rows {
        let answer = |seen: &Seen| Script::ok(&[], &seen.body.len().to_string());
        let setup = Setup::new().with(|setup| {
            setup.options.head_timeout = head_timeout;
            setup.options.upload_timeout = upload_timeout;
        });
        let site = setup.start(ScriptedOrigin::start(answer).await).await;
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let head = "PUT /file HTTP/1.1\r\nhost: a.example\r\ncontent-length: 4\r\n\
            connection: close\r\n\r\nha";
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(millis(600)).await;
        if upload_timeout > head_timeout {
            stream.write_all(b"lf").await.unwrap();
        }
        let mut start = [0; 13];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&start), expected);
    }
}

#[tokio::test]
async fn connect_is_refused() {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], ""));
    let site = Setup::new().start(origin.await).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream
        .write_all(b"CONNECT a.example:443 HTTP/1.1\r\nhost: a.example\r\n\r\n")
        .await
        .unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 501");
    assert_eq!(site.origin.count(), 0);
}

#[tokio::test]
async fn a_websocket_speaks_through_the_cache() {
    let switch = "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let origin = ScriptedOrigin::start(move |_| Script::raw(switch).then(Step::Echo));
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let ask = site
        .ask("/socket")
        .header("connection", "upgrade")
        .header("upgrade", "websocket");
    let response = ask.open().await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()["upgrade"], "websocket");
    let mut socket = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    for message in ["hello", "again"] {
        socket.write_all(message.as_bytes()).await.unwrap();
        let mut echo = [0; 5];
        socket.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, message.as_bytes());
    }
}

#[tokio::test]
async fn a_stream_reaches_the_visitor_before_it_has_ended() {
    for control in ["cache-control: private", "cache-control: s-maxage=60"] {
        let gate = Gate::new();
        let behind = gate.clone();
        let origin = ScriptedOrigin::start(move |_| {
            Script::raw(format!(
                "HTTP/1.1 200 X\r\n{control}\r\ntransfer-encoding: chunked\r\n\r\n"
            ))
            .then(Step::Send("5\r\nfirst\r\n".into()))
            .then(Step::Until(behind.clone()))
            .then(Step::Send("4\r\nlast\r\n0\r\n\r\n".into()))
        });
        let site = Setup::new().start(origin.await).await;
        let mut body = site.ask("/").open().await.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "first");
        gate.open();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "last");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_arrives_whole_and_is_not_stored() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 1024;
    let origin = ScriptedOrigin::start(move |_| {
        let head =
            "HTTP/1.1 200 X\r\ncache-control: s-maxage=60\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut chunk = format!("{PIECE:x}\r\n").into_bytes();
        chunk.resize(chunk.len() + PIECE, b'x');
        chunk.extend_from_slice(b"\r\n");
        Script::raw(head)
            .then(Step::Repeat(chunk.into(), PIECES))
            .then(Step::Send("0\r\n\r\n".into()))
    });
    let setup = Setup::new().with(|setup| setup.options.largest_body = 1024 * 1024);
    let site = setup.start(origin.await).await;
    let response = site.ask("/big").open().await;
    let mut frames = BodyStream::new(response.into_body());
    let mut length = 0;
    while let Some(frame) = frames.next().await {
        length += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(length, PIECE * PIECES);
    let debug = format!("{:?}", site.edge);
    assert!(debug.contains("pages: 0"), "{debug}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_stored_and_breaks_off_at_the_visitor() {
    let scripts = [
        "HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nshort",
        "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ];
    for script in scripts {
        let origin = ScriptedOrigin::start(move |_| Script::raw(script).then(Step::Close));
        let site = Setup::new().rule("/**", &[]).start(origin.await).await;
        assert!(site.ask("/").try_send().await.is_err(), "{script}");
        assert!(site.ask("/").try_send().await.is_err(), "{script}");
        assert_eq!(site.origin.count(), 2);
        assert!(format!("{:?}", site.edge).contains("pages: 0"));
    }
}

#[tokio::test]
async fn a_head_that_cannot_be_used_is_a_bad_gateway() {
    let endless = || Step::Repeat(Bytes::from("x-more: and more\r\n"), 100_000);
    let scripts = [
        (
            Script::raw("this is not HTTP\r\n\r\n"),
            "origin_malformed_head",
        ),
        (
            Script::raw("HTTP/1.1 200 X\r\nbad header\r\n\r\n"),
            "origin_malformed_head",
        ),
        (
            Script::raw("HTTP/1.1 200 X\r\n").then(endless()),
            "origin_malformed_head",
        ),
        (Script::default(), "origin_broke_off"),
    ];
    for (script, detail) in scripts {
        let script = script.then(Step::Close);
        let origin = ScriptedOrigin::start(move |_| script.clone());
        let site = Setup::new().rule("/**", &[]).start(origin.await).await;
        for method in [Method::GET, Method::POST] {
            let answer = site.request(method, "/").send().await;
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
            assert!(
                answer.cache_status().ends_with(&format!("detail={detail}")),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_origin_that_is_down_or_silent_is_reported() {
    let gate = Gate::new();
    let behind = gate.clone();
    let origin = ScriptedOrigin::start(move |_| Script::ok(&[], "").behind(&behind)).await;
    let setup = Setup::new().rule("/**", &[]);
    let setup = setup.with(|setup| setup.options.head_timeout = Duration::from_millis(50));
    let site = setup.start(origin).await;
    let silent = site.get("/").await;
    assert_eq!(silent.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(
        silent.cache_status(),
        "edge-isr; fwd=uri-miss; detail=origin_timed_out"
    );
    gate.open();
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], "")).await;
    origin.stop();
    until(|| std::net::TcpStream::connect(origin.address).is_err()).await;
    let site = Setup::new().rule("/**", &[]).start(origin).await;
    let down = site.get("/").await;
    assert_eq!(down.status, StatusCode::BAD_GATEWAY);
    assert_eq!(
        down.cache_status(),
        "edge-isr; fwd=uri-miss; detail=origin_unreachable"
    );
}

#[tokio::test]
async fn a_successful_write_makes_its_page_stale() {
    let origin = ScriptedOrigin::start(|seen| match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/refused") => Script::response(422, &[], ""),
        _ => Script::ok(&[], "body"),
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    for (target, stale) in [("/", true), ("/refused", false)] {
        site.get(target).await;
        site.request(Method::POST, target).send().await;
        let after = site.get(target).await;
        assert_eq!(after.cache_status().contains("ttl=-"), stale, "{after:?}");
    }
}
