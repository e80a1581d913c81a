//! `[listen]`, `[store]` and `[warm]`.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use edge_isr::core::{
    Bind, PageUrl, Phase, StoreError, TagSet, Target, Targets, VariantKey, WarmFailure,
    WarmOutcome, WarmRequest, tag,
};
use edge_isr::edge::{RequestBody, serve};
use edge_isr::pipeline::Awaited;
use edge_isr::{Engine, RevalidateError};
use http::{Request, Response};
use http_body_util::Full;
use isr_testkit::RedisServer;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{App, PATIENCE, engine, page};

#[tokio::test]
async fn a_visitor_who_says_nothing_is_given_up_on_after_the_configured_time() {
    let engine = engine("[listen]\nhead_timeout = \"20ms\"\n").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = engine.config().listen.serve.clone();
    let server = tokio::spawn(serve(
        listener,
        App::new(page).behind(&engine),
        options,
        pending(),
    ));
    let mut visitor = TcpStream::connect(address).await.unwrap();
    let mut told = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, visitor.read_to_end(&mut told));
    closed.await.expect("the connection is closed").unwrap();
    server.abort();
}

fn large(_: &Request<RequestBody>) -> Response<Full<Bytes>> {
    Response::new(Full::from(vec![b'x'; 4096]))
}

#[tokio::test]
async fn a_body_larger_than_configured_is_not_warmed() {
    for (lines, warmed) in [("", true), ("[warm]\nlargest_body = \"1KiB\"\n", false)] {
        let engine = engine(lines).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let via = format!("http://{}", listener.local_addr().unwrap());
        let edge = App::new(large).behind(&engine);
        let options = engine.config().listen.serve.clone();
        let server = tokio::spawn(serve(listener, edge, options, pending()));
        let request = WarmRequest {
            url: PageUrl::parse("http://a.example/").unwrap(),
            via: Some(via),
            least: None,
        };
        let outcome = engine.warmer().warm(&[request]).await.remove(0);
        let too_large = matches!(
            &outcome,
            WarmOutcome::Failed {
                reason: WarmFailure::Body,
                ..
            }
        );
        assert_eq!(too_large, !warmed, "{lines}: {outcome:?}");
        server.abort();
    }
}

/// How a second revalidation fares where one may wait and nobody works on it.
async fn second_revalidation(store: &str) -> Result<(), RevalidateError> {
    let engine = engine(&format!("{store}queue = 1\n[worker]\nenabled = false\n")).await;
    engine.revalidate([tag("post", 1)]).await.unwrap();
    engine.revalidate([tag("post", 2)]).await.map(drop)
}

#[tokio::test]
async fn only_so_many_revalidations_wait_as_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    let server = RedisServer::start().await;
    let stores = [
        "kind = \"memory\"\n".to_owned(),
        format!("kind = \"sqlite\"\npath = {path:?}\n"),
        format!("kind = \"redis\"\nurl = \"{}\"\n", server.url()),
    ];
    for store in stores {
        let refused = second_revalidation(&format!("[store]\n{store}")).await;
        assert!(
            matches!(
                refused,
                Err(RevalidateError::Store(StoreError::QueueFull { .. }))
            ),
            "{store}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_revalidation_waits_for_its_time_unless_it_is_called_off() {
    let engine = engine("[store]\nkind = \"memory\"\n[worker]\nenabled = false\n").await;
    let targets = || Targets::new([Target::Tag(tag("post", 1))]).unwrap();
    let now = engine.store().time().await.unwrap();
    let day = Duration::from_hours(24);
    let made = engine
        .revalidate_at(targets(), now.after(day))
        .await
        .unwrap();
    assert_eq!(made.phase, Phase::Scheduled);
    let url = PageUrl::parse("http://a.example/1").unwrap();
    let history = engine.page_history(&url, 5).await.unwrap();
    assert_eq!((history.concerning.len(), history.scheduled.len()), (0, 0));
    for _ in 0..2 {
        let cancelled = engine.cancel(&made.id).await.unwrap().unwrap();
        assert_eq!(cancelled.phase, Phase::Cancelled);
    }
    let past = engine
        .revalidate_at(targets(), now.before(day))
        .await
        .unwrap();
    assert_eq!(past.phase, Phase::Queued);
    let too_late = engine.cancel(&past.id).await.unwrap().unwrap();
    assert_eq!(too_late.phase, Phase::Queued);
    let far = engine.revalidate_at(targets(), now.after(367 * day)).await;
    let too_far = matches!(
        far,
        Err(RevalidateError::Store(StoreError::TooFarAhead { .. }))
    );
    assert!(too_far, "{far:?}");
}

/// The edge is the only tier, so what is held is the warm-up.
#[tokio::test]
async fn a_revalidation_of_many_pages_is_held_until_it_is_released() {
    let engine = engine("[store]\nkind = \"memory\"\n[revalidate]\nhold_above = 1\n").await;
    let of_pages = |paths: &[&str]| {
        let url = |path: &&str| PageUrl::parse(&format!("http://a.example{path}")).unwrap();
        Targets::new(paths.iter().map(url).map(Target::Url)).unwrap()
    };
    let one = engine.revalidate_targets(of_pages(&["/1"])).await.unwrap();
    let done = engine.wait(&one.id, Awaited::Done, PATIENCE).await;
    assert_eq!(done.unwrap().unwrap().phase, Phase::Done);
    let two = of_pages(&["/1", "/2"]);
    let made = engine.revalidate_targets(two).await.unwrap();
    let held = engine.wait(&made.id, Awaited::Settled, PATIENCE).await;
    let held = held.unwrap().unwrap();
    assert_eq!(
        (held.phase, held.held.map(|held| held.above)),
        (Phase::Held, Some(1))
    );
    let released = engine.release(&made.id).await.unwrap().unwrap();
    assert_eq!(released.phase, Phase::Queued);
    let done = engine.wait(&made.id, Awaited::Done, PATIENCE).await;
    assert_eq!(done.unwrap().unwrap().phase, Phase::Done);
}

#[tokio::test]
async fn receipts_are_kept_for_as_long_as_is_configured() {
    for kind in ["memory", "redis"] {
        let server = RedisServer::start().await;
        let place = match kind {
            "redis" => format!("url = \"{}\"\n", server.url()),
            _ => String::new(),
        };
        let store = format!("[store]\nkind = \"{kind}\"\n{place}keep_receipts = \"90s\"\n");
        let engine = engine(&store).await;
        assert_eq!(engine.config().store_options.keep_receipts.as_secs(), 90);
        let made = engine.revalidate([tag("post", 1)]).await.unwrap();
        let done = engine.wait(&made.id, Awaited::Done, PATIENCE).await;
        assert_eq!(done.unwrap().unwrap().phase, Phase::Done, "{kind}");
        if kind == "redis" {
            let key = format!("isr:{{default:0}}:r:{}", made.id);
            let left = server.execute(&["TTL", &key]).await;
            let seconds: i64 = left.trim_start_matches(':').trim().parse().unwrap();
            assert!((1..=90).contains(&seconds), "{seconds}");
        }
    }
}

/// Binds pages until the store is full, or there is enough in it.
async fn bind_many(engine: &Engine) -> Result<(), StoreError> {
    let generation = |url: &PageUrl| engine.sender().generation(url).unwrap();
    for batch in 0..100 {
        let bind = |number: usize| {
            let text = format!("http://a.example/{batch}/{number}/{}", "x".repeat(200));
            let url = PageUrl::parse(&text).unwrap();
            Bind {
                generation: generation(&url),
                url,
                variant: VariantKey::default(),
                tags: TagSet::try_from_iter([tag("page", format!("{batch}-{number}"))]).unwrap(),
                lifetime: PATIENCE,
            }
        };
        let binds: Vec<Bind> = (0..100).map(bind).collect();
        engine.store().bind(&binds).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_file_of_the_store_grows_no_larger_than_configured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    let store = format!("[store]\nkind = \"sqlite\"\npath = {path:?}\nmax_bytes = \"1MiB\"\n");
    let engine = engine(&store).await;
    let refused = bind_many(&engine).await;
    assert!(
        matches!(refused, Err(StoreError::Full { .. })),
        "{refused:?}"
    );
    assert!(std::fs::metadata(&path).unwrap().len() <= 1 << 20);
}

#[tokio::test]
async fn a_redis_server_that_answers_too_late_counts_as_away() {
    let server = RedisServer::start().await;
    let store = format!(
        "[store]\nkind = \"redis\"\nurl = \"{}\"\nresponse_timeout = \"50ms\"\n",
        server.url()
    );
    let engine = engine(&store).await;
    server.pause();
    let answer = tokio::time::timeout(PATIENCE, engine.store().position()).await;
    server.resume();
    let answer = answer.expect("it is not waited for");
    assert!(
        matches!(answer, Err(StoreError::Unavailable { .. })),
        "{answer:?}"
    );
}
