//! The embedded store with a million pages in it.

use std::ops::{Add, Sub};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use isr_core::{
    Bind, Generation, PageUrl, Receipt, RevalidateOptions, Source, Tag, TagGraph, TagSet, Target,
    Targets, VariantKey, tag,
};
use isr_graph::{Durability, SqliteOptions, SqliteStore};

/// Visits every page once in an order that looks random: coprime to any round number of pages.
const STRIDE: u64 = 7_368_787;

/// Callers that bind at once.
const CALLERS: u64 = 4;

/// Callers that bind one page a call at once.
const SINGLE_CALLERS: u64 = 64;

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
    let statistics = store.statistics().await?;
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

/// Which tags and which generation the pages are bound with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    New,
    Changed,
    Behind,
}

async fn bind_all(
    store: &Arc<SqliteStore>,
    options: &Options,
    from: u64,
    count: u64,
    kind: Kind,
) -> anyhow::Result<Spent> {
    let current = store.position().await?.generation_of(&page(0));
    let generation = match kind {
        Kind::Behind => Generation {
            number: current.number - 1,
            ..current
        },
        Kind::New | Kind::Changed => current,
    };
    let began = Spent::so_far();
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let (store, batch) = (Arc::clone(store), options.batch);
        callers.push(tokio::spawn(async move {
            for start in (caller * batch..count).step_by(usize::try_from(CALLERS * batch)?) {
                let numbers = start..(start + batch).min(count);
                let binds: Vec<Bind> = numbers
                    .map(|n| bind(from + n.wrapping_mul(STRIDE) % count, generation, kind))
                    .collect();
                let outcomes = store.bind(&binds).await?;
                ensure!(
                    outcomes.iter().all(isr_core::BindOutcome::is_bound),
                    "a page is superseded"
                );
            }
            anyhow::Ok(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    Ok(Spent::so_far() - began)
}

async fn bind_one_by_one(store: &Arc<SqliteStore>, from: u64, count: u64) -> anyhow::Result<Spent> {
    let generation = store.position().await?.generation_of(&page(0));
    let began = Spent::so_far();
    let mut callers = Vec::new();
    for caller in 0..SINGLE_CALLERS {
        let store = Arc::clone(store);
        callers.push(tokio::spawn(async move {
            for n in (caller..count).step_by(usize::try_from(SINGLE_CALLERS)?) {
                store.bind(&[bind(from + n, generation, Kind::New)]).await?;
            }
            anyhow::Ok(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    Ok(Spent::so_far() - began)
}

/// What is read again and again while the store is written.
#[derive(Clone, Copy, Debug)]
enum Read {
    Tags,
    News,
    Resolve,
    Revalidate,
}

impl Read {
    const fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags of a page, while written",
            Self::News => "asking for news, none, while written",
            Self::Resolve => "1000 pages of a tag, while written",
            Self::Revalidate => "revalidating a tag, while written",
        }
    }

    /// So that the readers do not take the processor from the writer they are measured beside.
    const fn pause(self) -> Duration {
        match self {
            Self::Tags | Self::News => Duration::from_millis(2),
            Self::Resolve | Self::Revalidate => Duration::from_millis(50),
        }
    }
}

async fn read_until(
    store: Arc<SqliteStore>,
    what: Read,
    pages: u64,
    done: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let mut took = Vec::new();
    let mut n = 0_u64;
    while !done.load(Ordering::Relaxed) {
        n = (n + STRIDE) % pages;
        let here = store.position().await?;
        let began = Instant::now();
        match what {
            Read::Tags => ensure!(
                store.tags_for(&page(n)).await?.is_some(),
                "page {n} is gone"
            ),
            Read::News => drop(store.news_since(&here, 1_000).await?),
            Read::Resolve => {
                drop(
                    store
                        .urls_for(&Target::Tag(tag("list", n % 100)), None, 1_000)
                        .await?,
                );
            }
            Read::Revalidate => revalidate(&store, "other:2").await?,
        }
        took.push(began.elapsed());
        tokio::time::sleep(what.pause()).await;
    }
    took.sort_unstable();
    let at = |share: usize| {
        took.get((took.len() * share / 100).min(took.len() - 1))
            .copied()
    };
    let shown = |share| millis(at(share).unwrap_or_default());
    row(
        what.name(),
        format!(
            "{:.2} ms median, {:.2} ms p99, {:.2} ms at most",
            shown(50),
            shown(99),
            shown(100)
        ),
    );
    Ok(())
}

async fn resolve(store: &SqliteStore, tag: &Tag, limit: usize) -> anyhow::Result<usize> {
    let target = Target::Tag(tag.clone());
    let (mut pages, mut after) = (0, None);
    loop {
        let chunk = store.urls_for(&target, after.as_ref(), limit).await?;
        pages += chunk.urls.len();
        after = chunk.next;
        if after.is_none() {
            return Ok(pages);
        }
    }
}

async fn revalidate(store: &SqliteStore, tag: &str) -> anyhow::Result<()> {
    let targets = Targets::new([Target::Tag(Tag::new(tag)?)])?;
    store
        .invalidate(Receipt::new(
            targets,
            RevalidateOptions::default(),
            Source::CommandLine,
        ))
        .await?;
    Ok(())
}

/// One tag of its own, one of a thousand pages and one of ten thousand, of a million.
fn bind(n: u64, generation: Generation, kind: Kind) -> Bind {
    let own = if kind == Kind::Changed {
        tag("edited", n)
    } else {
        tag("post", n)
    };
    let tags = [own, tag("category", n % 1_000), tag("list", n % 100)];
    Bind {
        url: page(n),
        variant: VariantKey::default(),
        tags: TagSet::try_from_iter(tags).expect("three tags are few"),
        generation,
        lifetime: Duration::from_hours(24),
    }
}

fn page(n: u64) -> PageUrl {
    let text = format!(
        "https://www.example.com/archive/section-{}/article-{n}",
        n % 97
    );
    PageUrl::parse(&text).expect("the URL is well-formed")
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Time that passed, and time in which a processor worked for this process. The latter says more on a
/// machine that does other things too.
#[derive(Clone, Copy, Debug)]
struct Spent {
    wall: Duration,
    processor: Duration,
}

impl Spent {
    /// Since some moment, and since this process began.
    fn so_far() -> Self {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Self {
            wall: START.elapsed(),
            processor: processor_time().unwrap_or_default(),
        }
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            wall: self.wall.saturating_sub(earlier.wall),
            processor: self.processor.saturating_sub(earlier.processor),
        }
    }
}

impl Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            wall: self.wall + other.wall,
            processor: self.processor + other.processor,
        }
    }
}

/// User and system time, as Linux counts it in hundredths of a second (proc(5), `/proc/pid/stat`).
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

fn rate(what: &str, pages: u64, spent: Spent) {
    let per_second = |time: Duration| u128::from(pages) * 1_000_000 / time.as_micros().max(1);
    let mut figure = format!("{} pages/s", per_second(spent.wall));
    if !spent.processor.is_zero() {
        let busy = per_second(spent.processor);
        figure = format!("{figure}, {busy} per second of processor time");
    }
    row(what, figure);
}

fn row(what: &str, figure: impl std::fmt::Display) {
    println!("| {what} | {figure} |");
}
