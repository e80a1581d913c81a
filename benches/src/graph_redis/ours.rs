//! What edge-isr does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use isr_core::{
    Bind, BindOutcome, PageUrl, Position, Receipt, RevalidateOptions, Source, Tag, TagGraph as _,
    TagSet, Target, Targets, VariantKey, tag,
};
use isr_graph::RedisStore;
use isr_testkit::RedisServer;

use super::peers::{cli, info};
use super::timer::{Rate, Timer};

/// Pages in one call of the store.
const BATCH: u64 = 1024;
/// Callers that bind one page a call at once.
const CALLERS: u8 = 128;
/// Pages in a chunk of a walk.
const CHUNK: usize = 4000;

pub(crate) struct Ours<'a> {
    pub(crate) server: &'a RedisServer,
    pub(crate) store: Arc<RedisStore>,
}

impl Ours<'_> {
    pub(super) async fn empty(&self) -> anyhow::Result<()> {
        cli(self.server, &["FLUSHALL"])?;
        self.store.position().await?;
        Ok(())
    }

    pub(super) fn memory(&self) -> anyhow::Result<f64> {
        info(self.server, "memory", "used_memory")
    }

    /// One task, which sends 1,024 pages with each call.
    pub(super) async fn bind_batched(&self, from: u64, count: u64) -> anyhow::Result<Rate> {
        let position = self.store.position().await?;
        let binds: Vec<Bind> = (from..from + count).map(|n| page(n, &position)).collect();
        let timer = Timer::start(self.server)?;
        for some in binds.chunks(usize::try_from(BATCH)?) {
            let outcomes = self.store.bind(some).await?;
            ensure!(
                outcomes.iter().all(BindOutcome::is_bound),
                "nothing was revalidated"
            );
        }
        timer.rate_of(count)
    }

    /// As many tasks as there are callers, each of which sends one page and waits for the answer.
    pub(super) async fn bind_one_by_one(&self, from: u64, count: u64) -> anyhow::Result<Rate> {
        let position = self.store.position().await?;
        let shares: Vec<Vec<Bind>> = (0..CALLERS)
            .map(|caller| (from + u64::from(caller)..from + count).step_by(CALLERS.into()))
            .map(|numbers| numbers.map(|n| page(n, &position)).collect())
            .collect();
        let timer = Timer::start(self.server)?;
        let callers = shares.into_iter().map(|share| {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move {
                for bind in share {
                    store.bind(&[bind]).await?;
                }
                anyhow::Ok(())
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await??;
        }
        timer.rate_of(count)
    }

    pub(crate) async fn bind_to(&self, name: &str, count: u64) -> anyhow::Result<()> {
        let position = self.store.position().await?;
        let tags = TagSet::try_from_iter([name.parse::<Tag>()?])?;
        for from in (0..count).step_by(usize::try_from(BATCH)?) {
            let binds = (from..count.min(from + BATCH)).map(|n| Bind {
                tags: tags.clone(),
                ..page(n, &position)
            });
            self.store.bind(&binds.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// The median time in which all pages of a tag are found.
    pub(super) async fn resolve(&self, name: &str, count: u64) -> anyhow::Result<Duration> {
        let mut took = Vec::new();
        for _ in 0..9 {
            let began = Instant::now();
            let found = self.walk(name).await?;
            took.push(began.elapsed());
            ensure!(found == count, "{found} pages of {count} found");
        }
        took.sort();
        Ok(took[took.len() / 2])
    }

    async fn walk(&self, name: &str) -> anyhow::Result<u64> {
        let target = Target::Tag(name.parse()?);
        let (mut found, mut cursor) = (0, None);
        loop {
            let chunk = self.store.urls_for(&target, cursor.as_ref(), CHUNK).await?;
            found += chunk.urls.len() as u64;
            cursor = chunk.next;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    /// Revalidates and resolves a tag while pages are bound, and prints how long the server was busy
    /// with single calls, by its own slow log.
    pub(super) async fn time_every_call(&self, name: &str, count: u64) -> anyhow::Result<()> {
        self.log_slow_calls()?;
        let began = Instant::now();
        let targets = Targets::new([Target::Tag(name.parse()?)])?;
        self.store
            .invalidate(Receipt::new(
                targets,
                RevalidateOptions::default(),
                Source::Library,
            ))
            .await?;
        let revalidated = began.elapsed();
        let found = self.walk(name).await?;
        let resolved = began.elapsed().saturating_sub(revalidated);
        ensure!(found == count, "{found} pages of {count} found");
        let calls = self.slow_log()?;
        self.collect_all().await?;
        let collected = self.slow_log()?;
        println!(
            "| a tag of {count} pages | calls | median call | longest call | above 5 ms | took in all |"
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        print_calls("revalidated and resolved", &calls, revalidated + resolved);
        print_calls(
            "garbage collected",
            &collected,
            began.elapsed().saturating_sub(revalidated + resolved),
        );
        self.revalidate_many().await
    }

    /// The largest revalidation that is possible.
    async fn revalidate_many(&self) -> anyhow::Result<()> {
        let targets = (0..Targets::LIMIT).map(|n| Target::Tag(tag("many", n)));
        let receipt = Receipt::new(
            Targets::new(targets)?,
            RevalidateOptions::default(),
            Source::Library,
        );
        let began = Instant::now();
        self.store.invalidate(receipt).await?;
        print_calls("10,000 targets at once", &self.slow_log()?, began.elapsed());
        Ok(())
    }

    async fn collect_all(&self) -> anyhow::Result<()> {
        while self.store.collect_garbage(10_000).await?.more {}
        Ok(())
    }

    /// Lets the server note from now on which calls took long.
    pub(crate) fn log_slow_calls(&self) -> anyhow::Result<()> {
        for (name, value) in [
            ("slowlog-log-slower-than", LOGGED_MICROSECONDS),
            ("slowlog-max-len", "100000"),
        ] {
            cli(self.server, &["CONFIG", "SET", name, value])?;
        }
        self.slow_log().map(drop)
    }

    /// The longest call of a script since then, and how many took more than 5 ms.
    pub(crate) fn longest_call(&self) -> anyhow::Result<(Duration, usize)> {
        let (calls, _) = self.slow_log()?;
        let longest = calls.last().copied().unwrap_or_default();
        let above = calls.iter().filter(|&&call| call > 5000).count();
        Ok((Duration::from_micros(longest), above))
    }

    /// Of each call of a script since the last time that took long enough to be logged, how many
    /// microseconds it took, shortest first; and how many calls there were.
    fn slow_log(&self) -> anyhow::Result<(Vec<u64>, f64)> {
        const DURATIONS: &str = "local r = {} for _, e in ipairs(redis.call('SLOWLOG', 'GET', 100000)) do \
                                 if e[4][1] == 'EVALSHA' then r[#r + 1] = e[3] end end return r";
        let answer = cli(self.server, &["EVAL", DURATIONS, "0"])?;
        let mut calls: Vec<u64> = answer
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect();
        calls.sort_unstable();
        let stats = cli(self.server, &["INFO", "commandstats"])?;
        let all = stats
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        let all = all
            .and_then(|rest| rest.split(',').next())
            .map_or(Ok(0.0), str::parse)?;
        cli(self.server, &["SLOWLOG", "RESET"])?;
        cli(self.server, &["CONFIG", "RESETSTAT"])?;
        Ok((calls, all))
    }
}

/// Calls that took less are not looked at one by one.
const LOGGED_MICROSECONDS: &str = "100";

fn print_calls(what: &str, (calls, all): &(Vec<u64>, f64), took: Duration) {
    let longest = calls.last().map_or(0.0, |&call| call as f64 / 1000.0);
    let median = calls
        .get(calls.len() / 2)
        .map_or(0.0, |&call| call as f64 / 1000.0);
    let above = calls.iter().filter(|&&call| call > 5000).count();
    println!(
        "| {what} | {all} | {median:.2} ms | {longest:.2} ms | {above} | {:.1} s |",
        took.as_secs_f64(),
    );
}

/// A URL of 31 bytes and its tags: one unique, one of 50 pages, one of 5,000.
fn page(n: u64, position: &Position) -> Bind {
    let url = PageUrl::parse(&format!("https://example.com/page/{n:06}")).expect("a valid URL");
    let tags = [tag("post", n), tag("author", n / 50), tag("list", n / 5000)];
    Bind {
        generation: position.generation_of(&url),
        url,
        variant: VariantKey::default(),
        tags: TagSet::try_from_iter(tags).expect("three tags fit"),
        lifetime: Duration::from_hours(1),
    }
}
