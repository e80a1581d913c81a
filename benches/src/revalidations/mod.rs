//! Revalidations on Redis: how many are accepted, how soon a purge is called, and a tag of very many pages.

mod accepted;
mod huge;
mod idle;
mod model;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use isr_core::{Receipt, RevalidateOptions, Secret, Source, Target, Targets, tag};
use isr_graph::{RedisOptions, RedisStore};
use isr_testkit::RedisServer;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Revalidations accepted under each setting of Redis.
    #[arg(long, default_value_t = 100_000)]
    revalidations: usize,
    /// Callers who revalidate at once, each waiting for its receipt.
    #[arg(long, default_value_t = 512)]
    callers: usize,
    /// Single revalidations of which it is measured how soon a purge is called.
    #[arg(long, default_value_t = 300)]
    single: usize,
    /// Pages of the tag that is purged by URL.
    #[arg(long, default_value_t = 1_000_000)]
    huge: u64,
}

/// Measures, and prints tables.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    accepted::run(&options).await?;
    println!();
    idle::run(&options).await?;
    println!();
    huge::run(&options).await
}

fn open(server: &RedisServer) -> anyhow::Result<Arc<RedisStore>> {
    Ok(Arc::new(RedisStore::new(RedisOptions {
        response_timeout: Duration::from_secs(10),
        queue: 2_000_000,
        ..RedisOptions::new(Secret::new(server.url()))
    })?))
}

/// A revalidation of one tag.
fn one(number: usize) -> anyhow::Result<Receipt> {
    let options = RevalidateOptions {
        warm: false,
        ..RevalidateOptions::default()
    };
    let targets = Targets::new([Target::Tag(tag("post", number))])?;
    Ok(Receipt::new(targets, options, Source::Library))
}
