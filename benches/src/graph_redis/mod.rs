//! The tag graph on Redis, compared in one run and on one server with a bare script and with
//! django-edge-isr.

mod ours;
mod peers;
mod timer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use isr_core::Secret;
use isr_graph::{RedisOptions, RedisStore};
use isr_testkit::RedisServer;

pub(crate) use self::ours::Ours;
use self::peers::{FOUR_SETS, Peer, SETS_OF_A_PAGE, bare_script};
use self::timer::Rate;
pub(crate) use self::timer::Timer;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Pages bound for the figures of speed and memory.
    #[arg(long, default_value_t = 200_000)]
    pages: u64,
    /// Pages of the tag that is resolved for the comparison.
    #[arg(long, default_value_t = 10_000)]
    large: u64,
    /// Pages of the tag whose calls are timed one by one.
    #[arg(long, default_value_t = 1_000_000)]
    huge: u64,
    /// A Python with django-edge-isr 0.0.8 and redis; one is made in a temporary directory when not
    /// given.
    #[arg(long)]
    python: Option<PathBuf>,
}

/// Measures, and prints tables.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let server = RedisServer::start().await;
    let ours = Ours {
        server: &server,
        store: open(&server)?,
    };
    let peer = peers::run(&server, &options)?;
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let bare = bare_script(&server, SETS_OF_A_PAGE)?;
        let four_sets = bare_script(&server, FOUR_SETS)?;
        ours.empty().await?;
        let memory = ours.memory()?;
        let batched = ours.bind_batched(0, options.pages).await?;
        let bytes = (ours.memory()? - memory) / options.pages as f64;
        let again = ours.bind_batched(0, options.pages).await?;
        let (from, few) = (options.pages, options.pages / 4);
        let single = ours.bind_one_by_one(from, few).await?;
        rounds.push(Round {
            bare,
            four_sets,
            batched,
            bytes,
            again,
            single,
        });
    }
    ours.empty().await?;
    ours.bind_to("large", options.large).await?;
    let resolve = ours.resolve("large", options.large).await?;
    print_comparison(&rounds, resolve, &peer);
    ours.empty().await?;
    ours.bind_to("huge", options.huge).await?;
    ours.time_every_call("huge", options.huge).await
}

fn open(server: &RedisServer) -> anyhow::Result<Arc<RedisStore>> {
    let options = RedisOptions::new(Secret::new(server.url()));
    let timeout = Duration::from_secs(10);
    let options = RedisOptions {
        response_timeout: timeout,
        ..options
    };
    Ok(Arc::new(RedisStore::new(options)?))
}

#[derive(Clone, Copy, Debug)]
struct Round {
    bare: Rate,
    four_sets: Rate,
    batched: Rate,
    /// Bytes a page.
    bytes: f64,
    again: Rate,
    single: Rate,
}

fn print_comparison(rounds: &[Round], resolve: Duration, peer: &Peer) {
    let rate = |rate: fn(&Round) -> Rate| Rate {
        per_second: median_of(rounds, |round| rate(round).per_second),
        server_microseconds: median_of(rounds, |round| rate(round).server_microseconds),
    };
    let (bare, four_sets) = (rate(|round| round.bare), rate(|round| round.four_sets));
    println!(
        "| what | a second | of the bare script's rate | of that with four sets | server time each |"
    );
    println!("| --- | --- | --- | --- | --- |");
    let row = |what: &str, rate: Rate| {
        println!(
            "| {what} | {:.0} | {:.2} | {:.2} | {:.1} µs |",
            rate.per_second,
            rate.per_second / bare.per_second,
            rate.per_second / four_sets.per_second,
            rate.server_microseconds,
        );
    };
    row("bare script of four SADD, `redis-benchmark -P 16`", bare);
    row("the same with four sets for all pages", four_sets);
    row("new pages bound, in batches", rate(|round| round.batched));
    row(
        "bound again, unchanged, in batches",
        rate(|round| round.again),
    );
    row(
        "new pages bound, one a call, 128 tasks",
        rate(|round| round.single),
    );
    println!();
    let single = rate(|round| round.single).per_second;
    let (bytes, resolve) = (
        median_of(rounds, |round| round.bytes),
        resolve.as_secs_f64() * 1000.0,
    );
    println!("| what | edge-isr | django-edge-isr 0.0.8 | ratio |\n| --- | --- | --- | --- |");
    let row = |what: &str, ours: f64, theirs: f64| {
        println!(
            "| {what} | {ours:.1} | {theirs:.1} | {:.2} |",
            ours / theirs
        );
    };
    row("bytes a page", bytes, peer.bytes_a_page);
    row(
        "milliseconds to resolve the large tag",
        resolve,
        peer.urls_for_ms,
    );
    row(
        "pages bound a second, one a call, as shipped",
        single,
        peer.bind_as_shipped,
    );
    row(
        "pages bound a second, one a call, with one client",
        single,
        peer.bind_with_one_client,
    );
    println!();
}

fn median_of(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
