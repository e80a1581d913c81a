//! What a visitor's fields may say, and what they cannot make others see.

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Setup;
use crate::support::origin::{Script, ScriptedOrigin};

#[tokio::test]
async fn a_field_that_never_reaches_the_origin_selects_no_variant() {
    let origin = ScriptedOrigin::start(|seen| {
        let language = seen.field("accept-language").unwrap_or("none").to_owned();
        Script::ok(&[("vary", "Accept-Language")], &language)
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let german = || site.ask("/").header("accept-language", "de");
    let poisoning = german().header("connection", "accept-language");
    assert_eq!(poisoning.send().await.text, "none");
    assert_eq!(
        german().send().await.assert_forwarded("vary-miss").text,
        "de"
    );
    assert_eq!(german().send().await.assert_hit().text, "de");
    assert_eq!(site.get("/").await.assert_hit().text, "none");
}

#[tokio::test]
async fn credentials_are_judged_as_the_origin_sees_them() {
    for (name, value) in [("cookie", "session=1"), ("authorization", "Basic x")] {
        let origin = ScriptedOrigin::start(move |seen| {
            let whose = seen.field(name).unwrap_or("everybody").to_owned();
            Script::ok(&[], &whose)
        });
        let site = Setup::new().rule("/**", &[]).start(origin.await).await;
        let known = || site.ask("/").header(name, value);
        let hidden = || known().header("connection", "cookie, authorization");
        assert_eq!(known().send().await.assert_forwarded("bypass").text, value);
        let first = hidden().send().await;
        assert_eq!(first.assert_forwarded("uri-miss").text, "everybody");
        assert_eq!(hidden().send().await.assert_hit().text, "everybody");
        assert_eq!(known().send().await.assert_forwarded("bypass").text, value);
        assert_eq!(site.get("/").await.assert_hit().text, "everybody");
    }
}

#[tokio::test]
async fn a_visitor_cannot_say_what_only_a_proxy_knows() {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], "")).await;
    let site = Setup::new().rule("/**", &[]).start(origin).await;
    let fields = [
        "x-forwarded-port",
        "x-forwarded-server",
        "x-forwarded-prefix",
        "x-forwarded-scheme",
        "x-original-url",
        "x-rewrite-url",
        "x-real-ip",
    ];
    for method in [Method::GET, Method::POST] {
        let mut ask = site.request(method, "/");
        for name in fields {
            ask = ask.header(name, "/evil");
        }
        ask.send().await;
    }
    for seen in site.origin.seen() {
        for name in fields {
            assert_eq!(seen.field(name), None, "{} with {name}", seen.method);
        }
    }
    assert_eq!(site.origin.count(), 2);
}

#[tokio::test]
async fn what_an_untrusted_visitor_claims_selects_no_variant() {
    let origin = ScriptedOrigin::start(|seen| {
        let address = seen.field("x-real-ip").unwrap_or("none").to_owned();
        Script::ok(&[("vary", "X-Real-IP")], &address)
    });
    let site = Setup::new().rule("/**", &[]).start(origin.await).await;
    let lying = || site.ask("/").header("x-real-ip", "192.0.2.1");
    assert_eq!(lying().send().await.text, "none");
    assert_eq!(site.get("/").await.assert_hit().text, "none");
    assert_eq!(lying().send().await.assert_hit().text, "none");
}

#[tokio::test]
async fn a_page_that_depends_on_the_visitors_address_is_not_shared() {
    for name in ["x-forwarded-for", "forwarded"] {
        let origin = ScriptedOrigin::start(move |_| Script::ok(&[("vary", name)], "for you"));
        let site = Setup::new().rule("/**", &[]).start(origin.await).await;
        for _ in 0..2 {
            site.get("/").await.assert_forwarded("uri-miss");
        }
    }
}

#[tokio::test]
async fn a_request_with_two_hosts_is_refused() {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], "")).await;
    let site = Setup::new().rule("/**", &[]).start(origin).await;
    for method in ["GET", "POST", "PURGE"] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let head = format!(
            "{method} / HTTP/1.1\r\nhost: a.example\r\nhost: b.example\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 400"), "{text}");
    }
    assert_eq!(site.origin.count(), 0);
}
