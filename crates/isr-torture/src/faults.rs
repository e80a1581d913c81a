//! Lets go wrong what the plan says, when it says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::sync::RwLockReadGuard;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::journal::{About, Journal};
use crate::plan::{Fault, Planned, Which, Who};
use crate::stage::Stage;

/// How long a killed process is spared by the next fault, so that it can come up; a Redis once it has read its log.
const COMES_UP: Duration = Duration::from_millis(300);

/// How many of each kind there were.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    fn count(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    fn count_fault(&mut self, fault: &Fault) {
        self.count(match fault {
            Fault::Kill(Who::Redis(_), _) => "kills of redis",
            Fault::Kill(Who::Worker(_), _) => "kills of workers",
            Fault::Kill(Who::Edge(_), _) => "kills of edges",
            Fault::Stop(..) => "processes stopped",
            Fault::Cut(_) => "links cut",
            Fault::Refuse(..) => "links that refused",
            Fault::Stall(..) => "links stalled",
            Fault::Move(_) => "partitions moved",
        });
    }

    /// Kinds with their numbers.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(&kind, &count)| (kind, count))
    }
}

/// Carries a plan out. All that was killed runs again, and all links are open, when it returns.
pub(crate) async fn carry_out(
    plan: Vec<Planned>,
    stage: Arc<Stage>,
    journal: Arc<Journal>,
) -> anyhow::Result<Counts> {
    let started = Instant::now();
    let counts = Arc::new(Mutex::new(Counts::default()));
    let mut under_way = JoinSet::new();
    for Planned { at, fault } in plan {
        tokio::time::sleep_until(started + at).await;
        counts.lock().count_fault(&fault);
        let scene = Scene {
            stage: Arc::clone(&stage),
            journal: Arc::clone(&journal),
            counts: Arc::clone(&counts),
        };
        under_way.spawn(happen(fault, scene));
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(std::mem::take(&mut *counts.lock()))
}

/// Where faults happen.
struct Scene {
    stage: Arc<Stage>,
    journal: Arc<Journal>,
    counts: Arc<Mutex<Counts>>,
}

/// While a partition moves, the nodes of a cluster are left in peace.
async fn undisturbed<'a>(
    fault: &Fault,
    stage: &'a Stage,
    counts: &Mutex<Counts>,
) -> Option<RwLockReadGuard<'a, ()>> {
    let cluster = stage.cluster()?;
    match fault {
        Fault::Kill(Who::Redis(number), _) | Fault::Stop(Who::Redis(number), _) => {
            let calm = cluster.calm.read().await;
            if cluster.is_master(*number).await {
                counts.lock().count("masters killed or stopped");
            }
            Some(calm)
        }
        Fault::Cut(Which::Node(_))
        | Fault::Refuse(Which::Node(_), _)
        | Fault::Stall(Which::Node(_), _) => Some(cluster.calm.read().await),
        _ => None,
    }
}

async fn happen(fault: Fault, scene: Scene) -> anyhow::Result<()> {
    let Scene {
        stage,
        journal,
        counts,
    } = scene;
    let note = |text: String| journal.note(About::Fault, text);
    let _calm = undisturbed(&fault, &stage, &counts).await;
    if fault.shows() {
        stage.begins_to_show();
    }
    match fault {
        Fault::Kill(who, away) => {
            let mut process = stage.process(who).lock().await;
            note(format!("{who} is killed"));
            process.kill();
            tokio::time::sleep(away).await;
            process.start()?;
            note(format!("{who} is started again"));
            if let Who::Redis(number) = who {
                stage.until_redis_serves(number).await?;
                note(format!("{who} has read its log"));
            }
            tokio::time::sleep(COMES_UP).await;
        }
        Fault::Stop(who, during) => {
            let process = stage.process(who).lock().await;
            note(format!("{who} stands still"));
            process.stop();
            tokio::time::sleep(during).await;
            process.go_on();
            note(format!("{who} goes on"));
        }
        Fault::Cut(which) => {
            let connections = stage.link(which).cut();
            note(format!("{which} is cut, with {connections} connections"));
        }
        Fault::Refuse(which, during) => {
            note(format!("{which} leads nowhere"));
            stage.link(which).refuse(during).await;
            note(format!("{which} works again"));
        }
        Fault::Stall(which, during) => {
            note(format!("{which} stalls"));
            stage.link(which).stall(during).await;
            note(format!("{which} no longer stalls"));
        }
        Fault::Move(partition) => {
            let cluster = stage.cluster().context("only a cluster moves partitions")?;
            let (from, to) = cluster.move_partition(partition).await?;
            let (from, to) = (Who::Redis(from), Who::Redis(to));
            note(format!(
                "partition {partition} has moved from {from} to {to}"
            ));
        }
    }
    if fault.shows() {
        stage.ends_to_show();
    }
    Ok(())
}
