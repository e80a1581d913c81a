//! The project's own commands.
//!
//! `.ci/run` calls `cargo xtask ci` and nothing else, so what passes here passes there. Each command is
//! one file and can be called alone; this one only picks between them.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "results go to standard output, progress to standard error: that is what these commands are for"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

mod bench;
mod ci;
mod clippy;
mod demo;
mod deny;
mod doc;
mod e2e;
mod feature_sets;
mod fmt;
mod run;
mod sim;
mod system;
mod test;
mod test_report;
mod tidy;
mod torture;
mod workspace;

/// The project's own commands: what CI runs, by the same names.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version = None)]
#[command(after_help = "Start with `cargo xtask test`; before a change goes in, `cargo xtask ci`.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every command below in this order, all but `bench`, and ends with the seconds of each and the
    /// test counts.
    Ci,
    /// Checks the formatting; `cargo fmt` mends it.
    Fmt,
    /// Checks the rules of the house that no other tool checks.
    Tidy,
    /// Lints the whole workspace, then every crate alone with each of its Cargo features and with none.
    Clippy,
    /// Builds the documentation, with warnings as errors.
    Doc,
    /// Runs every test but those of what takes minutes to build; installs the servers they need first where
    /// one is missing and may be installed.
    Test {
        /// Leave nothing out: the connector to CloudFront too, with the AWS SDK that it needs.
        #[arg(long)]
        full: bool,
    },
    /// Simulates many worlds in which everything fails that can, and checks that no invalidation is lost.
    Sim(sim::Sim),
    /// Runs the demo once and checks its timeline.
    Demo,
    /// Runs the program in front of a real site: about 500 pages of HTML, served by nginx.
    E2e,
    /// Kills, stops and cuts off real processes, and watches that no invalidation is lost.
    Torture(torture::Torture),
    /// Checks what the dependency tree holds: bans, licences, sources.
    Deny,
    /// Measures what `docs/benchmarks.md` tells.
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    match dispatch(&Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load()?;
    match command {
        // These two end with the test counts, after anything there is to say of a failure.
        Command::Ci => return Ok(ci::run(&workspace)),
        Command::Test { full } => {
            let extent = if *full {
                test::Extent::Full
            } else {
                test::Extent::Everyday
            };
            return test::run_and_report(&workspace, extent);
        }
        Command::Fmt => fmt::run(&workspace)?,
        Command::Tidy => tidy::run(&workspace)?,
        Command::Clippy => clippy::run(&workspace)?,
        Command::Doc => doc::run(&workspace)?,
        Command::Sim(sim) => sim::run(&workspace, sim)?,
        Command::Demo => demo::run(&workspace)?,
        Command::E2e => e2e::run(&workspace)?,
        Command::Torture(torture) => torture::run(&workspace, torture)?,
        Command::Deny => deny::run(&workspace)?,
        Command::Bench(bench) => bench::run(&workspace, bench)?,
    }
    Ok(ExitCode::SUCCESS)
}
