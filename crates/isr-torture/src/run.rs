//! One run: the load, the faults, and the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::change::{CHANGERS, Changes, change};
use crate::faults::{Counts, carry_out};
use crate::journal::Journal;
use crate::origin::Origin;
use crate::plan::{Servers, Store, plan};
use crate::ports::Ports;
use crate::quiet::{End, compare, drain};
use crate::report::Report;
use crate::stage::{Programs, Setup, Stage};
use crate::truth::Truth;
use crate::visit::{AllVisits, Tier, VISITORS, visit};
use crate::watch::{Calls, watch};
use crate::world::World;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Selects the site, the load and the faults.
    pub seed: u64,
    /// How long the load and the faults last.
    pub lasts: Duration,
    /// Changes of the data in a second. More than zero.
    pub changes: f64,
    /// Milliseconds between one page and the next, for each of 18 visitors.
    pub pause: u64,
    /// Partitions of the store.
    pub partitions: u16,
    /// The servers of the store.
    pub servers: Servers,
    /// Redis's `appendfsync`: `everysec` or `always`.
    pub fsync: String,
    /// What is done wrong on purpose.
    pub mistakes: Mistakes,
}

impl Options {
    const fn store(&self) -> Store {
        Store {
            servers: self.servers,
            partitions: self.partitions,
        }
    }
}

/// Mistakes made on purpose, to see that they are found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mistakes {
    /// Leaves out one revalidation in so many. More than zero.
    pub drop_one_in: Option<u32>,
    /// Takes every revalidation for settled once it is accepted.
    pub hasty: bool,
}

/// What everything in a run shares.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) world: Arc<World>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) truth: Truth,
    pub(crate) stage: Arc<Stage>,
    pub(crate) changes: Changes,
    pub(crate) visits: AllVisits,
    pub(crate) calls: Mutex<Calls>,
    pub(crate) mistakes: Mistakes,
    /// Pages that show data which was settled a moment ago: here something old would be wrong.
    pub(crate) suspects: Mutex<VecDeque<usize>>,
}

/// Runs everything, and says what was found.
///
/// # Errors
///
/// When something cannot be started, does not answer in the end, or ends as a program never should.
pub async fn torture(programs: &Programs, options: &Options) -> anyhow::Result<Report> {
    let started = Instant::now();
    let journal = Arc::new(Journal::new());
    let world = Arc::new(World::new(options.seed));
    let mut ports = Ports::default();
    let origin = Origin::new(options.seed, Arc::clone(&world), Arc::clone(&journal));
    let at = ports.take()?;
    let _listening = origin
        .listen(at)
        .await
        .context("the origin cannot listen")?;
    let setup = Setup::whole(options.store(), &options.fsync);
    let stage = Stage::set(programs, setup, at, &mut ports, Arc::clone(&journal)).await?;
    let run = Arc::new(Run {
        seed: options.seed,
        truth: Truth::new(&world),
        world,
        journal,
        stage: Arc::new(stage),
        changes: Changes::default(),
        visits: AllVisits::default(),
        calls: Mutex::default(),
        mistakes: options.mistakes,
        suspects: Mutex::default(),
    });
    let setup_took = started.elapsed();
    let lived = live(&run, &origin, options).await;
    let (faults, end) = lived.with_context(|| {
        let (found, _) = run.truth.findings();
        format!("broken off, with {found} lost until then")
    })?;
    Ok(Report::of(
        &run,
        options,
        setup_took,
        &faults,
        &end,
        origin.rendered(),
    ))
}

/// The load with the faults, and then the quiet.
async fn live(run: &Arc<Run>, origin: &Origin, options: &Options) -> anyhow::Result<(Counts, End)> {
    let (no_changes, no_visits) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut all_along = JoinSet::new();
    let stage = Arc::clone(&run.stage);
    all_along.spawn(async move { stage.supervise().await });
    all_along.spawn(watch(Arc::clone(run)));
    let mut visitors = JoinSet::new();
    for tier in Tier::ALL {
        for number in 0..VISITORS {
            let stop = Arc::clone(&no_visits);
            visitors.spawn(visit(Arc::clone(run), tier, number, options.pause, stop));
        }
    }
    let mut changers = JoinSet::new();
    for number in 0..CHANGERS {
        let stop = Arc::clone(&no_changes);
        changers.spawn(change(Arc::clone(run), number, options.changes, stop));
    }
    let mut end = End::default();
    let play = async {
        let plan = plan(options.seed, options.lasts, options.store());
        let over = tokio::time::sleep(options.lasts);
        let faults = carry_out(plan, Arc::clone(&run.stage), Arc::clone(&run.journal)).await?;
        over.await;
        no_changes.store(true, Ordering::Relaxed);
        if let Some(cluster) = run.stage.cluster() {
            cluster.until_whole().await?;
        }
        run.stage.ready().await?;
        all(&mut changers).await?;
        origin.hurry();
        drain(run, &mut end).await?;
        no_visits.store(true, Ordering::Relaxed);
        all(&mut visitors).await?;
        compare(run, &mut end).await?;
        anyhow::Ok(faults)
    };
    tokio::select! {
        faults = play => Ok((faults?, end)),
        ended = all_along.join_next() => match ended {
            Some(ended) => {
                ended??;
                bail!("what runs all along has ended")
            }
            None => bail!("nothing runs all along"),
        },
    }
}

async fn all(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
