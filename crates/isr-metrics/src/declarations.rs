//! The table of all metrics. Whatever is not in it is not counted; whatever is in it is documented.

use isr_core::{CacheOutcome, Milestone, Source, WarmFailure};

use crate::declaration::{Declaration, Label, Unit, Values};

/// The upper bounds of every histogram's buckets, in seconds: from 100 µs, about what a hit in
/// memory takes, to a minute, beyond which a revalidation has got stuck.
pub const BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// What stands for every label value that is not in its label's set.
pub const OTHER: &str = "other";

/// What the store was asked for when it failed, as the parts that ask it name it: to bind, to
/// invalidate, to hand out jobs, to tell its news, to be tidied up, and whatever seeing pages and
/// revalidations through takes.
pub const OPERATIONS: &[&str] = &[
    "bind",
    "invalidate",
    "claim",
    "follow",
    "housekeeping",
    "pages",
    "revalidation",
    OTHER,
];

/// What the store is asked for, as groups of calls that take alike: to bind, to invalidate, for the pages of
/// a target, for news of revalidations, to take a report, to hand out jobs, to save how far they have come,
/// for rate limits, to be tidied up, and whatever is looked up.
pub const STORE_CALLS: &[&str] = &[
    "bind",
    "invalidate",
    "resolve",
    "follow",
    "report",
    "claim",
    "save",
    "budget",
    "collect",
    "look",
    OTHER,
];

/// The words of every value of an enum that lists itself as `ALL`.
macro_rules! words {
    ($of:ty) => {{
        let mut words = [""; <$of>::ALL.len()];
        let mut at = 0;
        while at < words.len() {
            words[at] = <$of>::ALL[at].as_str();
            at += 1;
        }
        words
    }};
}

pub(crate) const OUTCOMES: &[&str] = &words!(CacheOutcome);
pub(crate) const MILESTONES: &[&str] = &words!(Milestone);
pub(crate) const SOURCES: &[&str] = &words!(Source);
pub(crate) const WARM_FAILURES: &[&str] = &words!(WarmFailure);
/// The classes of a status code (RFC 9110 §15), and `none` when no response came.
pub(crate) const STATUS_CLASSES: &[&str] = &["none", "1xx", "2xx", "3xx", "4xx", "5xx", OTHER];
pub(crate) const BIND_RESULTS: &[&str] = &["bound", "superseded", "failed"];
/// Who the origin was not asked for: somebody who waits, or nobody.
pub(crate) const ASKERS: &[&str] = &["visitor", "background"];
pub(crate) const CALL_RESULTS: &[&str] = &["ok", "failed"];

/// The label by which a family of series is told apart when it has one.
const fn label(name: &'static str, values: &'static [&'static str]) -> Label {
    Label {
        name,
        values: Values::Closed(values),
    }
}

const OUTCOME: &[Label] = &[label("outcome", OUTCOMES)];
const STATUS: &[Label] = &[label("status", STATUS_CLASSES)];
const ASKER: &[Label] = &[label("asker", ASKERS)];
const BIND_RESULT: &[Label] = &[label("result", BIND_RESULTS)];
const SOURCE: &[Label] = &[label("source", SOURCES)];
const MILESTONE: &[Label] = &[label("milestone", MILESTONES)];
const CALL: &[Label] = &[
    Label {
        name: "connector",
        values: Values::Connectors,
    },
    label("result", CALL_RESULTS),
];
const REASON: &[Label] = &[label("reason", WARM_FAILURES)];
const OPERATION: &[Label] = &[label("operation", OPERATIONS)];
const CONNECTOR: &[Label] = &[Label {
    name: "connector",
    values: Values::Connectors,
}];
const STORE_CALL: &[Label] = &[label("call", STORE_CALLS)];

/// Requests to the edge.
pub const EDGE_REQUESTS: Declaration = Declaration::counter(
    "edge_isr_edge_requests_total",
    OUTCOME,
    "Requests that the built-in edge answered, by how it did.",
);
/// How long the edge took.
pub const EDGE_RESPONSE: Declaration = Declaration::seconds(
    "edge_isr_edge_response_seconds",
    OUTCOME,
    "Time from a request's head to the head of the built-in edge's response.",
);
/// What the edge holds, in responses.
pub const EDGE_STORED_RESPONSES: Declaration = Declaration::gauge(
    "edge_isr_edge_stored_responses",
    Unit::None,
    "Responses in the memory of the built-in edge.",
);
/// What the edge holds, in bytes.
pub const EDGE_STORED_BYTES: Declaration = Declaration::gauge(
    "edge_isr_edge_stored_bytes",
    Unit::Bytes,
    "Weight of the responses in the memory of the built-in edge.",
);
/// What the edge had no room for.
pub const EDGE_CROWDED_OUT: Declaration = Declaration::counter(
    "edge_isr_edge_crowded_out_total",
    &[],
    "Bodies that passed through without being stored because too much was on its way into the memory of the built-in edge.",
);
/// Requests to the origin.
pub const ORIGIN_REQUESTS: Declaration = Declaration::counter(
    "edge_isr_origin_requests_total",
    STATUS,
    "Requests sent to the origin, by the class of the status it answered with.",
);
/// How long the origin took.
pub const ORIGIN_RESPONSE: Declaration = Declaration::seconds(
    "edge_isr_origin_response_seconds",
    &[],
    "Time from a request's head to the head of the origin's response, or to giving up on it.",
);
/// Requests that were one too many for the origin.
pub const ORIGIN_AT_CAPACITY: Declaration = Declaration::counter(
    "edge_isr_origin_at_capacity_total",
    ASKER,
    "Requests not sent to the origin because as many were under way there as are allowed.",
);
/// Binds.
pub const BINDS: Declaration = Declaration::counter(
    "edge_isr_binds_total",
    BIND_RESULT,
    "Responses to be bound to their tags, by what came of it.",
);
/// Revalidations taken on.
pub const REVALIDATIONS: Declaration = Declaration::counter(
    "edge_isr_revalidations_total",
    SOURCE,
    "Revalidations accepted, by who asked.",
);
/// How long revalidations took.
pub const REVALIDATION_REACHED: Declaration = Declaration::seconds(
    "edge_isr_revalidation_reached_seconds",
    MILESTONE,
    "Time from a revalidation's acceptance, or from the time it was asked for, until it reached a milestone for the first time.",
);
/// Revalidations lost to the dead letters.
pub const REVALIDATIONS_FAILED: Declaration = Declaration::counter(
    "edge_isr_revalidations_failed_total",
    &[],
    "Revalidations given up on.",
);
/// Calls to tiers.
pub const PURGE_CALLS: Declaration = Declaration::counter(
    "edge_isr_purge_calls_total",
    CALL,
    "Purge calls, by the tier called and whether it took the call on.",
);
/// What was in the calls.
pub const PURGE_ITEMS: Declaration = Declaration::counter(
    "edge_isr_purge_items_total",
    CALL,
    "Items in purge calls, by the tier called and whether it took the call on.",
);
/// What is left of rate limits.
pub const PURGE_RATE_LEFT: Declaration = Declaration::gauge(
    "edge_isr_purge_rate_left_ratio",
    Unit::Ratio,
    "How much of the emptiest of a tier's rate limits is left, seen every 10 seconds; always 1 where it has none.",
)
.by(CONNECTOR);
/// Pages warmed.
pub const WARMED_PAGES: Declaration =
    Declaration::counter("edge_isr_warmed_pages_total", &[], "Pages warmed.");
/// How long warming took.
pub const WARM_REQUEST: Declaration = Declaration::seconds(
    "edge_isr_warm_request_seconds",
    &[],
    "Time from the first byte sent to the last byte received, of warm-ups that went well.",
);
/// Pages not warmed.
pub const WARM_FAILURES_TOTAL: Declaration = Declaration::counter(
    "edge_isr_warm_failures_total",
    REASON,
    "Pages that could not be warmed, by what went wrong last.",
);
/// Pages with nothing to be warmed.
pub const WARM_SKIPPED: Declaration = Declaration::counter(
    "edge_isr_warm_skipped_total",
    &[],
    "Pages that were found gone or moved when they were to be warmed.",
);
/// How much the crawler asks of origins.
pub const WARM_LIMIT: Declaration = Declaration::gauge(
    "edge_isr_warm_limit",
    Unit::None,
    "Requests that all origins together may get at once from the crawler, as it finds that they can take.",
);
/// Origins that do not serve.
pub const WARM_OUT_OF_ORDER: Declaration = Declaration::gauge(
    "edge_isr_warm_origins_out_of_order",
    Unit::None,
    "Origins that refuse the crawler, which leaves them alone but for a probe now and then.",
);
/// How long the store took.
pub const STORE_RESPONSE: Declaration = Declaration::seconds(
    "edge_isr_store_response_seconds",
    STORE_CALL,
    "Time from a call to the store to its answer or failure, waiting for its turn included.",
);
/// Failures of the store.
pub const STORE_FAILURES: Declaration = Declaration::counter(
    "edge_isr_store_failures_total",
    OPERATION,
    "Operations that the store failed to carry out.",
);
/// How far behind the store this process is.
pub const STORE_BEHIND: Declaration = Declaration::gauge(
    "edge_isr_store_behind_seconds",
    Unit::Seconds,
    "How long ago this process last knew itself up to date with the store.",
);
/// Revalidations waiting.
pub const QUEUE_REVALIDATIONS: Declaration = Declaration::gauge(
    "edge_isr_queue_revalidations",
    Unit::None,
    "Revalidations not finished, those being worked on included.",
);
/// Revalidations whose time has not come.
pub const QUEUE_SCHEDULED: Declaration = Declaration::gauge(
    "edge_isr_queue_scheduled",
    Unit::None,
    "Revalidations that wait for the time they were asked for.",
);
/// Revalidations that are held.
pub const QUEUE_HELD: Declaration = Declaration::gauge(
    "edge_isr_queue_held",
    Unit::None,
    "Revalidations that concern very many pages and wait until somebody releases them.",
);
/// Pages waiting.
pub const QUEUE_PAGES: Declaration = Declaration::gauge(
    "edge_isr_queue_pages",
    Unit::None,
    "Pages not finished, those being worked on included.",
);
/// Jobs given up on.
pub const QUEUE_DEAD: Declaration = Declaration::gauge(
    "edge_isr_queue_dead_letters",
    Unit::None,
    "Jobs given up on and kept until they are replayed.",
);
/// How long the oldest job waits.
pub const QUEUE_OLDEST_DUE: Declaration = Declaration::gauge(
    "edge_isr_queue_oldest_due_seconds",
    Unit::Seconds,
    "How long the oldest job that is due has been waiting; 0 when none is.",
);
/// Pages in the graph.
pub const GRAPH_PAGES: Declaration = Declaration::gauge(
    "edge_isr_graph_pages",
    Unit::None,
    "Pages bound to at least one tag.",
);
/// Tags in the graph.
pub const GRAPH_TAGS: Declaration = Declaration::gauge(
    "edge_isr_graph_tags",
    Unit::None,
    "Tags that some page is bound to.",
);
/// Edges of the graph.
pub const GRAPH_EDGES: Declaration = Declaration::gauge(
    "edge_isr_graph_edges",
    Unit::None,
    "Pairs of a page and a tag of it.",
);
/// What the store takes up.
pub const GRAPH_BYTES: Declaration = Declaration::gauge(
    "edge_isr_graph_bytes",
    Unit::Bytes,
    "Bytes that the store uses in all; 0 where it cannot tell.",
);
/// The processor's time.
pub const PROCESS_CPU: Declaration = Declaration::counter(
    "process_cpu_seconds_total",
    &[],
    "Processor time that the process has used, in user and system mode.",
)
.in_unit(Unit::Seconds);
/// The process's memory.
pub const PROCESS_RESIDENT: Declaration = Declaration::gauge(
    "process_resident_memory_bytes",
    Unit::Bytes,
    "Memory of the process that is in RAM.",
);
/// The process's address space.
pub const PROCESS_VIRTUAL: Declaration = Declaration::gauge(
    "process_virtual_memory_bytes",
    Unit::Bytes,
    "Address space that the process has reserved.",
);
/// The process's files and sockets.
pub const PROCESS_OPEN_FDS: Declaration = Declaration::gauge(
    "process_open_fds",
    Unit::None,
    "Files and sockets that the process has open.",
);
/// The most of them.
pub const PROCESS_MAX_FDS: Declaration = Declaration::gauge(
    "process_max_fds",
    Unit::None,
    "Files and sockets that the process may have open at once.",
);
/// When the process began.
pub const PROCESS_START: Declaration = Declaration::gauge(
    "process_start_time_seconds",
    Unit::Seconds,
    "When the process was started, since 1970 began.",
);
/// The build.
pub const BUILD_INFO: Declaration = Declaration {
    labels: &[Label {
        name: "version",
        values: Values::Version,
    }],
    ..Declaration::gauge(
        "edge_isr_build_info",
        Unit::None,
        "Always 1; tells the version.",
    )
};

/// Every metric there is, in the order of the documentation.
pub const ALL: &[Declaration] = &[
    EDGE_REQUESTS,
    EDGE_RESPONSE,
    EDGE_STORED_RESPONSES,
    EDGE_STORED_BYTES,
    EDGE_CROWDED_OUT,
    ORIGIN_REQUESTS,
    ORIGIN_RESPONSE,
    ORIGIN_AT_CAPACITY,
    BINDS,
    REVALIDATIONS,
    REVALIDATION_REACHED,
    REVALIDATIONS_FAILED,
    PURGE_CALLS,
    PURGE_ITEMS,
    PURGE_RATE_LEFT,
    WARMED_PAGES,
    WARM_REQUEST,
    WARM_FAILURES_TOTAL,
    WARM_SKIPPED,
    WARM_LIMIT,
    WARM_OUT_OF_ORDER,
    STORE_RESPONSE,
    STORE_FAILURES,
    STORE_BEHIND,
    QUEUE_REVALIDATIONS,
    QUEUE_SCHEDULED,
    QUEUE_HELD,
    QUEUE_PAGES,
    QUEUE_DEAD,
    QUEUE_OLDEST_DUE,
    GRAPH_PAGES,
    GRAPH_TAGS,
    GRAPH_EDGES,
    GRAPH_BYTES,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_VIRTUAL,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_START,
    BUILD_INFO,
];

/// Those that every program has under the same name, as Prometheus' client libraries agreed. Only Linux
/// tells them; elsewhere they are left out.
pub const OF_PROCESS: &[Declaration] = &[
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_VIRTUAL,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_START,
];

#[cfg(test)]
mod tests;
