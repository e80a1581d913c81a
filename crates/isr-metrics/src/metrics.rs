//! From what happens to what is counted.

use std::fmt;
use std::time::Duration;

use isr_core::{Event, QueueDepth, Recorder};
use prometheus::{Gauge, Histogram, IntCounter, IntGauge, Registry, TextEncoder};

use crate::declarations as declared;
use crate::process::Process;
use crate::series::{Declared, Series};

/// The `Content-Type` of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric of one process.
///
/// Each has a registry of its own, so that several engines in one process do not mix.
pub struct Metrics {
    registry: Registry,
    edge_requests: Series<IntCounter>,
    edge_response: Series<Histogram>,
    edge_stored_responses: IntGauge,
    edge_stored_bytes: IntGauge,
    edge_crowded_out: IntCounter,
    origin_requests: Series<IntCounter>,
    origin_response: Histogram,
    origin_at_capacity: Series<IntCounter>,
    binds: Series<IntCounter>,
    revalidations: Series<IntCounter>,
    revalidation_reached: Series<Histogram>,
    revalidations_failed: IntCounter,
    purge_calls: Series<Series<IntCounter>>,
    purge_items: Series<Series<IntCounter>>,
    purge_rate_left: Series<Gauge>,
    warmed_pages: IntCounter,
    warm_request: Histogram,
    warm_failures: Series<IntCounter>,
    warm_skipped: IntCounter,
    warm_limit: IntGauge,
    warm_out_of_order: IntGauge,
    store_response: Series<Histogram>,
    store_failures: Series<IntCounter>,
    store_behind: Gauge,
    queue: QueueGauges,
    graph_pages: IntGauge,
    graph_tags: IntGauge,
    graph_edges: IntGauge,
    graph_bytes: IntGauge,
    process: Option<Process>,
}

struct QueueGauges {
    revalidations: IntGauge,
    scheduled: IntGauge,
    held: IntGauge,
    pages: IntGauge,
    dead: IntGauge,
    oldest_due: Gauge,
}

impl Metrics {
    /// Metrics at zero. `connectors` are the names of the configured tiers, which are label values;
    /// what is recorded of any other counts as `other`.
    #[must_use]
    pub fn new(connectors: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let connectors: Vec<String> = connectors.into_iter().map(Into::into).collect();
        let table = Declared::default();
        table.info(&declared::BUILD_INFO, env!("CARGO_PKG_VERSION"));
        Self {
            edge_requests: table.counters(&declared::EDGE_REQUESTS),
            edge_response: table.histograms(&declared::EDGE_RESPONSE),
            edge_stored_responses: table.int_gauge(&declared::EDGE_STORED_RESPONSES),
            edge_stored_bytes: table.int_gauge(&declared::EDGE_STORED_BYTES),
            edge_crowded_out: table.counter(&declared::EDGE_CROWDED_OUT),
            origin_requests: table.counters(&declared::ORIGIN_REQUESTS),
            origin_response: table.histogram(&declared::ORIGIN_RESPONSE),
            origin_at_capacity: table.counters(&declared::ORIGIN_AT_CAPACITY),
            binds: table.counters(&declared::BINDS),
            revalidations: table.counters(&declared::REVALIDATIONS),
            revalidation_reached: table.histograms(&declared::REVALIDATION_REACHED),
            revalidations_failed: table.counter(&declared::REVALIDATIONS_FAILED),
            purge_calls: table.counters_by_connector(&declared::PURGE_CALLS, &connectors),
            purge_items: table.counters_by_connector(&declared::PURGE_ITEMS, &connectors),
            purge_rate_left: table.gauges_by_connector(
                &declared::PURGE_RATE_LEFT,
                &connectors,
                1.0,
            ),
            warmed_pages: table.counter(&declared::WARMED_PAGES),
            warm_request: table.histogram(&declared::WARM_REQUEST),
            warm_failures: table.counters(&declared::WARM_FAILURES_TOTAL),
            warm_skipped: table.counter(&declared::WARM_SKIPPED),
            warm_limit: table.int_gauge(&declared::WARM_LIMIT),
            warm_out_of_order: table.int_gauge(&declared::WARM_OUT_OF_ORDER),
            store_response: table.histograms(&declared::STORE_RESPONSE),
            store_failures: table.counters(&declared::STORE_FAILURES),
            store_behind: table.gauge(&declared::STORE_BEHIND),
            queue: QueueGauges {
                revalidations: table.int_gauge(&declared::QUEUE_REVALIDATIONS),
                scheduled: table.int_gauge(&declared::QUEUE_SCHEDULED),
                held: table.int_gauge(&declared::QUEUE_HELD),
                pages: table.int_gauge(&declared::QUEUE_PAGES),
                dead: table.int_gauge(&declared::QUEUE_DEAD),
                oldest_due: table.gauge(&declared::QUEUE_OLDEST_DUE),
            },
            graph_pages: table.int_gauge(&declared::GRAPH_PAGES),
            graph_tags: table.int_gauge(&declared::GRAPH_TAGS),
            graph_edges: table.int_gauge(&declared::GRAPH_EDGES),
            graph_bytes: table.int_gauge(&declared::GRAPH_BYTES),
            process: Process::register(&table),
            registry: table.into_registry(),
        }
    }

    /// Every metric in Prometheus' text format, to be sent as [`CONTENT_TYPE`].
    #[must_use]
    pub fn render(&self) -> String {
        if let Some(process) = &self.process {
            process.look();
        }
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("every registered metric has a name and a series")
    }

    fn purge_called(&self, connector: &str, ok: bool, items: u64) {
        let result = if ok { "ok" } else { "failed" };
        self.purge_calls.of(connector).of(result).inc();
        self.purge_items.of(connector).of(result).inc_by(items);
    }

    fn queue(&self, depth: &QueueDepth) {
        set(&self.queue.revalidations, depth.revalidations);
        set(&self.queue.scheduled, depth.scheduled);
        set(&self.queue.held, depth.held);
        set(&self.queue.pages, depth.pages);
        set(&self.queue.dead, depth.dead);
        self.queue
            .oldest_due
            .set(depth.oldest_due.unwrap_or_default().as_secs_f64());
    }
}

impl Recorder for Metrics {
    fn record(&self, event: &Event<'_>) {
        match *event {
            Event::Answered { outcome, took } => {
                self.edge_requests.of(outcome.as_str()).inc();
                observe(self.edge_response.of(outcome.as_str()), took);
            }
            Event::OriginAsked { status, took } => {
                self.origin_requests.of(status_class(status)).inc();
                observe(&self.origin_response, took);
            }
            Event::OriginAtCapacity { background } => {
                let asker = if background { "background" } else { "visitor" };
                self.origin_at_capacity.of(asker).inc();
            }
            Event::CrowdedOut => self.edge_crowded_out.inc(),
            Event::EdgeStored { responses, bytes } => {
                set(&self.edge_stored_responses, responses);
                set(&self.edge_stored_bytes, bytes);
            }
            Event::Bound => self.binds.of("bound").inc(),
            Event::Superseded => self.binds.of("superseded").inc(),
            Event::BindFailed => self.binds.of("failed").inc(),
            Event::Revalidated { source } => self.revalidations.of(source.as_str()).inc(),
            Event::Reached { milestone, after } => {
                observe(self.revalidation_reached.of(milestone.as_str()), after);
            }
            Event::RevalidationFailed => self.revalidations_failed.inc(),
            Event::PurgeCalled {
                connector,
                ok,
                items,
            } => self.purge_called(connector, ok, items),
            Event::Warmed { took } => {
                self.warmed_pages.inc();
                observe(&self.warm_request, took);
            }
            Event::WarmOrigins {
                at_once,
                out_of_order,
            } => {
                set(&self.warm_limit, at_once);
                set(&self.warm_out_of_order, out_of_order);
            }
            Event::WarmFailed { reason } => self.warm_failures.of(reason.as_str()).inc(),
            Event::WarmSkipped => self.warm_skipped.inc(),
            Event::RateBudget { connector, left } => self.purge_rate_left.of(connector).set(left),
            Event::StoreAsked { call, took } => observe(self.store_response.of(call), took),
            Event::StoreFailed { operation } => self.store_failures.of(operation).inc(),
            Event::Queue { ref depth } => self.queue(depth),
            Event::Graph {
                pages,
                tags,
                edges,
                bytes,
            } => {
                set(&self.graph_pages, pages);
                set(&self.graph_tags, tags);
                set(&self.graph_edges, edges);
                set(&self.graph_bytes, bytes.unwrap_or_default());
            }
            Event::Behind { by } => self.store_behind.set(by.as_secs_f64()),
            _ => {} // an event that isr-core has learnt and that nothing is counted by yet
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn observe(histogram: &Histogram, took: Duration) {
    histogram.observe(took.as_secs_f64());
}

/// Gauges are signed; what they hold here is never near their limit.
fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

fn status_class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        None => "none",
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        Some(_) => declared::OTHER,
    }
}
