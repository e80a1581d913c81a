//! Every event moves the metrics that it should, and no others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use isr_core::{CacheOutcome, Event, Milestone, QueueDepth, Recorder as _, Source, WarmFailure};
use isr_metrics::{Metrics, declarations};

const HALF: Duration = Duration::from_millis(500);

fn metrics() -> Metrics {
    Metrics::new(["edge", "cdn", "other"])
}

/// Every sample of a rendering but the buckets, by its name and labels.
fn samples(metrics: &Metrics) -> BTreeMap<String, f64> {
    let rendered = metrics.render();
    let lines = rendered
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    // What the process does changes by itself.
    let lines = lines.filter(|line| !line.starts_with("process_"));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// What recording an event changes, as `series value` lines.
fn moved(event: &Event<'_>) -> Vec<String> {
    let metrics = metrics();
    let before = samples(&metrics);
    metrics.record(event);
    let after = samples(&metrics);
    assert_eq!(before.len(), after.len(), "{event:?} added a series");
    let changed = after
        .iter()
        .filter(|(series, value)| before[*series].to_bits() != value.to_bits());
    changed
        .map(|(series, value)| format!("{series} {value}"))
        .collect()
}

#[track_caller]
fn check(event: &Event<'_>, expected: &[&str]) {
    let mut expected: Vec<String> = expected
        .iter()
        .map(|line| format!("edge_isr_{line}"))
        .collect();
    let mut moved = moved(event);
    expected.sort();
    moved.sort();
    assert_eq!(moved, expected, "{event:?}");
}

#[test]
fn what_the_edge_does_is_counted() {
    for outcome in CacheOutcome::ALL {
        let word = outcome.as_str();
        check(
            &Event::Answered {
                outcome,
                took: HALF,
            },
            &[
                &format!("edge_requests_total{{outcome=\"{word}\"}} 1"),
                &format!("edge_response_seconds_count{{outcome=\"{word}\"}} 1"),
                &format!("edge_response_seconds_sum{{outcome=\"{word}\"}} 0.5"),
            ],
        );
    }
    check(
        &Event::EdgeStored {
            responses: 3,
            bytes: u64::MAX,
        },
        &[
            "edge_stored_responses 3",
            "edge_stored_bytes 9223372036854776000",
        ],
    );
}

#[test]
fn what_the_origin_answers_is_counted_by_class() {
    let classes = [
        (None, "none"),
        (Some(103), "1xx"),
        (Some(200), "2xx"),
        (Some(304), "3xx"),
        (Some(404), "4xx"),
        (Some(599), "5xx"),
        (Some(999), "other"),
        (Some(42), "other"),
    ];
    for (status, class) in classes {
        check(
            &Event::OriginAsked { status, took: HALF },
            &[
                &format!("origin_requests_total{{status=\"{class}\"}} 1"),
                "origin_response_seconds_count 1",
                "origin_response_seconds_sum 0.5",
            ],
        );
    }
}

#[test]
fn what_finds_no_room_is_counted() {
    for (background, asker) in [(false, "visitor"), (true, "background")] {
        let expected = format!("origin_at_capacity_total{{asker=\"{asker}\"}} 1");
        check(&Event::OriginAtCapacity { background }, &[&expected]);
    }
    check(&Event::CrowdedOut, &["edge_crowded_out_total 1"]);
}

#[test]
fn binds_are_counted_by_what_came_of_them() {
    check(&Event::Bound, &["binds_total{result=\"bound\"} 1"]);
    check(
        &Event::Superseded,
        &["binds_total{result=\"superseded\"} 1"],
    );
    check(&Event::BindFailed, &["binds_total{result=\"failed\"} 1"]);
}

#[test]
fn revalidations_are_counted_and_their_milestones_timed() {
    for source in Source::ALL {
        let word = source.as_str();
        check(
            &Event::Revalidated { source },
            &[&format!("revalidations_total{{source=\"{word}\"}} 1")],
        );
    }
    for milestone in Milestone::ALL {
        let word = milestone.as_str();
        check(
            &Event::Reached {
                milestone,
                after: HALF,
            },
            &[
                &format!("revalidation_reached_seconds_count{{milestone=\"{word}\"}} 1"),
                &format!("revalidation_reached_seconds_sum{{milestone=\"{word}\"}} 0.5"),
            ],
        );
    }
    check(
        &Event::RevalidationFailed,
        &["revalidations_failed_total 1"],
    );
}

#[test]
fn purge_calls_are_counted_by_tier_and_an_unknown_tier_is_another() {
    for (connector, label) in [
        ("edge", "edge"),
        ("cdn", "cdn"),
        ("surprise", "other"),
        ("other", "other"),
    ] {
        for (ok, result) in [(true, "ok"), (false, "failed")] {
            check(
                &Event::PurgeCalled {
                    connector,
                    ok,
                    items: 30,
                },
                &[
                    &format!("purge_calls_total{{connector=\"{label}\",result=\"{result}\"}} 1"),
                    &format!("purge_items_total{{connector=\"{label}\",result=\"{result}\"}} 30"),
                ],
            );
        }
    }
}

#[test]
fn warm_ups_are_counted_and_timed() {
    check(
        &Event::Warmed { took: HALF },
        &[
            "warmed_pages_total 1",
            "warm_request_seconds_count 1",
            "warm_request_seconds_sum 0.5",
        ],
    );
    check(&Event::WarmSkipped, &["warm_skipped_total 1"]);
    for reason in WarmFailure::ALL {
        let word = reason.as_str();
        check(
            &Event::WarmFailed { reason },
            &[&format!("warm_failures_total{{reason=\"{word}\"}} 1")],
        );
    }
}

#[test]
fn failures_of_the_store_are_counted_by_operation_and_an_unknown_one_is_another() {
    for operation in declarations::OPERATIONS {
        let expected = format!("store_failures_total{{operation=\"{operation}\"}} 1");
        check(&Event::StoreFailed { operation }, &[&expected]);
    }
    check(
        &Event::StoreFailed {
            operation: "surprise",
        },
        &["store_failures_total{operation=\"other\"} 1"],
    );
}

#[test]
fn calls_to_the_store_are_timed_and_an_unknown_one_is_another() {
    let known = declarations::STORE_CALLS.iter().map(|call| (*call, *call));
    for (call, label) in known.chain([("surprise", "other")]) {
        check(
            &Event::StoreAsked { call, took: HALF },
            &[
                &format!("store_response_seconds_count{{call=\"{label}\"}} 1"),
                &format!("store_response_seconds_sum{{call=\"{label}\"}} 0.5"),
            ],
        );
    }
}

#[test]
fn what_was_looked_at_is_shown_as_it_was() {
    let depth = QueueDepth {
        revalidations: 1,
        scheduled: 4,
        held: 5,
        pages: 2,
        dead: 3,
        oldest_due: Some(HALF),
    };
    check(
        &Event::Queue { depth },
        &[
            "queue_revalidations 1",
            "queue_scheduled 4",
            "queue_held 5",
            "queue_pages 2",
            "queue_dead_letters 3",
            "queue_oldest_due_seconds 0.5",
        ],
    );
    check(
        &Event::Graph {
            pages: 1,
            tags: 2,
            edges: 3,
            bytes: Some(4),
        },
        &[
            "graph_pages 1",
            "graph_tags 2",
            "graph_edges 3",
            "graph_bytes 4",
        ],
    );
    for (connector, label) in [("cdn", "cdn"), ("surprise", "other")] {
        check(
            &Event::RateBudget {
                connector,
                left: 0.25,
            },
            &[&format!(
                "purge_rate_left_ratio{{connector=\"{label}\"}} 0.25"
            )],
        );
    }
    check(&Event::Behind { by: HALF }, &["store_behind_seconds 0.5"]);
}

#[test]
fn a_queue_with_nothing_due_shows_no_wait() {
    let metrics = metrics();
    let waiting = QueueDepth {
        oldest_due: Some(HALF),
        ..QueueDepth::default()
    };
    metrics.record(&Event::Queue { depth: waiting });
    metrics.record(&Event::Queue {
        depth: QueueDepth::default(),
    });
    assert!(
        metrics
            .render()
            .contains("\nedge_isr_queue_oldest_due_seconds 0\n")
    );
}

#[test]
fn a_scrape_finds_every_declared_metric_and_no_other() {
    let rendered = metrics().render();
    let of = |prefix: &str| -> Vec<String> {
        rendered
            .lines()
            .filter_map(|line| line.strip_prefix(prefix))
            .map(str::to_owned)
            .collect()
    };
    let mut kinds: Vec<String> = declarations::ALL
        .iter()
        .map(|d| format!("{} {}", d.name, d.kind.as_str()))
        .collect();
    let mut helps: Vec<String> = declarations::ALL
        .iter()
        .map(|d| format!("{} {}", d.name, d.help))
        .collect();
    kinds.sort();
    helps.sort();
    assert_eq!(of("# TYPE "), kinds);
    assert_eq!(of("# HELP "), helps);
}

#[test]
fn the_build_tells_its_version() {
    let expected = format!(
        "edge_isr_build_info{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(metrics().render().contains(&expected));
}

#[test]
fn a_duration_falls_into_its_bucket() {
    let metrics = metrics();
    metrics.record(&Event::Warmed {
        took: Duration::from_micros(100),
    });
    metrics.record(&Event::Warmed {
        took: Duration::from_secs(61),
    });
    let rendered = metrics.render();
    for bucket in ["le=\"0.0001\"} 1", "le=\"60\"} 1", "le=\"+Inf\"} 2"] {
        let line = format!("edge_isr_warm_request_seconds_bucket{{{bucket}\n");
        assert!(rendered.contains(&line), "{line}");
    }
}
