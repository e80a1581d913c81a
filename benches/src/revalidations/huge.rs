//! A tag of very many pages, purged by URL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use isr_core::{
    Phase, Receipt, RevalidateOptions, Revalidator as _, Source, Store, Target, Targets,
};
use isr_testkit::RedisServer;

use super::model::{Model, start};
use super::{Options, open};
use crate::graph_redis::Ours;
use crate::processor;

/// URLs in one call.
const ITEMS: usize = 100;

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let server = RedisServer::start_with(&["--appendonly", "yes"]).await;
    let redis = open(&server)?;
    let ours = Ours {
        server: &server,
        store: Arc::clone(&redis),
    };
    ours.bind_to("huge", options.huge).await?;
    ours.log_slow_calls()?;
    processor::forget_peak()?;

    let store: Arc<dyn Store> = redis;
    let (tier, mut calls) = Model::by_url(ITEMS);
    let (intake, _worker) = start(&store, tier);
    let targets = Targets::new([Target::Tag("huge".parse()?)])?;
    let quiet = RevalidateOptions {
        warm: false,
        ..RevalidateOptions::default()
    };
    let began = Instant::now();
    let receipt = Receipt::new(targets, quiet, Source::Library);
    let id = intake.revalidate(receipt).await?.id;
    let (mut items, mut count) = (0, 0_u64);
    let mut last = began;
    while items < options.huge {
        let (at, some) = calls.recv().await.context("the worker goes on")?;
        items += some as u64;
        count += 1;
        last = at;
    }
    let purged = last.saturating_duration_since(began);
    let done = loop {
        let known = store.receipt(&id).await?.context("it was accepted")?;
        if known.phase.is_final() {
            break known;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    ensure!(done.phase == Phase::Done, "{done:?}");
    let (longest, above) = ours.longest_call()?;
    println!(
        "| a tag of {} pages, purged by URL | calls | took | memory of the worker | longest call of a script | \
         above 5 ms |",
        options.huge
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let longest = if longest.is_zero() {
        "below 0.1 ms".to_owned() // what takes less is not logged
    } else {
        format!("{:.2} ms", longest.as_secs_f64() * 1e3)
    };
    println!(
        "| {ITEMS} a call, no limit | {count} | {:.1} s | {:.0} MiB | {longest} | {above} |",
        purged.as_secs_f64(),
        processor::peak_kib()? as f64 / 1024.0,
    );
    Ok(())
}
