//! Runs the simulation. Build it with `--release`; `cargo xtask sim` does.

#![expect(clippy::print_stdout, reason = "its findings are its output")]

use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use isr_sim::{Outcome, Rule, Scenario, Tally, run_many, shrink};

/// Tries to lose an invalidation.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds are run.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs this seed alone, and prints what happened if it fails.
    #[arg(long)]
    seed: Option<u64>,
    /// Leaves a rule out, to see whether that is found.
    #[arg(long, value_enum)]
    without: Option<Rule>,
    /// Leaves each rule out in turn, and fails unless each is found.
    #[arg(long, conflicts_with_all = ["seed", "without"])]
    mutations: bool,
    /// Runs each seed twice instead, and fails unless it comes out the same.
    #[arg(long, conflicts_with_all = ["seed", "without", "mutations"])]
    twice: bool,
    /// Prints what happened in the seed, whether it fails or not, and does not make it shorter.
    #[arg(long, requires = "seed")]
    whole: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let good = if let Some(seed) = arguments.seed {
        replay(seed, arguments.without, arguments.whole)
    } else if arguments.twice {
        twice(&arguments)
    } else if arguments.mutations {
        mutations(arguments.seeds)
    } else {
        many(&arguments)
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn seeds(arguments: &Arguments) -> Range<u64> {
    arguments.from..arguments.from.saturating_add(arguments.seeds)
}

/// Whether every seed comes out the same twice.
fn twice(arguments: &Arguments) -> bool {
    for seed in seeds(arguments) {
        if let Some(line) = Scenario::of(seed, None).differs_from_itself() {
            println!("seed {seed} comes out otherwise the second time, from line {line} on");
            return false;
        }
    }
    println!("{:>12}  seeds came out the same twice", arguments.seeds);
    true
}

fn many(arguments: &Arguments) -> bool {
    let tally = run_many(seeds(arguments), arguments.without);
    print_tally(&tally);
    match tally.failed {
        Some(seed) => replay(seed, arguments.without, false),
        None => true,
    }
}

fn print_tally(tally: &Tally) {
    println!("{:>12}  seeds run", tally.seeds);
    println!("{:>12}  steps, each at a moment of its own", tally.steps);
    println!("{}", tally.faults);
}

/// Whether nothing is wrong in a seed.
fn replay(seed: u64, without: Option<Rule>, whole: bool) -> bool {
    let scenario = Scenario::of(seed, without).with_journal();
    let outcome = scenario.run();
    let Some(violation) = &outcome.violation else {
        if whole {
            print_journal(&outcome);
        }
        println!("seed {seed}: nothing is wrong");
        return true;
    };
    println!("seed {seed}: {violation}");
    if whole {
        print_journal(&outcome);
        return false;
    }
    let quiet = Scenario {
        journal: false,
        ..scenario
    };
    let shortest = shrink(&quiet, violation.kind);
    println!(
        "the shortest run found that fails in the same way, of {} steps:",
        shortest.steps.len()
    );
    print_journal(&shortest.with_journal().run());
    let left_out = without.map(|rule| format!(" --without {}", rule.as_str()));
    let left_out = left_out.unwrap_or_default();
    println!("replay it with `cargo xtask sim --seed {seed}{left_out}`");
    false
}

fn print_journal(outcome: &Outcome) {
    for line in &outcome.journal {
        println!("{line}");
    }
}

/// Whether every rule that is left out is found.
fn mutations(seeds: u64) -> bool {
    let mut all = true;
    for rule in Rule::ALL {
        let found = run_many(0..seeds, Some(rule)).failed;
        all &= found.is_some();
        let name = rule.as_str();
        match found {
            Some(seed) => println!("without {name}: found at seed {seed}"),
            None => println!("without {name}: NOT FOUND within {seeds} seeds"),
        }
    }
    all
}
