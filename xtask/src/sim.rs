//! `cargo xtask sim`: the simulation that tries to lose an invalidation, which the package `isr-sim` runs.

use clap::Args;

use crate::run;
use crate::workspace::Workspace;

/// Seeds that CI runs.
const SEEDS: u64 = 2_000;

/// Seeds that CI runs a second time, to see that they come out the same.
const TWICE: u64 = 200;

/// What is simulated.
#[derive(Args)]
pub(crate) struct Sim {
    /// How many seeds are run, from 0 on or from `--from`.
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
    /// What else the simulation is given, such as `--seed 17` or `--without clean-report`; see its `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, sim: &Sim) -> anyhow::Result<()> {
    simulate(workspace, sim.seeds, &sim.arguments)
}

/// Runs as many seeds as CI does, and shows that they replay and that each rule left out would be found.
pub(crate) fn run_and_mutate(workspace: &Workspace) -> anyhow::Result<()> {
    simulate(workspace, SEEDS, &[])?;
    simulate(workspace, TWICE, &["--twice".to_owned()])?;
    simulate(workspace, SEEDS, &["--mutations".to_owned()])
}

fn simulate(workspace: &Workspace, seeds: u64, arguments: &[String]) -> anyhow::Result<()> {
    let mut cargo = workspace.cargo(["run", "--release", "-p", "isr-sim", "--"]);
    cargo.args(["--seeds", &seeds.to_string()]).args(arguments);
    run::run(&mut cargo)
}
