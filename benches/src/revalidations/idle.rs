//! How soon a purge is called when there is nothing else to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use isr_core::{Revalidator as _, Store};
use isr_pipeline::Intake;
use isr_testkit::RedisServer;
use tokio::sync::mpsc::UnboundedReceiver;

use super::model::{Called, Model, accept, work};
use super::{Options, one, open};

/// Between two revalidations nothing happens for longer than anything is kept open.
const PAUSE: Duration = Duration::from_millis(150);

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    println!("| from `revalidate` to the purge call, idle | median | p99 | longest |");
    println!("| --- | --- | --- | --- |");
    for elsewhere in [false, true] {
        let server = RedisServer::start_with(&["--appendonly", "yes"]).await;
        let store: Arc<dyn Store> = open(&server)?;
        let (tier, calls) = Model::by_tag();
        let (wake, _worker) = work(&store, tier);
        let (intake, where_to) = if elsewhere {
            let store: Arc<dyn Store> = open(&server)?;
            (accept(&store, Arc::default()), "a worker elsewhere")
        } else {
            (accept(&store, wake), "a worker in the same process")
        };
        let took = measure(&intake, calls, options.single).await?;
        let at =
            |share: usize| took[(took.len() * share / 100).min(took.len() - 1)].as_secs_f64() * 1e3;
        println!(
            "| {where_to}, {} revalidations | {:.1} ms | {:.1} ms | {:.1} ms |",
            took.len(),
            at(50),
            at(99),
            at(100),
        );
    }
    Ok(())
}

/// How long each took, the shortest first.
async fn measure(
    intake: &Intake,
    mut calls: UnboundedReceiver<Called>,
    revalidations: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(revalidations);
    for number in 0..revalidations {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        intake.revalidate(one(number)?).await?;
        let (called, _) = calls.recv().await.context("the worker goes on")?;
        took.push(called.saturating_duration_since(began));
    }
    took.sort();
    Ok(took)
}
