//! The pipeline's side of a run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use isr_core::{
    Capabilities, CdnConnector, Clock, Event, Milestone, Receipt, Recorder, RevalidateOptions,
    RevalidationId, Revalidator as _, Source, Store, Target, Targets, Tier, TierState,
};
use isr_graph::{SqliteOptions, SqliteStore};
use isr_pipeline::{Awaited, Intake, Parts, Worker, WorkerOptions, await_receipt};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::case::{Case, Task};
use super::clock::clock;
use super::pages::{tag_of, tag_of_all};
use super::services;
use super::without_tags::WithoutTags;
use crate::processor;

/// How long a receipt may take to say what has happened.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    /// From the first revalidation to the last that was settled, by the run's clock.
    pub(super) seconds: f64,
    /// The fewest calls that purge as much, whatever the rate.
    pub(super) least_calls: u64,
    /// The most memory that the process ever had, in KiB.
    pub(super) peak_kib: u64,
    /// Seconds of processor time.
    pub(super) processor: f64,
}

/// Takes note of how many revalidations are through.
#[derive(Debug, Default)]
struct Counter {
    settled: AtomicU64,
    failed: AtomicU64,
    changed: Notify,
}

impl Recorder for Counter {
    fn record(&self, event: &Event<'_>) {
        match event {
            Event::Reached {
                milestone: Milestone::Settled,
                ..
            } => self.settled.fetch_add(1, Ordering::SeqCst),
            Event::RevalidationFailed => self.failed.fetch_add(1, Ordering::SeqCst),
            _ => return,
        };
        self.changed.notify_one();
    }
}

pub(super) async fn run(case: &Case, path: &Path, address: &str) -> anyhow::Result<Run> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // nobody was before us
    let connector = connector(case, address)?;
    let least_calls = least_calls(case, connector.capabilities());
    let clock = clock(case.speed);
    let options = SqliteOptions {
        clock: Some(Arc::clone(&clock)),
        ..SqliteOptions::default()
    };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path, options).await?);
    let (counter, wake) = (Arc::new(Counter::default()), Arc::<Notify>::default());
    let recorder = Arc::clone(&counter) as Arc<dyn Recorder>;
    let parts = Parts {
        store: Arc::clone(&store),
        tiers: vec![Tier::new(connector)],
        warmer: None,
        clock: Arc::clone(&clock),
        recorder: Arc::clone(&recorder),
        wake: Arc::clone(&wake),
    };
    let worker = Worker::new(parts, worker_options(case));
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    let intake = Intake::new(Arc::clone(&store), None, recorder, wake);
    let began = clock.now();
    let ids = ask(case, &intake).await?;
    while counter.settled.load(Ordering::SeqCst) + counter.failed.load(Ordering::SeqCst)
        < case.revalidations()
    {
        counter.changed.notified().await;
    }
    let took = clock.now().saturating_sub(began);
    check(case, &*store, &*clock, &ids).await?;
    stop.cancel();
    working.await?;
    Ok(Run {
        seconds: took.as_secs_f64(),
        least_calls,
        peak_kib: processor::peak_kib()?,
        processor: processor_seconds()?,
    })
}

fn connector(case: &Case, address: &str) -> anyhow::Result<Arc<dyn CdnConnector>> {
    let connector = services::named(&case.service)?.connect(case, address)?;
    Ok(match case.task {
        Task::PagesByUrl => Arc::new(WithoutTags::new(connector)),
        _ => connector,
    })
}

fn worker_options(case: &Case) -> WorkerOptions {
    let options = WorkerOptions::new("bench");
    WorkerOptions {
        // By a fast clock a lease would be over in no time.
        lease: options.lease * case.speed,
        coalesce: match case.task {
            Task::TagsOneByOne(_) => Duration::ZERO,
            _ => options.coalesce,
        },
        ..options
    }
}

fn least_calls(case: &Case, can: &Capabilities) -> u64 {
    let (ability, targets) = match case.task {
        Task::PagesByUrl => (&can.url, case.pages),
        Task::PagesByTag => (&can.tag, 1),
        Task::TagsOneByOne(count) | Task::Storm(count) => (&can.tag, count),
    };
    let most = ability.as_ref().and_then(|ability| ability.items_per_call);
    most.map_or(1, |most| targets.div_ceil(most.get() as u64))
}

/// Asks for the revalidations.
async fn ask(case: &Case, intake: &Intake) -> anyhow::Result<Vec<RevalidationId>> {
    let revalidate = |tag| {
        let options = RevalidateOptions {
            warm: false,
            ..RevalidateOptions::default()
        };
        let targets = Targets::new([Target::Tag(tag)]);
        let intake = intake.clone();
        async move {
            let receipt = Receipt::new(targets?, options, Source::Library);
            anyhow::Ok(intake.revalidate(receipt).await?.id)
        }
    };
    let (count, each) = match case.task {
        Task::PagesByUrl | Task::PagesByTag => return Ok(vec![revalidate(tag_of_all()).await?]),
        Task::TagsOneByOne(count) => (count, Duration::ZERO),
        Task::Storm(count) => (count, Duration::from_secs(1) / u32::try_from(count)?),
    };
    let began = Instant::now();
    let mut asked = JoinSet::new();
    for n in 0..count {
        let due = each * u32::try_from(n)?;
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        asked.spawn(revalidate(tag_of(n)));
    }
    asked.join_all().await.into_iter().collect()
}

/// Whether everything was purged. Who is told that a revalidation has settled may read so a moment later.
async fn check(
    case: &Case,
    store: &dyn Store,
    clock: &dyn Clock,
    ids: &[RevalidationId],
) -> anyhow::Result<()> {
    let mut accepted = 0;
    for id in ids {
        let receipt = await_receipt(store, clock, id, Awaited::Done, "", PATIENCE * case.speed);
        let receipt = receipt.await?.context("a receipt is gone")?;
        let tier = receipt.tiers.first().context("no tier was purged")?;
        ensure!(
            tier.state == TierState::Settled,
            "a revalidation ended {:?}: {receipt:?}",
            tier.state
        );
        accepted += tier.accepted;
    }
    let all = match case.task {
        Task::PagesByUrl => case.pages,
        _ => case.revalidations(),
    };
    ensure!(accepted >= all, "only {accepted} of {all} were purged");
    Ok(())
}
fn processor_seconds() -> anyhow::Result<f64> {
    let time = crate::processor::processor_time();
    Ok(time.context("Linux tells no processor time")?.as_secs_f64())
}
