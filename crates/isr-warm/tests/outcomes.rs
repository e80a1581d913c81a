//! How pages end, and what is asked of the server until they do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use isr_core::{GENERATION_HEADER, WarmFailure, Warmer as _};
use isr_warm::CrawlerOptions;
use support::server::Server;
use support::{crawl, generation, in_short, options, page};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A server that answers `/page` with the responses in turn, and then with the last one for ever.
async fn server(responses: &[ResponseTemplate]) -> MockServer {
    let server = MockServer::start().await;
    let (last, before) = responses.split_last().unwrap();
    for response in before {
        let mock = Mock::given(method("GET"))
            .and(path("/page"))
            .respond_with(response.clone());
        mock.up_to_n_times(1).mount(&server).await;
    }
    Mock::given(method("GET"))
        .and(path("/page"))
        .respond_with(last.clone())
        .mount(&server)
        .await;
    server
}

fn status(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

fn of_generation(number: u64) -> ResponseTemplate {
    status(200).insert_header(GENERATION_HEADER, generation(number).to_string())
}

fn stale() -> ResponseTemplate {
    of_generation(5).insert_header("cache-status", "edge; hit; ttl=-3")
}

async fn check(responses: &[ResponseTemplate], expected: &str, requests: usize) {
    let server = server(responses).await;
    let crawl = crawl(options());
    let outcomes = crawl
        .crawler
        .warm(&[page("/page", &server.uri(), Some(5))])
        .await;
    assert_eq!(
        outcomes.iter().map(in_short).collect::<Vec<_>>(),
        [expected]
    );
    assert_eq!(
        server.received_requests().await.unwrap().len(),
        requests,
        "for {expected}"
    );
}

#[tokio::test]
async fn a_copy_that_does_not_say_how_old_it_is_is_asked_for_again() {
    check(&[status(200), of_generation(5)], "warmed 200 verified", 2).await;
    check(&[status(200)], "warmed 200", 3).await;
}

#[tokio::test]
async fn an_answer_is_the_last_word() {
    check(&[of_generation(5)], "warmed 200 verified", 1).await;
    check(&[of_generation(6)], "warmed 200 verified", 1).await;
    check(&[status(404)], "gone 404", 1).await;
    check(&[status(410)], "gone 410", 1).await;
    check(&[status(403)], "failed status", 1).await;
    check(&[status(500)], "failed status", 1).await;
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    for code in [301, 302, 303, 307, 308] {
        let redirection = status(code).insert_header("location", "/elsewhere");
        check(&[redirection], &format!("redirected {code}"), 1).await;
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for code in [429, 502, 503, 504] {
        check(&[status(code), of_generation(5)], "warmed 200 verified", 2).await;
        check(&[status(code), status(code), status(404)], "gone 404", 3).await;
        check(&[status(code)], "failed status", 3).await;
    }
}

#[tokio::test]
async fn a_copy_that_is_too_old_is_asked_for_again_and_in_the_end_not_verified() {
    check(
        &[of_generation(4), of_generation(5)],
        "warmed 200 verified",
        2,
    )
    .await;
    check(&[of_generation(4)], "warmed 200", 3).await;
    check(&[stale(), of_generation(5)], "warmed 200 verified", 2).await;
    check(&[stale()], "warmed 200", 3).await;
}

#[tokio::test]
async fn attempts_are_as_many_as_configured() {
    for attempts in [1, 2, 7] {
        let server = server(&[status(503)]).await;
        let crawl = crawl(CrawlerOptions {
            attempts,
            ..options()
        });
        crawl
            .crawler
            .warm(&[page("/page", &server.uri(), None)])
            .await;
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), usize::try_from(attempts).unwrap());
    }
}

#[tokio::test]
async fn delays_between_attempts_grow_within_their_bounds() {
    let server = server(&[status(503)]).await;
    let crawl = crawl(CrawlerOptions {
        attempts: 10,
        adaptive: false,
        backoff: Duration::from_secs(1),
        longest_backoff: Duration::from_secs(20),
        ..options()
    });
    crawl
        .crawler
        .warm(&[page("/page", &server.uri(), None)])
        .await;
    let slept = crawl.clock.slept();
    assert_eq!(slept.len(), 9);
    for (delay, bound) in slept.iter().zip([1, 2, 4, 8, 16, 20, 20, 20, 20]) {
        assert!(
            *delay <= Duration::from_secs(bound),
            "{delay:?} is beyond {bound} s"
        );
    }
}

#[tokio::test]
async fn a_server_that_asks_to_be_left_alone_is_up_to_a_limit() {
    let date = httpdate::fmt_http_date(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(9));
    for (retry_after, seconds) in [("7", 7), (date.as_str(), 9), ("86400", 30)] {
        let busy = status(503).insert_header("retry-after", retry_after);
        let server = server(&[busy, of_generation(5)]).await;
        let crawl = crawl(options());
        let outcomes = crawl
            .crawler
            .warm(&[page("/page", &server.uri(), Some(5))])
            .await;
        assert_eq!(in_short(&outcomes[0]), "warmed 200 verified");
        let slept: Duration = crawl.clock.slept().iter().sum();
        // The delay before the second attempt runs at the same time.
        assert_eq!(slept, Duration::from_secs(seconds), "{retry_after}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_failure_to_connect() {
    // Bound and never listened at: whoever connects is refused, and no other test is given the port.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", held.local_addr().unwrap());
    let crawl = crawl(options());
    let outcomes = crawl.crawler.warm(&[page("/", &address, None)]).await;
    assert_eq!(in_short(&outcomes[0]), "failed connect");
    assert_eq!(crawl.clock.slept().len(), 2, "it was tried three times");
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_timeout_every_time() {
    let mut server = Server::start().await;
    let crawl = crawl(CrawlerOptions {
        page_timeout: Duration::from_millis(50),
        attempts: 2,
        ..options()
    });
    let pages = [page("/", &server.address, None)];
    let silence = async {
        server.next().await.left().await;
        server.next().await.left().await;
    };
    let (outcomes, ()) = tokio::join!(crawl.crawler.warm(&pages), silence);
    assert_eq!(in_short(&outcomes[0]), "failed timeout");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_asked_for_again() {
    let mut server = Server::start().await;
    let crawl = crawl(CrawlerOptions {
        attempts: 2,
        ..options()
    });
    let pages = [page("/", &server.address, None)];
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nnot all of it";
    let breaking = async {
        server.next().await.break_off(broken);
        server.next().await.break_off(broken);
    };
    let (outcomes, ()) = tokio::join!(crawl.crawler.warm(&pages), breaking);
    assert_eq!(in_short(&outcomes[0]), "failed body");
    let mending = async {
        server.next().await.break_off(broken);
        server.next().await.answer(200, "", b"all of it");
    };
    let (outcomes, ()) = tokio::join!(crawl.crawler.warm(&pages), mending);
    assert_eq!(in_short(&outcomes[0]), "warmed 200");
}

#[tokio::test]
async fn a_body_is_read_to_its_end_but_not_beyond_the_limit() {
    let limit = 1 << 20;
    for (size, expected) in [(limit, "warmed 200"), (limit + 1, "failed body")] {
        let body = vec![b'x'; size];
        let server = server(&[status(200).set_body_bytes(body)]).await;
        let crawl = crawl(CrawlerOptions {
            largest_body: limit as u64,
            ..options()
        });
        let outcomes = crawl
            .crawler
            .warm(&[page("/page", &server.uri(), None)])
            .await;
        assert_eq!(in_short(&outcomes[0]), expected);
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_status_of_an_error_counts_even_if_its_body_is_broken() {
    let mut server = Server::start().await;
    let crawl = crawl(options());
    let pages = [page("/", &server.address, None)];
    let breaking = async {
        server
            .next()
            .await
            .break_off("HTTP/1.1 404 -\r\ncontent-length: 9\r\n\r\nno");
    };
    let (outcomes, ()) = tokio::join!(crawl.crawler.warm(&pages), breaking);
    assert_eq!(in_short(&outcomes[0]), "gone 404");
}

#[tokio::test]
async fn other_sites_and_places_that_are_none_are_not_asked() {
    let server = server(&[status(200)]).await;
    let crawl = crawl(options());
    let mut elsewhere = page("/page", &server.uri(), None);
    elsewhere.url = isr_core::PageUrl::parse("https://other.example/page").unwrap();
    let nowhere = page("/page", "ftp://127.0.0.1", None);
    let outcomes = crawl.crawler.warm(&[elsewhere, nowhere]).await;
    assert_eq!(
        outcomes.iter().map(in_short).collect::<Vec<_>>(),
        ["failed forbidden"; 2]
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
    assert_eq!(crawl.events.all(), [Err(WarmFailure::Forbidden); 2]);
}

#[tokio::test]
async fn every_page_is_recorded_once_and_answered_in_the_order_given() {
    let server = MockServer::start().await;
    for (page, code) in [
        ("/ok", 200),
        ("/gone", 404),
        ("/moved", 301),
        ("/broken", 500),
    ] {
        let mock = Mock::given(path(page)).respond_with(status(code));
        mock.mount(&server).await;
    }
    let crawl = crawl(options());
    let paths = ["/broken", "/ok", "/moved", "/ok", "/gone"];
    let requests = paths.map(|path| page(path, &server.uri(), None));
    let outcomes = crawl.crawler.warm(&requests).await;
    assert_eq!(
        outcomes.iter().map(in_short).collect::<Vec<_>>(),
        [
            "failed status",
            "warmed 200",
            "redirected 301",
            "warmed 200",
            "gone 404"
        ],
    );
    let mut events = crawl.events.all();
    events.sort_by_key(Result::is_ok);
    assert_eq!(events, [Err(WarmFailure::Status), Ok(())]);
}

#[tokio::test]
async fn no_pages_are_no_work() {
    assert_eq!(crawl(options()).crawler.warm(&[]).await, []);
}
