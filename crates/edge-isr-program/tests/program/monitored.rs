//! A running server, scraped by a real Prometheus.

use std::path::Path;

use isr_testkit::{PrometheusServer, promtool};

use crate::process::{Place, origin};

#[tokio::test]
async fn prometheus_scrapes_it_and_its_rules_say_how_it_is() {
    let place = Place::before(&origin().await, "");
    let serving = place.serve(&[]).await;
    let target = serving.admin.strip_prefix("http://").unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring/alerts.yml");
    let prometheus = PrometheusServer::scraping(target, &rules.canonicalize().unwrap()).await;
    let is = |wanted: f64| move |values: &[f64]| matches!(values, [value] if (value - wanted).abs() < 0.01);
    prometheus.until("up", is(1.0)).await;
    assert!(prometheus.query("up{job=\"none\"}").await.is_empty());

    for _ in 0..4 {
        assert_eq!(serving.visit("/a").await.0, 200);
    }
    let done = place
        .run(&["revalidate", "page:a", "--wait", "--server", &serving.admin])
        .await;
    assert_eq!(done.status(), 0, "{}", done.errors());
    let from_cache = "edge_isr_edge_requests_total{outcome=\"hit\"}";
    prometheus.until(from_cache, is(3.0)).await;
    for milestone in ["purged", "confirmed", "settled"] {
        let reached =
            format!("edge_isr_revalidation_reached_seconds_count{{milestone=\"{milestone}\"}}");
        prometheus.until(&reached, is(1.0)).await;
    }
    let some = |values: &[f64]| matches!(values, [value] if *value > 0.0);
    for query in [
        "edge_isr_store_response_seconds_count{call=\"bind\"}",
        "edge_isr_graph_bytes",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "time() - process_start_time_seconds",
        "edge_isr:revalidation_reached:p99_rate5m{milestone=\"settled\"}",
    ] {
        prometheus.until(query, some).await;
    }

    let scraped = serving.client.get(format!("{}/metrics", serving.admin));
    let scraped = scraped.send().await.unwrap().text().await.unwrap();
    promtool(&["check", "metrics"], &scraped).unwrap();
    assert_eq!(serving.terminate().await, Some(0));
}
