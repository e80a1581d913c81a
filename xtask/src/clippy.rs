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
        for features in feature_sets(&package.features) {
            let mut command = workspace.cargo([
                "clippy",
                "-p",
                &package.name,
                "--lib",
                "--no-default-features",
            ]);
            if !features.is_empty() {
                command.args(["--features", &features]);
            }
            run::run(command.args(DENY_WARNINGS))?;
        }
    }
    Ok(())
}
