//! What each process is told.

use std::path::Path;

/// How long after its last byte Varnish may still store a response: longer than a link to it ever stalls,
/// by as much as a busy machine may need.
const SETTLING_TIME: &str = "4s";

/// What a process of edge-isr is told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) origin: u16,
    /// Where visitors come: Varnish, or the edge where there is none.
    pub(crate) public: u16,
    /// Where the edge listens, if the process is one.
    pub(crate) edge: u16,
    pub(crate) admin: u16,
    /// Where the ways to Redis begin: one, or one to each node of a cluster.
    pub(crate) store: Vec<u16>,
    pub(crate) partitions: u16,
    /// The most revalidations that may wait.
    pub(crate) queue: u64,
    /// How many revalidations a worker works on at once.
    pub(crate) concurrency: u16,
    /// Whether an edge carries revalidations out too.
    pub(crate) works: bool,
    /// Where the way to Varnish begins, where there is one.
    pub(crate) purges: Option<u16>,
}

impl Settings {
    /// The configuration file.
    pub(crate) fn toml(&self) -> String {
        let Self {
            origin,
            public,
            edge,
            admin,
            store,
            partitions,
            queue,
            concurrency,
            works,
            purges,
        } = self;
        let connector = purges.map(connector).unwrap_or_default();
        let nodes = store.iter().map(|port| format!("redis://127.0.0.1:{port}"));
        let url = nodes.collect::<Vec<_>>().join(",");
        let cluster = if store.len() > 1 { CLUSTER } else { "" };
        format!(
            r#"[site]
name = "torture"
origin = "http://127.0.0.1:{origin}"
hosts = ["http://127.0.0.1:{public}"]

[listen]
edge = "127.0.0.1:{edge}"
admin = "127.0.0.1:{admin}"

[store]
kind = "redis"
url = "{url}"
partitions = {partitions}
queue = {queue}
# Whoever is killed has to read all of it again, and watching never takes so long.
keep_receipts = "3m"
{cluster}
# Short, so that the work of a killed worker is taken over within the run.
[worker]
enabled = {works}
concurrency = {concurrency}
lease = "3s"
backoff = "200ms"
longest_backoff = "2s"

[warm]
rate = 500
burst = 50
timeout = "5s"
backoff = "50ms"
longest_backoff = "1s"

[admin]
connections = 1000
{connector}"#
        )
    }
}

/// What is acknowledged is on the replica too, which may be the master a moment later.
const CLUSTER: &str = r#"cluster = true
durability = "replicated"
replicas = 1
"#;

fn connector(port: u16) -> String {
    format!(
        r#"
[[connector]]
kind = "varnish"
name = "varnish"
machines = ["http://127.0.0.1:{port}"]
connect_timeout = "1s"
timeout = "3s"
settling_time = "{SETTLING_TIME}"
"#
    )
}

/// What Varnish is told: two edges, of which it takes one that answers, and the file that users are given.
pub(crate) fn vcl(fronts: [u16; 2], probe: &str, file: &Path) -> String {
    let backend = |name: &str, port: u16| {
        format!(
            r#"backend {name} {{
    .host = "127.0.0.1";
    .port = "{port}";
    .connect_timeout = 1s;
    .first_byte_timeout = 8s;
    .between_bytes_timeout = 8s;
    .probe = {{ .url = "{probe}"; .interval = 300ms; .timeout = 600ms; .window = 3; .threshold = 2; .initial = 2; }}
}}
"#
        )
    };
    format!(
        r#"vcl 4.1;
import directors;
{}{}
acl edge_isr_purgers {{ "127.0.0.1"; }}

sub vcl_init {{
    new edges = directors.round_robin();
    edges.add_backend(first);
    edges.add_backend(second);
}}

sub vcl_recv {{
    set req.backend_hint = edges.backend();
}}

sub vcl_backend_error {{
    if (bereq.retries < 1) {{
        return (retry);
    }}
}}

sub vcl_deliver {{
    unset resp.http.x-hit;
    if (obj.hits > 0) {{
        set resp.http.x-hit = "1";
    }}
}}

include "{}";
"#,
        backend("first", fronts[0]),
        backend("second", fronts[1]),
        file.display(),
    )
}

/// The arguments of a Redis that writes what it answers for to a file first, which the operating system
/// keeps when Redis is killed.
pub(crate) fn redis(port: u16, folder: &Path, fsync: &str) -> Vec<String> {
    let port = port.to_string();
    let folder = folder.display().to_string();
    let arguments = [
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--dir",
        &folder,
        "--save",
        "",
        "--daemonize",
        "no",
        "--appendonly",
        "yes",
        "--appendfsync",
        fsync,
    ];
    arguments.map(str::to_owned).to_vec()
}

/// The arguments of Varnish.
pub(crate) fn varnish(port: u16, work: &Path, vcl: &Path) -> Vec<String> {
    // No jail: it would keep a process that runs as root from its own folder. And the configuration, which
    // becomes a C program, lasts no longer than an optimising compiler.
    let compiler = "cc_command=exec gcc -O0 -pthread -fpic -shared -o %o %s";
    let address = format!("127.0.0.1:{port}");
    let (work, vcl) = (work.display().to_string(), vcl.display().to_string());
    let arguments = [
        "-F",
        "-j",
        "none",
        "-s",
        "default,64m",
        "-p",
        compiler,
        "-a",
        &address,
        "-n",
        &work,
        "-f",
        &vcl,
    ];
    arguments.map(str::to_owned).to_vec()
}
