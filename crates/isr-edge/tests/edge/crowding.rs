//! The origin is never asked for more at once than is allowed, whoever asks and whoever has left.

use std::time::Duration;

use http::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::origin::{Gate, Script, ScriptedOrigin, Seen, Step};
use crate::support::{Setup, Site};

const MOST: usize = 3;

/// A site whose origin may be asked for so much at once, and does not answer under `/slow` before the
/// gate is open.
async fn site(most: usize, wait: Duration) -> (Site, Gate) {
    let gate = Gate::new();
    let behind = gate.clone();
    let answer = move |seen: &Seen| match seen.target.as_str() {
        target if target.starts_with("/slow") => Script::ok(&[], "slow").behind(&behind),
        _ => Script::ok(&[], "quick"),
    };
    let setup = Setup::new().rule("/**", &[]).with(|setup| {
        setup.options.origin_concurrency = most;
        setup.options.collapse_wait = wait;
    });
    (setup.start(ScriptedOrigin::start(answer).await).await, gate)
}

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn visitors_who_ask_and_leave_do_not_pile_up_at_the_origin() {
    let (site, gate) = site(MOST, LONG).await;
    for number in 0..MOST {
        let visit = tokio::spawn(site.get_owned(&format!("/slow/{number}")));
        site.origin.wait_for(number + 1).await;
        visit.abort();
    }
    let visits: Vec<_> = (0..20)
        .map(|number| tokio::spawn(site.get_owned(&format!("/slow/more/{number}"))))
        .collect();
    // What is stored, or not to be asked for, is still answered.
    let control = ("cache-control", "only-if-cached");
    for _ in 0..20 {
        let answer = site.ask("/").header(control.0, control.1).send().await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    }
    assert_eq!(site.origin.count(), MOST);
    gate.open();
    for visit in visits {
        assert_eq!(visit.await.unwrap().text, "slow");
    }
}

#[tokio::test]
async fn a_visitor_for_whom_there_is_no_room_is_told_so() {
    let (site, gate) = site(1, SHORT).await;
    let first = tokio::spawn(site.get_owned("/slow"));
    site.origin.wait_for(1).await;
    for (method, why) in [(Method::GET, "uri-miss"), (Method::POST, "method")] {
        let refused = site.request(method, "/").send().await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            refused.cache_status(),
            format!("edge-isr; fwd={why}; detail=origin_at_capacity")
        );
        assert_eq!(refused.field("retry-after"), "5");
    }
    let noted = site.noted.count("OriginAtCapacity { background: false }");
    assert_eq!((site.origin.count(), noted), (1, 2));
    gate.open();
    assert_eq!(first.await.unwrap().text, "slow");
    assert_eq!(site.get("/").await.text, "quick");
}

#[tokio::test]
async fn what_may_stand_in_for_a_failing_origin_does_so_for_a_busy_one() {
    let (site, gate) = site(1, SHORT).await;
    site.get("/").await;
    // Too old to be served while it is revalidated, not too old to stand in.
    site.advance(130);
    let slow = tokio::spawn(site.get_owned("/slow"));
    site.origin.wait_for(2).await;
    for part in [None, Some("bytes=0-1")] {
        let mut ask = site.ask("/");
        if let Some(part) = part {
            ask = ask.header("range", part);
        }
        let stale = ask.send().await;
        assert!(
            stale.cache_status().ends_with("detail=origin_at_capacity"),
            "{stale:?}"
        );
        assert!("quick".starts_with(&stale.assert_stale().text), "{stale:?}");
    }
    gate.open();
    slow.await.unwrap();
}

#[tokio::test]
async fn background_requests_leave_room_for_visitors() {
    const PAGES: usize = 6;
    let gate = Gate::new();
    let behind = gate.clone();
    let answer = move |seen: &Seen| match seen.field("x-first") {
        Some(_) => Script::ok(&[], "first"),
        None if seen.target == "/visit" => Script::ok(&[], "visit"),
        None => Script::ok(&[], "new").behind(&behind),
    };
    let setup = Setup::new()
        .rule("/**", &[])
        .with(|setup| setup.options.origin_concurrency = 4);
    let site = setup.start(ScriptedOrigin::start(answer).await).await;
    for number in 0..PAGES {
        let ask = site.ask(&format!("/{number}")).header("x-first", "1");
        assert_eq!(ask.send().await.text, "first");
    }
    site.advance(110);
    for number in 0..PAGES {
        site.get(&format!("/{number}")).await.assert_stale();
    }
    // Half of the room is taken, and the visitor finds the other half.
    assert_eq!(site.get("/visit").await.text, "visit");
    assert_eq!(site.origin.count(), PAGES + 2 + 1);
    let noted = site.noted.count("OriginAtCapacity { background: true }");
    assert_eq!(noted, PAGES - 2);
    gate.open();
    // Those for which there was no room are asked for when they are seen again.
    for number in 0..PAGES {
        while site.get(&format!("/{number}")).await.text != "new" {}
    }
}

#[tokio::test]
async fn a_body_that_has_not_ended_and_no_socket_keeps_its_place() {
    let gate = Gate::new();
    let behind = gate.clone();
    let answer = move |seen: &Seen| match seen.target.as_str() {
        "/socket" => {
            let switch = "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
            Script::raw(switch).then(Step::Echo)
        }
        "/stream" => {
            let head = "HTTP/1.1 200 X\r\ncache-control: private\r\ncontent-length: 2\r\n\r\n1";
            Script::raw(head)
                .then(Step::Until(behind.clone()))
                .then(Step::Send("2".into()))
        }
        _ => Script::ok(&[], "body"),
    };
    let setup = Setup::new().with(|setup| {
        setup.options.origin_concurrency = 1;
        setup.options.collapse_wait = SHORT;
    });
    let site = setup.start(ScriptedOrigin::start(answer).await).await;
    let ask = site.ask("/socket").header("connection", "upgrade");
    let response = ask.header("upgrade", "websocket").open().await;
    let mut socket = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    socket.write_all(b"hello").await.unwrap();
    socket.read_exact(&mut [0; 5]).await.unwrap();
    assert_eq!(site.get("/").await.text, "body");

    let stream = site.ask("/stream").open().await;
    let refused = site.get("/other").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    gate.open();
    let whole = http_body_util::BodyExt::collect(stream.into_body()).await;
    assert_eq!(whole.unwrap().to_bytes(), "12");
    assert_eq!(site.get("/other").await.text, "body");
}
