//! `cargo xtask demo`: the demo, once; it exits with 1 when its timeline is not the promised one.

use crate::run;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    run::run(&mut workspace.cargo(["run", "--release", "--", "demo", "--once"]))
}
