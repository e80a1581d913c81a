//! `cargo xtask torture`: real processes, killed, stopped and cut off, which the package `isr-torture` runs.

use std::path::Path;
use std::process::Command;

use anyhow::bail;
use clap::Args;

use crate::run;
use crate::system;
use crate::workspace::Workspace;

/// Seconds that CI tortures.
const SECONDS: u64 = 60;

/// Seconds in which a mistake made on purpose has to be found.
const MISTAKEN_SECONDS: u64 = 12;

/// Seconds that CI overloads.
const OVERLOADED_SECONDS: u64 = 20;

/// The mistakes, as the program is told them.
const MISTAKES: [(&str, &str); 2] = [
    ("ISR_TORTURE_DROP_ONE_IN", "20"),
    ("ISR_TORTURE_HASTY", "1"),
];

/// What the program ends with when it found that something was lost.
const LOST: i32 = 3;

/// What is run, and for how long.
#[derive(Args)]
pub(crate) struct Torture {
    /// How long the load and the faults last.
    #[arg(long, default_value_t = SECONDS)]
    seconds: u64,
    /// Asks one edge for ten times as much as it gets done, in place of the faults.
    #[arg(long)]
    overload: bool,
    /// Keeps the store in a Redis Cluster of three masters and three replicas.
    #[arg(long, conflicts_with = "overload")]
    cluster: bool,
    /// Selects the site, the load and the faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What else the program is given; see its `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, torture: &Torture) -> anyhow::Result<()> {
    let mut command = prepare(workspace)?;
    command.args(["--seconds", &torture.seconds.to_string()]);
    command.args(["--seed", &torture.seed.to_string()]);
    if torture.overload {
        command.arg("--overload");
    }
    if torture.cluster {
        command.arg("--cluster");
    }
    run::run(command.args(&torture.arguments))
}

/// Tortures on one Redis and on a cluster, and overloads, as long as CI does, and shows that mistakes would be found.
pub(crate) fn run_and_mistake(workspace: &Workspace) -> anyhow::Result<()> {
    let seconds = SECONDS.to_string();
    run::run(prepare(workspace)?.args(["--seconds", &seconds]))?;
    run::run(prepare(workspace)?.args(["--seconds", &seconds, "--cluster"]))?;
    let mut overload = prepare(workspace)?;
    overload.args(["--overload", "--seconds", &OVERLOADED_SECONDS.to_string()]);
    run::run(&mut overload)?;
    MISTAKES.iter().try_for_each(|&(name, value)| {
        let mut command = prepare(workspace)?;
        command.args(["--seconds", &MISTAKEN_SECONDS.to_string()]);
        finds(command.env(name, value))
    })
}

/// Runs a command that has to find something lost; what it tells of it is no news.
fn finds(command: &mut Command) -> anyhow::Result<()> {
    let status = run::stream(command, |_| {})?;
    match status.code() {
        Some(LOST) => Ok(()),
        Some(0) => bail!("a mistake made on purpose was not found"),
        _ => bail!("the run with a mistake made on purpose ended with {status}"),
    }
}

/// Builds what is run, and names it what it starts.
fn prepare(workspace: &Workspace) -> anyhow::Result<Command> {
    let redis = system::ensure(&system::REDIS)?;
    let varnish = system::ensure(&system::VARNISH)?;
    system::ensure_module(&system::XKEY)?;
    run::run(&mut workspace.cargo(["build", "--release"]))?;
    run::run(&mut workspace.cargo(["build", "--release", "-p", "isr-torture"]))?;
    let built = workspace.target.join("release");
    let mut command = Command::new(built.join("isr-torture"));
    command
        .args([Path::new("--edge-isr"), &built.join("edge-isr")])
        .args([Path::new("--redis-server"), &redis])
        .args([Path::new("--varnishd"), &varnish])
        .args([
            Path::new("--vcl"),
            &workspace.root.join("docs/connectors/varnish.vcl"),
        ])
        .args([Path::new("--folder"), &workspace.target.join("tmp")])
        .current_dir(&workspace.root);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_with(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_mistake_has_to_be_found() {
        assert!(finds(&mut ends_with("exit 3")).is_ok());
        assert!(finds(&mut ends_with("exit 0")).is_err());
        assert!(finds(&mut ends_with("exit 1")).is_err());
    }
}
