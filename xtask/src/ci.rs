//! `cargo xtask ci`: every check in order, then what each took and how many tests there were.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::workspace::Workspace;
use crate::{clippy, demo, deny, doc, e2e, fmt, sim, test, tidy, torture};

/// Runs every step, also after one has failed: each finding is worth having from one run.
pub(crate) fn run(workspace: &Workspace) -> ExitCode {
    let mut counts = test::Report::default();
    let steps = [
        step("fmt", || fmt::run(workspace)),
        step("tidy", || tidy::run(workspace)),
        step("clippy", || clippy::run(workspace)),
        step("doc", || doc::run(workspace)),
        step("test", || {
            test::run(workspace, test::Extent::Full, &mut counts)
        }),
        step("sim", || sim::run_and_mutate(workspace)),
        step("demo", || demo::run(workspace)),
        step("e2e", || e2e::run(workspace)),
        step("torture", || torture::run_and_mistake(workspace)),
        step("deny", || deny::run(workspace)),
    ];
    print!("\n{}", table(&steps));
    println!("{counts}");
    if steps.iter().all(|step| step.passed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Step {
    name: &'static str,
    took: Duration,
    passed: bool,
}

fn step(name: &'static str, check: impl FnOnce() -> anyhow::Result<()>) -> Step {
    eprintln!("\n== {name}");
    let started = Instant::now();
    let result = check();
    if let Err(error) = &result {
        eprintln!("error: {name}: {error:#}");
    }
    Step {
        name,
        took: started.elapsed(),
        passed: result.is_ok(),
    }
}

fn table(steps: &[Step]) -> String {
    let total: Duration = steps.iter().map(|step| step.took).sum();
    let row = |name: &str, took: Duration, verdict: &str| {
        format!("{name:<8} {:>8.1}  {verdict}\n", took.as_secs_f64())
    };
    let rows: String = steps
        .iter()
        .map(|step| {
            row(
                step.name,
                step.took,
                if step.passed { "passed" } else { "FAILED" },
            )
        })
        .collect();
    let total = row("total", total, "");
    format!(
        "{:<8} {:>8}  result\n{rows}{}\n",
        "step",
        "seconds",
        total.trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_each_step_and_the_sum() {
        let steps = [
            Step {
                name: "fmt",
                took: Duration::from_millis(1250),
                passed: true,
            },
            Step {
                name: "clippy",
                took: Duration::from_secs(61),
                passed: false,
            },
        ];
        let expected = "step      seconds  result\n\
                        fmt           1.2  passed\n\
                        clippy       61.0  FAILED\n\
                        total        62.2\n";
        assert_eq!(table(&steps), expected);
    }

    #[test]
    fn a_failing_check_makes_a_failed_step() {
        assert!(step("good", || Ok(())).passed);
        assert!(!step("bad", || anyhow::bail!("it did not hold")).passed);
    }
}
