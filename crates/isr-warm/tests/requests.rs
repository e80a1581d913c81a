//! What a request looks like to the server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::SystemTime;

use isr_core::{NoRecorder, SiteOrigin, WarmRequest, Warmer as _, Warmup};
use isr_warm::{Crawler, CrawlerError, CrawlerOptions};
use support::clock::SkippingClock;
use support::server::{Exchange, Server};
use support::{crawl, generation, in_short, key, options, page, url};

/// The request that the server gets for a page.
async fn sent(server: &mut Server, options: CrawlerOptions, page: WarmRequest) -> Exchange {
    let crawl = crawl(options);
    let pages = [page];
    tokio::select! {
        _ = crawl.crawler.warm(&pages) => unreachable!("nobody answers"),
        exchange = server.next() => exchange,
    }
}

#[tokio::test]
async fn a_request_looks_like_a_visitor_s_and_says_who_it_is() {
    let mut server = Server::start().await;
    let request = page("/a?b=c", &server.address, None);
    let exchange = sent(&mut server, options(), request).await;
    assert!(
        exchange.head.starts_with("GET /a?b=c HTTP/1.1\r\n"),
        "{}",
        exchange.head
    );
    assert_eq!(
        exchange.field("user-agent"),
        concat!("edge-isr-warm/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(exchange.field("accept-encoding"), "gzip, deflate, br, zstd");
    assert!(exchange.field("accept").starts_with("text/html,"));
    for absent in [
        "cookie",
        "cache-control",
        "pragma",
        "if-none-match",
        "referer",
        "authorization",
    ] {
        assert_eq!(exchange.field(absent), "", "{absent}");
    }
}

#[tokio::test]
async fn a_request_to_another_place_names_the_page_s_host_and_scheme() {
    let mut server = Server::start().await;
    let request = page("/", &server.address, None);
    let exchange = sent(&mut server, options(), request).await;
    let hosts = exchange
        .head
        .lines()
        .filter(|line| line.to_ascii_lowercase().starts_with("host:"));
    assert_eq!(hosts.count(), 1);
    assert_eq!(exchange.field("host"), "example.com");
    assert_eq!(exchange.field("x-forwarded-proto"), "https");
}

#[tokio::test]
async fn a_request_without_a_place_goes_to_the_page_s_own_host() {
    let mut server = Server::start().await;
    let allowed = vec![SiteOrigin::parse(&server.address).unwrap()];
    let url = isr_core::PageUrl::parse(&format!("{}/a", server.address)).unwrap();
    let host = url.host().to_owned();
    let request = WarmRequest {
        url,
        via: None,
        least: None,
    };
    let exchange = sent(
        &mut server,
        CrawlerOptions {
            allowed,
            ..options()
        },
        request,
    )
    .await;
    assert_eq!(exchange.field("host"), host);
    assert_eq!(exchange.field("x-forwarded-proto"), "");
}

#[tokio::test]
async fn a_request_is_signed_for_its_page_and_carries_the_least_generation() {
    let mut server = Server::start().await;
    for least in [None, Some(5)] {
        let request = page("/a", &server.address, least);
        let exchange = sent(&mut server, options(), request).await;
        let header = http::HeaderValue::from_str(exchange.field("x-edge-isr-warmup")).unwrap();
        let now = SystemTime::UNIX_EPOCH;
        let least = least.map(generation);
        assert_eq!(key().verify(&header, &url("/a"), now), Ok(Warmup { least }));
        assert!(key().verify(&header, &url("/b"), now).is_err());
        let in_five_minutes = now + std::time::Duration::from_mins(5);
        assert!(key().verify(&header, &url("/a"), in_five_minutes).is_ok());
        let later = in_five_minutes + std::time::Duration::from_secs(1);
        assert!(key().verify(&header, &url("/a"), later).is_err());
    }
}

#[tokio::test]
async fn the_accepted_encodings_can_be_chosen() {
    let mut server = Server::start().await;
    let request = page("/", &server.address, None);
    let options = CrawlerOptions {
        accept_encoding: "br".to_owned(),
        ..options()
    };
    assert_eq!(
        sent(&mut server, options, request)
            .await
            .field("accept-encoding"),
        "br"
    );
}

#[tokio::test]
async fn cookies_are_not_kept() {
    let mut server = Server::start().await;
    let crawl = crawl(options());
    let pages = [page("/", &server.address, None)];
    for _ in 0..2 {
        let answering = async {
            let exchange = server.next().await;
            assert_eq!(exchange.field("cookie"), "");
            exchange.answer(200, "set-cookie: a=b\r\n", b"");
        };
        let (outcomes, ()) = tokio::join!(crawl.crawler.warm(&pages), answering);
        assert_eq!(in_short(&outcomes[0]), "warmed 200");
    }
}

#[tokio::test]
async fn an_encoded_body_is_drained_and_not_decoded() {
    let mut server = Server::start().await;
    let crawl = crawl(options());
    let pages = [page("/", &server.address, None)];
    let answering = async {
        server
            .next()
            .await
            .answer(200, "content-encoding: gzip\r\n", b"this is not gzip");
    };
    let (outcomes, ()) = tokio::join!(crawl.crawler.warm(&pages), answering);
    assert_eq!(in_short(&outcomes[0]), "warmed 200");
}

#[test]
fn options_out_of_range_make_no_crawler() {
    let options = CrawlerOptions {
        attempts: 0,
        ..options()
    };
    let clock = Arc::new(SkippingClock::default());
    let refusal = Crawler::new(options, key(), clock, Arc::new(NoRecorder)).unwrap_err();
    assert!(matches!(refusal, CrawlerError::Options(invalid) if invalid.option == "attempts"));
}
