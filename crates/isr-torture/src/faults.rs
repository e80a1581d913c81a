//! Lets go wrong what the plan says, when it says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::journal::{About, Journal};
use crate::plan::{Fault, Planned, Who};
use crate::stage::Stage;

/// How long a killed process is spared by the next fault, so that it can come up.
const COMES_UP: Duration = Duration::from_millis(300);

/// How many of each kind there were.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    fn count(&mut self, fault: &Fault) {
        let kind = match fault {
            Fault::Kill(Who::Redis, _) => "kills of redis",
            Fault::Kill(Who::Worker(_), _) => "kills of workers",
            Fault::Kill(Who::Edge(_), _) => "kills of edges",
            Fault::Stop(..) => "processes stopped",
            Fault::Cut(_) => "links cut",
            Fault::Refuse(..) => "links that refused",
            Fault::Stall(..) => "links stalled",
        };
        *self.0.entry(kind).or_default() += 1;
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
    let mut counts = Counts::default();
    let mut under_way = JoinSet::new();
    for Planned { at, fault } in plan {
        tokio::time::sleep_until(started + at).await;
        counts.count(&fault);
        under_way.spawn(happen(fault, Arc::clone(&stage), Arc::clone(&journal)));
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(counts)
}

async fn happen(fault: Fault, stage: Arc<Stage>, journal: Arc<Journal>) -> anyhow::Result<()> {
    let note = |text: String| journal.note(About::Fault, text);
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
    }
    if fault.shows() {
        stage.ends_to_show();
    }
    Ok(())
}
