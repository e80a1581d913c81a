//! Reading the store, at rest and while it is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use isr_core::{Receipt, RevalidateOptions, Source, Tag, TagGraph, Target, Targets, tag};
use isr_graph::SqliteStore;

use super::STRIDE;
use super::binds::page;
use super::figures::{millis, row};

/// What is read again and again while the store is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
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

pub(super) async fn read_until(
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

pub(super) async fn resolve(store: &SqliteStore, tag: &Tag, limit: usize) -> anyhow::Result<usize> {
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

pub(super) async fn revalidate(store: &SqliteStore, tag: &str) -> anyhow::Result<()> {
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
