//! What the program does with faults: in its configuration, its arguments, and around it.

use crate::process::{Place, nobody, origin};

#[tokio::test]
async fn a_fault_in_the_configuration_is_told_with_its_key_and_source() {
    let place =
        Place::new("[site]\norign = \"http://127.0.0.1:3000\"\n[edge]\nmemory = \"lots\"\n");
    for command in [
        &["serve"][..],
        &["config", "check"],
        &["config", "print"],
        &["revalidate", "a"],
    ] {
        let ended = place.run(command).await;
        let errors = ended.errors();
        assert_eq!(ended.status(), 2, "{command:?}: {errors}");
        assert!(
            errors.contains("`site.orign` in ") && errors.contains("did you mean `site.origin`?"),
            "{errors}"
        );
        assert!(
            errors.contains("`edge.memory` in ") && errors.contains("edge-isr.toml is `lots`"),
            "{errors}"
        );
    }
}

#[tokio::test]
async fn a_fault_in_a_variable_is_told_with_its_name() {
    let place = Place::new("");
    let run = place
        .command(&["config", "check"])
        .env("EDGE_ISR_WARM__RATE", "fast")
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(
        errors.contains("`warm.rate` in EDGE_ISR_WARM__RATE"),
        "{errors}"
    );
}

#[tokio::test]
async fn secrets_are_not_printed() {
    let place = Place::new("[admin]\ntoken = \"0123456789abcdef\"\n");
    for arguments in [&["config", "print"][..], &["config", "print", "--json"]] {
        let text = place.run(arguments).await.text();
        assert!(
            text.contains("***") && !text.contains("0123456789abcdef"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn serving_needs_an_origin() {
    let ended = Place::new("").run(&["serve"]).await;
    assert_eq!(ended.status(), 2);
    assert!(
        ended.errors().contains("`site.origin` is missing"),
        "{}",
        ended.errors()
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let address = nobody();
    let place = Place::new(&format!("[listen]\nadmin = \"{address}\"\n"));
    for command in [
        &["revalidate", "a"][..],
        &["purge", "http://a.example/"],
        &["warm", "http://a.example/"],
        &["status"],
        &["graph", "stats"],
    ] {
        let ended = place.run(command).await;
        assert_eq!(ended.status(), 3, "{command:?}: {}", ended.errors());
        assert!(ended.errors().contains(&address), "{}", ended.errors());
    }
}

#[tokio::test]
async fn without_a_server_a_store_that_cannot_be_asked_is_named() {
    let (server, redis) = (nobody(), nobody());
    let stores = [
        ("kind = \"memory\"".to_owned(), "the memory store"),
        (String::new(), "no sqlite store at edge-isr-data"),
        (
            format!("kind = \"redis\"\nurl = \"redis://:secret@{redis}\""),
            "the redis store cannot be reached",
        ),
    ];
    for (store, message) in stores {
        let place = Place::new(&format!(
            "[listen]\nadmin = \"{server}\"\n[store]\n{store}\n"
        ));
        let ended = place.run(&["revalidate", "a"]).await;
        let errors = ended.errors();
        assert_eq!(ended.status(), 3, "{errors}");
        assert!(
            errors.contains(message) && errors.contains(&server),
            "{errors}"
        );
        assert!(!errors.contains("secret"), "{errors}");
    }
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_is_refused() {
    let place = Place::new("");
    for command in [
        &["revalidate"][..],
        &["purge"],
        &["status", "--tag", "a", "--url", "b"],
        &["nonsense"],
    ] {
        assert_eq!(place.run(command).await.status(), 2, "{command:?}");
    }
    let ended = place.run(&["status", "--server", "nowhere"]).await;
    assert_eq!(ended.status(), 2, "{}", ended.errors());
}

#[tokio::test]
async fn a_store_that_is_away_at_the_start_is_waited_for_unless_it_is_required() {
    let (origin, redis) = (origin().await, nobody());
    let store = format!("[store]\nkind = \"redis\"\nurl = \"redis://{redis}\"\n");
    let place = Place::before(&origin, &store);
    let ended = place.run(&["serve", "--require-store"]).await;
    assert_eq!(ended.status(), 3, "{}", ended.errors());
    assert!(ended.errors().contains("redis"), "{}", ended.errors());

    let ended = place.run(&["worker", "--require-store"]).await;
    assert_eq!(ended.status(), 3, "{}", ended.errors());
    assert!(ended.errors().contains("redis"), "{}", ended.errors());
    let waiting = place.start(&["worker"]).await;
    assert_eq!(waiting.terminate().await, Some(0));

    let serving = place.serve(&[]).await;
    let (status, _, body) = serving.visit("/a").await;
    assert_eq!(
        (status, body.as_str()),
        (200, "page a\n"),
        "pages are served all the same"
    );
    let ready = crate::process::http()
        .get(format!("{}/readyz", serving.admin))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    assert!(
        ready
            .text()
            .await
            .unwrap()
            .contains("the redis store cannot be reached")
    );
    let ended = place
        .run(&["revalidate", "a", "--server", &serving.admin])
        .await;
    assert_eq!(ended.status(), 3, "{}", ended.errors());
    assert!(ended.errors().contains("redis"), "{}", ended.errors());
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn only_one_server_serves_from_a_data_directory() {
    let place = Place::before(&origin().await, "");
    let serving = place.serve(&[]).await;
    let second = place.run(&["serve"]).await;
    assert_eq!(second.status(), 2, "{}", second.errors());
    assert!(
        second
            .errors()
            .contains("another edge-isr serves from edge-isr-data"),
        "{}",
        second.errors()
    );
    assert_eq!(serving.visit("/a").await.0, 200);
    assert_eq!(serving.terminate().await, Some(0));
    let third = place.serve(&[]).await;
    assert_eq!(third.terminate().await, Some(0));
}

#[tokio::test]
async fn a_store_without_room_is_told_of_and_keeps_no_page_from_being_served() {
    let place = Place::before(&origin().await, "[store]\nmax_bytes = \"1MiB\"\n");
    let serving = place.serve(&[]).await;
    // Long URLs fill it soon.
    let padding = "x".repeat(7000);
    let failed_binds = async || {
        let metrics = serving.client.get(format!("{}/metrics", serving.admin));
        let text = metrics.send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| {
            line.strip_prefix("edge_isr_store_failures_total{operation=\"bind\"} ")
        });
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let mut number = 0;
    while failed_binds().await == 0 {
        assert!(number < 2000, "the store fills up");
        for _ in 0..20 {
            let (status, _, body) = serving.visit(&format!("/{number}?{padding}")).await;
            assert_eq!((status, body), (200, format!("page {number}\n")));
            number += 1;
        }
    }
    let (_, cached, _) = serving.visit(&format!("/0?{padding}")).await;
    assert!(
        cached.contains("hit"),
        "what was bound before still is: {cached}"
    );
    assert_eq!(serving.terminate().await, Some(0));

    let file = place.path("edge-isr-data/store.sqlite3");
    let found: String = rusqlite::Connection::open(file)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_its_key() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap();
    let place = Place::new(&format!(
        "[site]\norigin = \"http://127.0.0.1:1\"\n[listen]\nedge = \"{taken}\"\n"
    ));
    let ended = place.run(&["serve"]).await;
    assert_eq!(ended.status(), 2);
    assert!(
        ended
            .errors()
            .contains(&format!("`listen.edge` {taken} cannot be listened on")),
        "{}",
        ended.errors()
    );
}
