//! `cargo xtask doc`: the documentation of every crate, with warnings as errors.

use crate::run;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    run::run(
        workspace
            .cargo(["doc", "--workspace", "--all-features", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}
