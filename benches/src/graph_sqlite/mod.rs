//! The embedded store with a million pages in it.

mod binds;
mod figures;
mod reads;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use isr_core::{TagGraph, tag};
use isr_graph::{Durability, SqliteOptions, SqliteStore};

use self::binds::{Kind, bind_all, bind_one_by_one};
use self::figures::{millis, rate, row};
use self::reads::{Read, read_until, resolve, revalidate};

/// Visits every page once in an order that looks random: coprime to any round number of pages.
const STRIDE: u64 = 7_368_787;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Pages loaded first.
    #[arg(long, default_value_t = 1_000_000)]
    pages: u64,
    /// Pages bound in each measurement after that.
    #[arg(long, default_value_t = 100_000)]
    measured: u64,
    /// Pages in one call.
    #[arg(long, default_value_t = 256)]
    batch: u64,
    /// Where the store is made; a temporary directory when not given.
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// Loads the store, then measures it, and prints a table.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let directory = options.directory.as_deref().unwrap_or(temporary.path());
    let path = directory.join("graph.sqlite");
    let store = open(&path, Durability::Process).await?;
    println!("| what | figure |\n| --- | --- |");
    load(&store, &options).await?;
    bind_more(&store, &options).await?;
    read_at_rest(&store, &options).await?;
    read_while_written(&store, &options).await?;
    drop(store);
    row(
        "size on disk, closed",
        format!("{} MB", std::fs::metadata(&path)?.len() / 1_000_000),
    );
    let store = open(&path, Durability::Machine).await?;
    let from = options.pages + 3 * options.measured;
    let took = bind_all(&store, &options, from, options.measured, Kind::New).await?;
    rate(
        "bound, new pages, waiting for the disk",
        options.measured,
        took,
    );
    let few = options.measured / 10;
    let took = bind_one_by_one(&store, from + options.measured, few).await?;
    rate(
        "bound, one page a call, 64 callers, waiting for the disk",
        few,
        took,
    );
    Ok(())
}

async fn open(path: &Path, durability: Durability) -> anyhow::Result<Arc<SqliteStore>> {
    let options = SqliteOptions {
        durability,
        ..SqliteOptions::default()
    };
    Ok(Arc::new(SqliteStore::open(path, options).await?))
}

async fn load(store: &Arc<SqliteStore>, options: &Options) -> anyhow::Result<()> {
    let last = options.pages / 10;
    let first = options.pages - last;
    let early = bind_all(store, options, 0, first, Kind::New).await?;
    let late = bind_all(store, options, first, last, Kind::New).await?;
    rate("bound, while loading", options.pages, early + late);
    rate("bound, the last tenth of the load", last, late);
    Ok(())
}

async fn bind_more(store: &Arc<SqliteStore>, options: &Options) -> anyhow::Result<()> {
    let count = options.measured;
    let took = bind_all(store, options, options.pages, count, Kind::New).await?;
    rate("bound, new pages", count, took);
    let took = bind_all(store, options, 0, count, Kind::New).await?;
    rate("bound again, unchanged", count, took);
    let took = bind_all(store, options, 0, count, Kind::Changed).await?;
    rate("bound again, one tag changed", count, took);
    revalidate(store, "other:1").await?;
    let took = bind_all(store, options, 0, count, Kind::Behind).await?;
    rate(
        "bound again, from before another tag's revalidation",
        count,
        took,
    );
    let few = count / 2;
    let took = bind_one_by_one(store, options.pages + count, few).await?;
    rate("bound, new pages, one page a call, 64 callers", few, took);
    Ok(())
}

async fn read_at_rest(store: &Arc<SqliteStore>, options: &Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let pages = resolve(store, &tag("list", 7), 1_000).await?;
    ensure!(
        pages as u64 >= options.pages / 100,
        "the tag has only {pages} pages"
    );
    row(
        "resolving a tag",
        format!("{pages} pages in {:.1} ms", millis(began.elapsed())),
    );
    let began = Instant::now();
    let statistics = store.statistics(20).await?;
    row(
        "statistics",
        format!(
            "{} pairs in {:.0} ms",
            statistics.edges,
            millis(began.elapsed())
        ),
    );
    Ok(())
}

async fn read_while_written(store: &Arc<SqliteStore>, options: &Options) -> anyhow::Result<()> {
    let done = Arc::new(AtomicBool::new(false));
    let readers = [Read::Tags, Read::News, Read::Resolve, Read::Revalidate].map(|what| {
        tokio::spawn(read_until(
            Arc::clone(store),
            what,
            options.pages,
            Arc::clone(&done),
        ))
    });
    let from = options.pages + 2 * options.measured;
    let took = bind_all(store, options, from, options.measured, Kind::New).await;
    done.store(true, Ordering::Relaxed);
    rate(
        "bound, new pages, while read and revalidated",
        options.measured,
        took?,
    );
    for reader in readers {
        reader.await??;
    }
    Ok(())
}
