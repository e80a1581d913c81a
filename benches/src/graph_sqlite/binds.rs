//! Binding the pages that are measured with.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use isr_core::{Bind, Generation, PageUrl, TagGraph, TagSet, VariantKey, tag};
use isr_graph::SqliteStore;

use super::figures::Spent;
use super::{Options, STRIDE};

/// Callers that bind at once.
const CALLERS: u64 = 4;

/// Callers that bind one page a call at once.
const SINGLE_CALLERS: u64 = 64;

/// Which tags and which generation the pages are bound with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    New,
    Changed,
    Behind,
}

pub(super) async fn bind_all(
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

pub(super) async fn bind_one_by_one(
    store: &Arc<SqliteStore>,
    from: u64,
    count: u64,
) -> anyhow::Result<Spent> {
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

pub(super) fn page(n: u64) -> PageUrl {
    let text = format!(
        "https://www.example.com/archive/section-{}/article-{n}",
        n % 97
    );
    PageUrl::parse(&text).expect("the URL is well-formed")
}
