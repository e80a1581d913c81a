//! `cargo xtask bench`: the measurements behind `docs/benchmarks.md`, which the package `isr-bench` makes.

use clap::{Args, ValueEnum};

use crate::run;
use crate::workspace::Workspace;

/// What is measured.
#[derive(Args)]
pub(crate) struct Bench {
    /// One measurement; all of them when not given.
    #[arg(value_enum)]
    measurement: Option<Measurement>,
    /// What the measurement is given, such as `--pages 10000`; see its `--help`.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        requires = "measurement"
    )]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Measurement {
    /// Purging very many pages from models of CDNs.
    Cdn,
    /// The tag graph on Redis.
    GraphRedis,
    /// Revalidations on Redis.
    Revalidations,
    /// The embedded store.
    GraphSqlite,
}

impl Measurement {
    const fn name(self) -> &'static str {
        match self {
            Self::Cdn => "cdn",
            Self::GraphRedis => "graph-redis",
            Self::Revalidations => "revalidations",
            Self::GraphSqlite => "graph-sqlite",
        }
    }

    /// What it needs of the package besides what is always built.
    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Cdn => &["--features", "cloudfront"],
            Self::GraphRedis | Self::Revalidations | Self::GraphSqlite => &[],
        }
    }
}

pub(crate) fn run(workspace: &Workspace, bench: &Bench) -> anyhow::Result<()> {
    let chosen = match &bench.measurement {
        Some(one) => std::slice::from_ref(one),
        None => Measurement::value_variants(),
    };
    for measurement in chosen {
        let mut cargo = workspace.cargo(["run", "--release", "-p", "isr-bench"]);
        cargo.args(measurement.features());
        cargo.args(["--", measurement.name()]);
        cargo.args(&bench.arguments);
        run::run(&mut cargo)?;
    }
    Ok(())
}
