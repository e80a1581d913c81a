//! `[edge]`, and `site.build` as far as the edge goes by it.

use std::net::SocketAddr;

use bytes::Bytes;
use edge_isr::core::{
    Mode, ModeChoice, PageUrl, ReceiptFilter, RevalidateOptions, Source, Tag, tag,
};
use edge_isr::edge::{Peer, RequestBody};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use crate::support::{App, ask, engine, field, open, page, raw_origin};

const RULE: &str = "[[rule]]\npath = \"/**\"\ns_maxage = \"1h\"\n";

fn is_hit(response: &Response<()>) -> bool {
    let status = field(response, "cache-status");
    status.starts_with("edge-isr; hit") && !status.contains("ttl=-")
}

fn from(address: &str) -> Peer {
    Peer(SocketAddr::new(address.parse().unwrap(), 1))
}

#[tokio::test]
async fn a_network_may_purge_and_nobody_else() {
    let engine = engine("[edge]\npurge_from = [\"10.0.0.0/8\"]\n").await;
    let edge = App::new(page).behind(&engine);
    for (peer, status) in [("10.1.2.3", 200), ("192.0.2.1", 403), ("127.0.0.1", 403)] {
        let request = Request::builder().method("PURGE").uri("/");
        let answer = ask(&edge, request.extension(from(peer))).await;
        assert_eq!(answer.status(), status, "{peer}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_nobody_else() {
    let engine = engine("[edge]\ntrusted_proxies = [\"10.0.0.0/8\"]\n").await;
    let app = App::new(page);
    let edge = app.behind(&engine);
    for peer in ["10.1.2.3", "192.0.2.1"] {
        let request = Request::get("/").header("x-forwarded-for", "198.51.100.7");
        ask(&edge, request.extension(from(peer))).await;
    }
    let seen = app.seen();
    assert_eq!(seen[0]["x-forwarded-for"], "198.51.100.7, 10.1.2.3");
    assert_eq!(seen[1]["x-forwarded-for"], "192.0.2.1");
}

#[tokio::test]
async fn a_visitor_who_insists_is_heard_where_that_is_configured() {
    for (lines, hit) in [("", true), ("[edge]\nhonour_no_cache = true\n", false)] {
        let engine = engine(&format!("{lines}{RULE}")).await;
        let edge = App::new(page).behind(&engine);
        ask(&edge, Request::get("/")).await;
        let insisting = Request::get("/").header("cache-control", "no-cache");
        assert_eq!(is_hit(&ask(&edge, insisting).await), hit, "{lines}");
    }
}

#[tokio::test]
async fn a_write_leaves_its_page_alone_where_that_is_configured() {
    for (lines, hit) in [("", false), ("[edge]\ninvalidate_on_write = false\n", true)] {
        let engine = engine(&format!("{lines}{RULE}")).await;
        let edge = App::new(page).behind(&engine);
        ask(&edge, Request::get("/")).await;
        let write = Request::builder().method(Method::POST).uri("/");
        ask(&edge, write).await;
        assert_eq!(is_hit(&ask(&edge, Request::get("/")).await), hit, "{lines}");
    }
}

#[tokio::test]
async fn purges_and_writes_do_what_is_configured_of_revalidations() {
    let lines = "[revalidate]\nmode = \"hard\"\nwarm = false\nsecond_purge = \"10s\"\n[site]\nhosts = [\"http://a.example\"]\nreplica_lag = \"3s\"\n";
    let engine = engine(&format!(
        "{lines}[edge]\npurge_from = [\"10.0.0.0/8\"]\n{RULE}"
    ))
    .await;
    let edge = App::new(page).behind(&engine);
    let soft = Request::builder().method("PURGE").uri("/");
    let soft = soft.header("fastly-soft-purge", "1");
    ask(&edge, soft.extension(from("10.1.2.3"))).await;
    ask(&edge, Request::builder().method(Method::POST).uri("/")).await;
    let configured = engine.revalidate_options();
    assert_eq!(
        configured.replica_lag,
        Some(std::time::Duration::from_secs(3))
    );
    let receipts = engine
        .store()
        .receipts(&ReceiptFilter::default(), None, 9)
        .await
        .unwrap()
        .receipts;
    assert_eq!(receipts.len(), 2);
    for receipt in receipts {
        let mode = match receipt.source {
            Source::PurgeRequest => ModeChoice::chosen(Mode::Soft),
            _ => ModeChoice::usual(Mode::Hard),
        };
        let expected = RevalidateOptions {
            mode,
            ..configured.clone()
        };
        assert_eq!(receipt.options, expected, "{:?}", receipt.source);
    }
}

fn missing(_: &Request<RequestBody>) -> Response<Full<Bytes>> {
    let response = Response::builder().status(StatusCode::NOT_FOUND);
    response.body(Full::from("nothing here")).unwrap()
}

#[tokio::test]
async fn pages_that_do_not_exist_are_kept_as_long_as_configured() {
    let engine = engine(&format!("[edge]\nnegative_lifetime = \"20m\"\n{RULE}")).await;
    let edge = App::new(missing).behind(&engine);
    let answer = ask(&edge, Request::get("/")).await;
    let control = field(&answer, "cache-control");
    let lifetime = control
        .split(", ")
        .find_map(|d| d.strip_prefix("s-maxage="));
    let lifetime: u32 = lifetime.unwrap().parse().unwrap();
    assert!((1100..=1200).contains(&lifetime), "{control}");
}

#[tokio::test]
async fn only_so_many_variants_of_a_page_are_kept() {
    for (lines, hit) in [("", true), ("[edge]\nvariants_per_page = 1\n", false)] {
        let engine = engine(&format!("{lines}{RULE}vary = [\"accept-language\"]\n")).await;
        let edge = App::new(page).behind(&engine);
        let speaking = |language| Request::get("/").header("accept-language", language);
        for language in ["en", "de"] {
            ask(&edge, speaking(language)).await;
        }
        assert!(is_hit(&ask(&edge, speaking("de")).await));
        assert_eq!(is_hit(&ask(&edge, speaking("en")).await), hit, "{lines}");
    }
}

#[tokio::test]
async fn an_unknown_host_is_answered_as_configured() {
    let rows = [
        ("", 200),
        ("[edge]\ndefault_host = false\n", 421),
        (
            "[edge]\ndefault_host = false\nunknown_host = \"not_found\"\n",
            404,
        ),
    ];
    for (lines, status) in rows {
        let engine = engine(lines).await;
        let edge = App::new(page).behind(&engine);
        let stranger = Request::get("/").header("host", "b.example");
        assert_eq!(ask(&edge, stranger).await.status(), status, "{lines}");
    }
}

#[tokio::test]
async fn tiers_in_front_are_told_in_their_dialect() {
    let engine = engine(&format!(
        "[edge]\ndialects = [\"cdn_cache_control\"]\n{RULE}"
    ))
    .await;
    let edge = App::new(page).behind(&engine);
    let answer = ask(&edge, Request::get("/")).await;
    let told = field(&answer, "cdn-cache-control");
    assert!(told.starts_with("max-age="), "{:?}", answer.headers());
}

#[tokio::test]
async fn what_a_build_made_can_be_revalidated() {
    let site = "[site]\nhosts = [\"http://a.example\"]\nbuild = \"41\"\n";
    let engine = engine(&format!("{site}{RULE}tags = [\"all\"]\n")).await;
    let edge = App::new(page).behind(&engine);
    ask(&edge, Request::get("/")).await;
    assert!(is_hit(&ask(&edge, Request::get("/")).await));
    let url = PageUrl::parse("http://a.example/").unwrap();
    let bound = engine.store().tags_for(&url).await.unwrap().unwrap();
    let tags: Vec<&str> = bound
        .tags
        .iter()
        .map(|bound| Tag::as_str(&bound.tag))
        .collect();
    assert_eq!(tags, ["all", "build:41"]);
    engine.revalidate([tag("build", 41)]).await.unwrap();
    assert!(!is_hit(&ask(&edge, Request::get("/")).await));
}

/// An engine whose origin is at this address.
async fn engine_before(origin: SocketAddr, lines: &str) -> edge_isr::Engine {
    let site = "[site]\nhosts = [\"http://a.example\"]\n";
    engine(&format!("{site}origin = \"http://{origin}\"\n{lines}")).await
}

#[tokio::test]
async fn a_head_with_more_fields_than_configured_is_refused() {
    let answer = concat!(
        "HTTP/1.1 200 X\r\ncontent-length: 0\r\n",
        "a: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\ng: 1\r\nh: 1\r\n",
        "i: 1\r\nj: 1\r\nk: 1\r\nl: 1\r\nm: 1\r\nn: 1\r\no: 1\r\np: 1\r\n\r\n",
    );
    let origin = raw_origin(answer).await;
    for (lines, status) in [("", 200), ("[edge]\norigin_most_fields = 16\n", 502)] {
        let engine = engine_before(origin, lines).await;
        let answer = ask(&engine.edge().unwrap(), Request::get("/")).await;
        assert_eq!(answer.status(), status, "{lines}");
    }
}

#[tokio::test]
async fn an_origin_that_falls_silent_is_given_up_on_after_the_configured_time() {
    let origin = raw_origin("HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf").await;
    let engine = engine_before(origin, "[edge]\nidle_timeout = \"20ms\"\n").await;
    let response = open(&engine.edge().unwrap(), Request::get("/")).await;
    let broken = tokio::time::timeout(crate::support::PATIENCE, response.into_body().collect());
    assert!(broken.await.unwrap().is_err());
}
