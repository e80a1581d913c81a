//! Makes a run that fails shorter, as long as it fails in the same way.

use crate::fault::Fault;
use crate::scenario::Scenario;
use crate::violation::Kind;

/// The most runs that are spent on it: some seconds.
const RUNS: u32 = 1_500;

/// The shortest run found that shows the same kind of violation.
#[must_use]
pub fn shrink(scenario: &Scenario, kind: Kind) -> Scenario {
    let mut shrinking = Shrinking {
        shortest: scenario.clone(),
        kind,
        runs_left: RUNS,
    };
    shrinking.faults();
    shrinking.steps();
    // Without the steps that needed them, some kinds of fault may not be needed any more.
    shrinking.faults();
    shrinking.shortest
}

struct Shrinking {
    shortest: Scenario,
    kind: Kind,
    runs_left: u32,
}

impl Shrinking {
    /// Keeps a run if it fails in the same way.
    fn attempt(&mut self, candidate: Scenario) -> bool {
        if self.runs_left == 0 {
            return false;
        }
        self.runs_left -= 1;
        let violation = candidate.run().violation;
        let fails = violation.is_some_and(|violation| violation.kind == self.kind);
        if fails {
            self.shortest = candidate;
        }
        fails
    }

    fn faults(&mut self) {
        for fault in Fault::ALL {
            let faults = self.shortest.faults.without(fault);
            if faults != self.shortest.faults {
                let candidate = Scenario {
                    faults,
                    ..self.shortest.clone()
                };
                self.attempt(candidate);
            }
        }
    }

    /// Leaves steps out: half of them, then quarters, down to single ones.
    fn steps(&mut self) {
        let mut portion = self.shortest.steps.len().div_ceil(2);
        while portion > 0 {
            let steps: Vec<u64> = self.shortest.steps.iter().copied().collect();
            // The last first: much of what happens late is not needed for what is wrong already.
            for left_out in steps.rchunks(portion) {
                let mut candidate = self.shortest.clone();
                candidate.steps.retain(|step| !left_out.contains(step));
                self.attempt(candidate);
            }
            portion /= 2;
        }
    }
}
