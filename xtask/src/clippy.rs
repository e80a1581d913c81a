//! `cargo xtask clippy`: the whole workspace, then every library alone.
//!
//! Cargo unites the features of whatever it builds together, so a crate that forgot to ask for a feature
//! of a dependency still compiles among its siblings. Alone it does not, and alone is how a user builds it.

use crate::feature_sets::feature_sets;
use crate::run;
use crate::workspace::Workspace;

const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let whole = ["clippy", "--workspace", "--all-targets", "--all-features"];
    run::run(workspace.cargo(whole).args(DENY_WARNINGS))?;

    for package in workspace
        .packages
        .iter()
        .filter(|package| package.has_library())
    {
        let sets = feature_sets(&package.features);
        for features in &sets {
            alone(workspace, &package.name, features, "--lib")?;
            // Tests may need what the library does without, so they say nothing of the library alone.
            if sets.len() > 1 {
                alone(workspace, &package.name, features, "--all-targets")?;
            }
        }
    }
    Ok(())
}

fn alone(
    workspace: &Workspace,
    package: &str,
    features: &str,
    targets: &str,
) -> anyhow::Result<()> {
    let mut command = workspace.cargo(["clippy", "-p", package, targets, "--no-default-features"]);
    if !features.is_empty() {
        command.args(["--features", features]);
    }
    run::run(command.args(DENY_WARNINGS))
}
