//! A run: what is to happen in it, and what came of it.

use std::collections::BTreeSet;

use crate::fault::{Counts, Faults};
use crate::random::stream;
use crate::rule::Rule;
use crate::violation::Violation;
use crate::world::World;

/// What happens in a world before it is left to come to rest.
const STEPS: u64 = 300;

/// A run as it is to be. The same scenario always comes out the same.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What everything random in it comes from.
    pub seed: u64,
    /// The steps in which something happens, by their numbers. In the others time passes all the same, so
    /// that what is left happens when it did.
    pub steps: BTreeSet<u64>,
    /// The kinds of fault that may happen.
    pub faults: Faults,
    /// The rule that does not hold.
    pub without: Option<Rule>,
    /// Whether a journal is kept.
    pub journal: bool,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What was wrong, if anything was.
    pub violation: Option<Violation>,
    /// The steps that were taken.
    pub steps: u64,
    /// The faults injected.
    pub faults: Counts,
    /// What happened, if that was kept.
    pub journal: Vec<String>,
}

impl Scenario {
    /// The whole run of a seed.
    #[must_use]
    pub fn of(seed: u64, without: Option<Rule>) -> Self {
        Self {
            seed,
            steps: (0..STEPS).collect(),
            faults: Faults::random(&mut stream(seed, "faults", 0)),
            without,
            journal: false,
        }
    }

    /// The same run with a journal.
    #[must_use]
    pub fn with_journal(self) -> Self {
        Self {
            journal: true,
            ..self
        }
    }

    /// Lives it through twice, and says in which line of their journals the two runs differ first.
    #[must_use]
    pub fn differs_from_itself(&self) -> Option<usize> {
        let scenario = self.clone().with_journal();
        let (once, again) = (scenario.run().journal, scenario.run().journal);
        let differs = once.iter().zip(&again).position(|(a, b)| a != b);
        let shorter = once.len().min(again.len());
        differs.or((once.len() != again.len()).then_some(shorter))
    }

    /// Lives it through, on this thread.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the machine");
        runtime.block_on(self.live())
    }

    async fn live(&self) -> Outcome {
        let mut world = World::new(self);
        let mut steps = 0;
        for number in 0..STEPS {
            let happens = self.steps.contains(&number);
            world.step(number, happens).await;
            steps += u64::from(happens);
            if world.net.truth.violation().is_some() {
                break;
            }
        }
        let mut violation = world.net.truth.violation();
        if violation.is_none() {
            violation = world.rest().await;
        }
        if let Some(violation) = &violation {
            let journal = &world.net.truth.journal;
            journal.note(format_args!("WRONG: {violation}"));
        }
        Outcome {
            violation,
            steps,
            faults: world.net.counts(),
            journal: world.net.truth.journal.lines(),
        }
    }
}
