//! A running server, used from the command line.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{Place, http, origin};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_page_is_cached_revalidated_and_looked_up_from_the_command_line() {
    let place = Place::before(&origin().await, "");
    let serving = place.serve(&[]).await;
    let server = ["--server", serving.admin.as_str()];
    let with_server = |arguments: &[&'static str]| -> Vec<String> {
        arguments
            .iter()
            .copied()
            .chain(server)
            .map(str::to_owned)
            .collect()
    };
    let run = async |arguments: &[&'static str]| {
        let arguments = with_server(arguments);
        place
            .run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
            .await
    };

    assert!(serving.visit("/a").await.1.contains("fwd=uri-miss"));
    assert!(serving.visit("/a").await.1.contains("hit"));

    let tag = run(&["status", "--tag", "page:a", "--json"]).await.json();
    assert_eq!(tag["pages"][0], format!("{}/a", serving.edge));
    let dry = run(&["revalidate", "page:a", "--dry-run", "--json"])
        .await
        .json();
    assert_eq!(
        (&dry["pages"], &dry["tiers"][0]["calls"]),
        (&1.into(), &1.into()),
        "{dry}"
    );

    let done = run(&["revalidate", "page:a", "--wait", "--json"]).await;
    assert_eq!(done.status(), 0, "{}", done.errors());
    assert_eq!(done.json()["settled"], true);
    let url = format!("{}/a", serving.edge);
    let why = place.run(&["why", &url, "--server", &serving.admin]).await;
    assert!(why.text().contains("CURRENT"), "{}", why.text());
    assert!(why.text().contains("has seen it"), "{}", why.text());
    let shown = run(&["status"]).await;
    assert!(shown.text().contains("page:a"), "{}", shown.text());
    let graph = run(&["graph", "stats", "--json"]).await.json();
    assert_eq!(
        (&graph["pages"], &graph["revalidations"][0]),
        (&1.into(), &1.into()),
        "{graph}"
    );

    let id = done.json()["id"].as_str().unwrap().to_owned();
    let waited = place
        .run(&[
            "status",
            "--receipt",
            &id,
            "--wait=purged",
            "--json",
            "--server",
            &serving.admin,
        ])
        .await;
    assert_eq!((waited.status(), &waited.json()["id"]), (0, &id.into()));
    let later = run(&[
        "revalidate",
        "page:a",
        "--at",
        "2000-01-01T00:00Z",
        "--wait",
    ])
    .await;
    assert_eq!(later.status(), 0, "{}", later.errors());
    let listed = run(&[
        "receipts",
        "--tag",
        "page:a",
        "--settled",
        "--all",
        "--json",
    ])
    .await;
    assert_eq!(listed.json()["receipts"].as_array().unwrap().len(), 2);
    let none = run(&["receipts", "--phase", "failed", "--since", "1h"]).await;
    assert_eq!(none.text().trim(), "no revalidations");

    let malformed = run(&["revalidate", "has space"]).await;
    assert_eq!(malformed.status(), 2);
    assert!(
        malformed.errors().contains("tags[0]"),
        "{}",
        malformed.errors()
    );
    let metrics = http()
        .get(format!("{}/metrics", serving.admin))
        .send()
        .await
        .unwrap();
    assert!(metrics.text().await.unwrap().contains("edge_isr_"));
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn a_token_keeps_strangers_out_and_lets_the_command_line_in() {
    let place = Place::before(&origin().await, "[admin]\ntoken = \"0123456789abcdef\"\n");
    let serving = place.serve(&[]).await;
    let arguments = ["graph", "stats", "--server", &serving.admin];
    let stranger = place.run(&arguments).await;
    assert_eq!(stranger.status(), 2);
    assert!(
        stranger.errors().contains("a token is needed"),
        "{}",
        stranger.errors()
    );
    let friend = place
        .command(&arguments)
        .env("EDGE_ISR_TOKEN", "0123456789abcdef")
        .output()
        .await
        .unwrap();
    assert_eq!(friend.status.code(), Some(0));
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn a_purged_page_comes_from_the_origin_again() {
    let place = Place::before(&origin().await, "");
    let serving = place.serve(&[]).await;
    serving.visit("/a").await;
    assert!(serving.visit("/a").await.1.contains("hit"));
    let page = format!("{}/a", serving.edge);
    let purged = place
        .run(&["purge", &page, "--wait", "--server", &serving.admin])
        .await;
    assert_eq!(purged.status(), 0, "{}", purged.errors());
    assert!(!serving.visit("/a").await.1.contains("hit"));
    let warmed = place
        .run(&["warm", &page, "--json", "--server", &serving.admin])
        .await;
    assert_eq!(warmed.json()["requests"][0]["outcome"], "warmed");
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn without_a_server_the_store_itself_is_asked_and_a_worker_does_the_rest() {
    let place = Place::before(&origin().await, "");
    let serving = place.serve(&[]).await;
    serving.visit("/a").await;
    assert_eq!(serving.terminate().await, Some(0));

    let asked = place.run(&["revalidate", "page:a", "--json"]).await;
    assert_eq!(asked.status(), 0, "{}", asked.errors());
    let receipt = asked.json();
    assert_eq!(receipt["source"], "command_line");
    assert_eq!(
        receipt["settled"], false,
        "nobody runs who would carry it out"
    );
    let told = place.run(&["status", "--tag", "page:a"]).await;
    assert!(told.text().contains("/a"), "{}", told.text());
    assert!(
        told.errors().contains("asking the sqlite store"),
        "{}",
        told.errors()
    );
    let none = place.run(&["dead-letters", "list"]).await;
    assert_eq!(none.text().trim(), "no job was given up on");

    let worker = place.start(&["worker"]).await;
    let id = receipt["id"].as_str().unwrap().to_owned();
    let settled = async {
        loop {
            let seen = place.run(&["status", "--receipt", &id, "--json"]).await;
            if seen.json()["settled"] == true {
                break;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), settled)
        .await
        .expect("the worker carries it out");
    assert_eq!(worker.terminate().await, Some(0));
}

#[tokio::test]
async fn waiting_for_what_does_not_come_about_fails() {
    let place = Place::before(&origin().await, "[worker]\nenabled = false\n");
    let serving = place.serve(&[]).await;
    let command = [
        "revalidate",
        "a",
        "--timeout",
        "1",
        "--server",
        &serving.admin,
    ];
    for wait in ["--wait", "--wait-edges"] {
        let waited = place.run(&[&command[..], &[wait]].concat()).await;
        assert_eq!(waited.status(), 1, "{wait}: {}", waited.errors());
        let told = waited.errors();
        assert!(told.contains("has not come so far within 1 s"), "{told}");
    }
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", silent.local_addr().unwrap());
    let serving = Place::before(&origin, "").serve(&[]).await;
    let mut visit = TcpStream::connect(address(&serving.edge)).await.unwrap();
    let request = b"GET /a HTTP/1.1\r\nhost: a.example\r\n\r\n";
    visit.write_all(request).await.unwrap();
    // Begun, and so waited for.
    let _asked = silent.accept().await.unwrap();
    serving.signal("-TERM").await;
    while TcpStream::connect(address(&serving.edge)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(serving.terminate().await, Some(1));
    let mut rest = Vec::new();
    let _ = visit.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}

fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap()
}

#[tokio::test]
async fn visitors_and_callers_who_never_send_a_whole_head_are_given_up_on() {
    let place = Place::before(&origin().await, "head_timeout = \"50ms\"\n");
    let serving = place.serve(&[]).await;
    for url in [&serving.edge, &serving.admin] {
        let mut half = TcpStream::connect(address(url)).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, half.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{url} still waits");
    }
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn connections_of_visitors_and_of_callers_are_bounded() {
    let more = "connections = 1\nhead_timeout = \"1h\"\ngrace = \"1h\"\n[admin]\nconnections = 1\n";
    let place = Place::before(&origin().await, more);
    let serving = place.serve(&[]).await;
    for url in [&serving.edge, &serving.admin] {
        let mut first = TcpStream::connect(address(url)).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let mut next = TcpStream::connect(address(url)).await.unwrap();
        let request = b"GET /a HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
        next.write_all(request).await.unwrap();
        // The head of the first has come whole, and is answered, before the next is accepted.
        first.write_all(b"a.example\r\n\r\n").await.unwrap();
        let mut start = [0; 9];
        first.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 ");
        let mut nothing = [0];
        let early = next.try_read(&mut nothing).map_err(|error| error.kind());
        assert_eq!(early, Err(ErrorKind::WouldBlock), "{url}");
        drop(first);
        let answered = tokio::time::timeout(PATIENCE, next.read_exact(&mut start)).await;
        answered.expect("there is room now").unwrap();
    }
    // One whose head is not whole is not waited for.
    let mut half = TcpStream::connect(address(&serving.edge)).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, serving.terminate()).await;
    assert_eq!(ended.expect("nobody is waited for"), Some(0));
}

#[tokio::test]
async fn whoever_reads_no_further_gets_no_complaint() {
    let place = Place::new("");
    let mut child = place
        .command(&["config", "print"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(
        ended.stderr,
        b"",
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    assert_eq!(ended.status.code(), Some(0));
}

#[tokio::test]
async fn jobs_that_were_not_given_up_on_cannot_be_replayed() {
    let place = Place::before(&origin().await, "");
    let serving = place.serve(&[]).await;
    let replay = ["dead-letters", "replay", "--server", &serving.admin];
    let all = place.run(&[&replay[..], &["--all"]].concat()).await;
    assert_eq!(all.text().trim(), "0 jobs were queued again");
    let page = format!("{}/a", serving.edge);
    let one = place.run(&[&replay[..], &[&page]].concat()).await;
    assert_eq!(one.status(), 1, "{}", one.errors());
    assert_eq!(place.run(&["dead-letters", "replay"]).await.status(), 2);
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn what_is_printed_for_other_programs_can_be_read_by_them() {
    let place = Place::new("[[rule]]\npath = \"/**\"\ntags = [\"all\"]\ns_maxage = \"1h\"\n");
    let document: serde_json::Value =
        serde_json::from_str(&place.run(&["openapi"]).await.text()).unwrap();
    assert!(document["paths"]["/v1/revalidate"].is_object());
    let completions = place.run(&["completions", "bash"]).await.text();
    assert!(completions.contains("edge-isr"), "{completions}");

    // What `config print` shows is a configuration that means the same.
    let printed = place.run(&["config", "print"]).await.text();
    let again = Place::new(&printed);
    let without_sources = |place: serde_json::Value| -> Vec<(String, String)> {
        let entries = place.as_array().unwrap().clone();
        entries
            .iter()
            .map(|entry| (entry["key"].to_string(), entry["value"].to_string()))
            .collect()
    };
    let first = place.run(&["config", "print", "--json"]).await.json();
    let second = again.run(&["config", "print", "--json"]).await.json();
    assert_eq!(without_sources(first), without_sources(second), "{printed}");
}

#[tokio::test]
async fn what_is_scheduled_is_seen_and_called_off_from_the_command_line() {
    let place = Place::before(&origin().await, "");
    let serving = place.serve(&[]).await;
    let run = async |arguments: &[&str]| {
        let server = ["--server", &serving.admin];
        place.run(&[arguments, &server].concat()).await
    };
    let far = run(&["revalidate", "post:1", "--at", "2999-12-01T09:00Z"]).await;
    assert_eq!(far.status(), 2);
    assert!(far.errors().contains("too far ahead"), "{}", far.errors());
    let now = http().get(format!("{}/v1/receipts?since=1s", serving.admin));
    assert!(now.send().await.unwrap().status().is_success());
    let day = Duration::from_hours(24);
    let at = edge_isr::core::Timestamp::from(std::time::SystemTime::now() + day).to_string();
    let made = run(&["revalidate", "post:1", "--at", &at, "--json"]).await;
    assert_eq!(made.status(), 0, "{}", made.errors());
    assert_eq!(made.json()["phase"], "scheduled");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let shown = run(&["receipts", "--phase", "scheduled"]).await;
    assert!(shown.text().contains(&format!("scheduled for {at}")));
    let cancelled = run(&["revalidate", "--cancel", &id]).await;
    assert_eq!(cancelled.status(), 0, "{}", cancelled.errors());
    assert!(cancelled.text().contains("cancelled"));
    let done = run(&["revalidate", "post:1", "--wait", "--json"]).await;
    let done = done.json()["id"].as_str().unwrap().to_owned();
    let late = run(&["revalidate", "--cancel", &done]).await;
    assert_eq!(late.status(), 1);
    assert!(late.errors().contains("cannot be called off"));
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn what_concerns_many_pages_is_held_and_released_from_the_command_line() {
    let place = Place::before(&origin().await, "[revalidate]\nhold_above = 0\n");
    let serving = place.serve(&[]).await;
    let run = async |arguments: &[&str]| {
        let arguments = [arguments, &["--server", &serving.admin]].concat();
        place.run(&arguments).await
    };
    serving.visit("/a").await;
    let dry = run(&["revalidate", "page:a", "--dry-run"]).await;
    assert!(dry.text().contains("would be held"), "{}", dry.text());
    let waited = run(&["revalidate", "page:a", "--wait"]).await;
    assert_eq!(waited.status(), 1, "{}", waited.text());
    let error = waited.errors();
    assert!(
        error.contains("more than 0 pages: `edge-isr release"),
        "{error}"
    );
    let exempt = run(&["revalidate", "page:a", "--no-hold", "--wait"]).await;
    assert_eq!(exempt.status(), 0, "{}", exempt.errors());
    let edges = run(&["revalidate", "page:a", "--wait-edges"]).await;
    assert_eq!(edges.status(), 0, "{}", edges.errors());

    let list = run(&["receipts", "--phase", "held", "--json"]).await.json();
    let ids: Vec<String> = list["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2, "{list}");
    let cancelled = run(&["revalidate", "--cancel", &ids[0]]).await;
    assert!(
        cancelled.text().contains("cancelled"),
        "{}",
        cancelled.text()
    );
    let refused = run(&["release", &ids[0], &ids[1]]).await;
    assert_eq!(refused.status(), 1);
    assert!(
        refused.errors().contains("it is cancelled"),
        "{}",
        refused.errors()
    );
    assert!(refused.text().contains(&format!("{} goes on", ids[1])));
    let done = run(&["status", "--receipt", &ids[1], "--wait=done"]).await;
    assert_eq!(done.status(), 0, "{}", done.errors());

    run(&["revalidate", "page:a", "--wait"]).await;
    let all = run(&["release", "--all"]).await;
    assert!(all.text().contains("goes on"), "{}", all.text());
    let none = run(&["release", "--all"]).await;
    assert!(
        none.text().contains("no revalidation was held"),
        "{}",
        none.text()
    );
}
