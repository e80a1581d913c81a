//! Measures what `docs/benchmarks.md` tells. Build it with `--release`.

#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(
    clippy::cast_precision_loss,
    reason = "what is counted here stays far below 2^52"
)]

mod cdn;
mod graph_redis;
mod graph_sqlite;
mod processor;
mod revalidations;

use clap::{Parser, Subcommand};

/// What edge-isr reaches on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Purging very many pages from models of CDNs: calls, use of their rates, and memory.
    Cdn(cdn::Options),
    /// A part of a run of `cdn`, in a process of its own.
    #[command(subcommand, hide = true)]
    CdnPart(cdn::Part),
    /// The store in Redis: binding, memory and resolving, beside a bare script and django-edge-isr.
    GraphRedis(graph_redis::Options),
    /// Revalidations on Redis: how many are accepted, how soon a purge is called, and a tag of very many pages.
    Revalidations(revalidations::Options),
    /// The embedded store: loading, binding, reading while it is written, its size on disk.
    GraphSqlite(graph_sqlite::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().measurement {
        Measurement::Cdn(options) => cdn::run(options).await,
        Measurement::CdnPart(part) => cdn::run_part(part).await,
        Measurement::GraphRedis(options) => graph_redis::run(options).await,
        Measurement::Revalidations(options) => revalidations::run(options).await,
        Measurement::GraphSqlite(options) => graph_sqlite::run(options).await,
    }
}
