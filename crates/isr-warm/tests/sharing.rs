//! What calls that run at the same time have in common.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use isr_core::{Clock as _, WarmFailure, WarmOutcome, WarmRequest, Warmer as _};
use isr_warm::{Crawler, CrawlerOptions};
use support::server::Server;
use support::{crawl, generation, in_short, options, page};
use tokio::task::JoinHandle;

fn call(crawler: &Arc<Crawler>, pages: Vec<WarmRequest>) -> JoinHandle<Vec<WarmOutcome>> {
    let crawler = Arc::clone(crawler);
    tokio::spawn(async move { crawler.warm(&pages).await })
}

/// Lets every other task go as far as it can without the network. The tests here run on one thread.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_page_named_twice_in_a_call_is_asked_for_once() {
    let mut server = Server::start().await;
    let crawl = crawl(options());
    let pages = [None, Some(5), Some(3)].map(|least| page("/", &server.address, least));
    let warming = call(&crawl.crawler, pages.to_vec());
    let header = format!("x-edge-isr-generation: {}\r\n", generation(5));
    let exchange = server.next().await;
    assert!(
        exchange
            .field("x-edge-isr-warmup")
            .contains(&generation(5).to_string())
    );
    exchange.answer(200, &header, b"");
    let outcomes = warming.await.unwrap();
    assert_eq!(
        outcomes.iter().map(in_short).collect::<Vec<_>>(),
        ["warmed 200 verified"; 3]
    );
    assert!(!server.is_asked());
    assert_eq!(crawl.events.all(), [Ok(())]);
}

#[tokio::test]
async fn calls_share_a_page_on_its_way_unless_they_ask_for_more() {
    let mut server = Server::start().await;
    let crawl = crawl(CrawlerOptions {
        adaptive: false,
        ..options()
    });
    let ask = |least| call(&crawl.crawler, vec![page("/", &server.address, least)]);
    let first = ask(Some(3));
    settle().await;
    let (same, less, more) = (ask(Some(3)), ask(None), ask(Some(4)));
    let (one, two) = (server.next().await, server.next().await);
    settle().await;
    assert!(!server.is_asked());
    let asked_for = |exchange: &support::server::Exchange, number| {
        exchange
            .field("x-edge-isr-warmup")
            .contains(&format!("{};", generation(number)))
    };
    let (three, four) = if asked_for(&one, 3) {
        (one, two)
    } else {
        (two, one)
    };
    assert!(asked_for(&three, 3) && asked_for(&four, 4));
    three.answer(404, "", b"");
    four.answer(410, "", b"");
    for (call, expected) in [
        (first, "gone 404"),
        (same, "gone 404"),
        (less, "gone 404"),
        (more, "gone 410"),
    ] {
        assert_eq!(in_short(&call.await.unwrap()[0]), expected);
    }
}

#[tokio::test]
async fn a_page_that_has_arrived_is_asked_for_anew() {
    let mut server = Server::start().await;
    let crawl = crawl(options());
    for _ in 0..2 {
        let warming = call(&crawl.crawler, vec![page("/", &server.address, None)]);
        server.next().await.answer(200, "", b"");
        assert_eq!(in_short(&warming.await.unwrap()[0]), "warmed 200");
    }
}

#[tokio::test]
async fn a_dropped_call_closes_its_connections_and_frees_its_places() {
    let mut server = Server::start().await;
    let crawl = crawl(CrawlerOptions {
        concurrency: 2,
        adaptive: false,
        ..options()
    });
    let pages = ["/1", "/2", "/3"].map(|path| page(path, &server.address, None));
    let dropped = call(&crawl.crawler, pages.to_vec());
    let (one, two) = (server.next().await, server.next().await);
    dropped.abort();
    one.left().await;
    two.left().await;
    let next = call(&crawl.crawler, vec![page("/4", &server.address, None)]);
    let exchange = server.next().await;
    assert_eq!(
        exchange.target(),
        "/4",
        "the page that waited for its turn was given up too"
    );
    exchange.answer(200, "", b"");
    assert_eq!(in_short(&next.await.unwrap()[0]), "warmed 200");
    assert_eq!(crawl.events.all(), [Ok(())]);
}

#[tokio::test]
async fn a_page_that_another_call_waits_for_survives_the_call_that_began_it() {
    let mut server = Server::start().await;
    let crawl = crawl(options());
    let began = call(&crawl.crawler, vec![page("/", &server.address, None)]);
    let exchange = server.next().await;
    let joined = call(&crawl.crawler, vec![page("/", &server.address, None)]);
    settle().await;
    began.abort();
    assert!(began.await.unwrap_err().is_cancelled());
    exchange.answer(200, "", b"");
    assert_eq!(in_short(&joined.await.unwrap()[0]), "warmed 200");
    assert!(!server.is_asked());
}

#[tokio::test]
async fn a_stopped_crawler_ends_what_is_under_way_and_begins_nothing() {
    let mut server = Server::start().await;
    let crawl = crawl(options());
    let under_way = call(&crawl.crawler, vec![page("/1", &server.address, None)]);
    let exchange = server.next().await;
    crawl.crawler.stop();
    exchange.left().await;
    assert_eq!(in_short(&under_way.await.unwrap()[0]), "failed cancelled");
    let later = crawl
        .crawler
        .warm(&[page("/2", &server.address, None)])
        .await;
    assert_eq!(in_short(&later[0]), "failed cancelled");
    assert!(!server.is_asked());
    assert_eq!(crawl.events.all(), [Err(WarmFailure::Cancelled); 2]);
}

#[tokio::test]
async fn requests_to_one_origin_are_bounded_over_all_calls() {
    const BOUND: usize = 3;
    let mut server = Server::start().await;
    let crawl = crawl(CrawlerOptions {
        concurrency: BOUND,
        adaptive: false,
        ..options()
    });
    let pages = |from: usize| {
        (from..from + 12)
            .map(|n| page(&format!("/{n}"), &server.address, None))
            .collect()
    };
    let (one, another) = (
        call(&crawl.crawler, pages(0)),
        call(&crawl.crawler, pages(12)),
    );
    // Nobody is answered before as many wait as may: the bound is reached, every time, and a
    // request beyond it would arrive while they wait.
    for _ in 0..24 / BOUND {
        let mut waiting = Vec::new();
        while waiting.len() < BOUND {
            waiting.push(server.next().await);
        }
        settle().await;
        assert!(!server.is_asked(), "more than {BOUND} requests at once");
        for exchange in waiting {
            exchange.answer(200, "", b"");
        }
    }
    for call in [one, another] {
        assert!(
            call.await
                .unwrap()
                .iter()
                .all(|outcome| in_short(outcome) == "warmed 200")
        );
    }
}

#[tokio::test]
async fn each_origin_has_a_bound_of_its_own() {
    let (mut one, mut another) = (Server::start().await, Server::start().await);
    let crawl = crawl(CrawlerOptions {
        concurrency: 1,
        ..options()
    });
    let pages = vec![
        page("/", &one.address, None),
        page("/", &another.address, None),
    ];
    let warming = call(&crawl.crawler, pages);
    let (first, second) = (one.next().await, another.next().await);
    first.answer(200, "", b"");
    second.answer(404, "", b"");
    let outcomes = warming.await.unwrap();
    assert_eq!(
        outcomes.iter().map(in_short).collect::<Vec<_>>(),
        ["warmed 200", "gone 404"]
    );
}

/// Answers every request with 200 and counts them.
fn answer_all(mut server: Server) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let exchange = server.next().await;
            counted.fetch_add(1, Ordering::Relaxed);
            exchange.answer(200, "", b"");
        }
    });
    count
}

#[tokio::test]
async fn requests_to_one_origin_begin_at_the_rate_over_all_calls() {
    let server = Server::start().await;
    let crawl = crawl(CrawlerOptions {
        rate: Some(50),
        burst: 10,
        ..options()
    });
    let pages = |from: usize| {
        (from..from + 30)
            .map(|n| page(&format!("/{n}"), &server.address, None))
            .collect()
    };
    let (one, another) = (
        call(&crawl.crawler, pages(0)),
        call(&crawl.crawler, pages(30)),
    );
    let count = answer_all(server);
    one.await.unwrap();
    another.await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 60);
    // Ten at once, and fifty more at fifty a second.
    assert_eq!(crawl.clock.now(), Duration::from_secs(1));
}

#[tokio::test]
async fn attempts_count_towards_the_rate() {
    let mut server = Server::start().await;
    let crawl = crawl(CrawlerOptions {
        rate: Some(1),
        burst: 1,
        backoff: Duration::from_millis(1),
        ..options()
    });
    let warming = call(&crawl.crawler, vec![page("/", &server.address, None)]);
    for _ in 0..3 {
        server.next().await.answer(503, "", b"");
    }
    assert_eq!(in_short(&warming.await.unwrap()[0]), "failed status");
    assert!(crawl.clock.now() >= Duration::from_secs(2));
}
