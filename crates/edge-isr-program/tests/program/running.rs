//! A running server, used from the command line.

use crate::process::{Place, http, origin};

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
    let shown = run(&["status"]).await;
    assert!(shown.text().contains("page:a"), "{}", shown.text());
    let graph = run(&["graph", "stats", "--json"]).await.json();
    assert_eq!(
        (&graph["pages"], &graph["revalidations"][0]),
        (&1.into(), &1.into()),
        "{graph}"
    );

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
