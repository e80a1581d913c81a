//! `cargo xtask fmt`: is everything formatted?

use crate::run;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    run::run(&mut workspace.cargo(["fmt", "--all", "--check"]))
}
