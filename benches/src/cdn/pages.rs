//! The pages that are purged.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use isr_core::{Bind, Generation, PageUrl, Tag, TagGraph as _, TagSet, VariantKey, tag};
use isr_graph::{SqliteOptions, SqliteStore};

/// Pages bound in one call of the store.
const BATCH: usize = 1_000;

/// The tag of every page.
pub(super) fn tag_of_all() -> Tag {
    tag("list", "all")
}

/// The tag of one page.
pub(super) fn tag_of(page: u64) -> Tag {
    tag("article", page)
}

/// Makes a store in the file at `path`, with pages.
pub(super) async fn make(path: &Path, pages: u64) -> anyhow::Result<()> {
    let store = SqliteStore::open(path, SqliteOptions::default()).await?;
    let generation = store.position().await?.generation_of(&page(0)?);
    for first in (0..pages).step_by(BATCH) {
        let numbers = first..(first + BATCH as u64).min(pages);
        bind(&store, numbers, generation).await?;
    }
    Ok(())
}

async fn bind(
    store: &SqliteStore,
    numbers: std::ops::Range<u64>,
    generation: Generation,
) -> anyhow::Result<()> {
    let binds = numbers.map(|n| {
        anyhow::Ok(Bind {
            url: page(n)?,
            variant: VariantKey::default(),
            tags: TagSet::try_from_iter([tag_of_all(), tag_of(n)])?,
            generation,
            // Longer than the longest run by the fastest clock.
            lifetime: Duration::from_hours(24 * 365),
        })
    });
    let outcomes = store
        .bind(&binds.collect::<anyhow::Result<Vec<_>>>()?)
        .await?;
    ensure!(
        outcomes.iter().all(isr_core::BindOutcome::is_bound),
        "a page is superseded"
    );
    Ok(())
}

fn page(n: u64) -> anyhow::Result<PageUrl> {
    let url = format!(
        "https://www.example.com/archive/section-{}/article-{n}",
        n % 97
    );
    Ok(PageUrl::parse(&url)?)
}
