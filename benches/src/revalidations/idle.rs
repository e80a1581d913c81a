//! How soon a purge is called when there is nothing else to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use isr_core::{Revalidator as _, Store};
use isr_testkit::RedisServer;

use super::model::{Model, start};
use super::{Options, one, open};

/// Between two revalidations nothing happens for longer than anything is kept open.
const PAUSE: Duration = Duration::from_millis(150);

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let server = RedisServer::start_with(&["--appendonly", "yes"]).await;
    let store: Arc<dyn Store> = open(&server)?;
    let (tier, mut calls) = Model::by_tag();
    let (intake, _worker) = start(&store, tier);
    let mut took = Vec::with_capacity(options.single);
    for number in 0..options.single {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        intake.revalidate(one(number)?).await?;
        let (called, _) = calls.recv().await.context("the worker goes on")?;
        took.push(called.saturating_duration_since(began));
    }
    took.sort();
    let at =
        |share: usize| took[(took.len() * share / 100).min(took.len() - 1)].as_secs_f64() * 1e3;
    println!("| from `revalidate` to the purge call, idle | median | p99 | longest |");
    println!("| --- | --- | --- | --- |");
    println!(
        "| {} single revalidations | {:.1} ms | {:.1} ms | {:.1} ms |",
        took.len(),
        at(50),
        at(99),
        at(100),
    );
    Ok(())
}
