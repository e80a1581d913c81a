//! `cargo xtask doc`: the documentation of every crate, with warnings as errors.

use std::process::Command;

use crate::run;
use crate::workspace::Workspace;

/// The program's package. Its binary has the library's name, so its pages would overwrite the library's.
const PROGRAM: &str = "edge-isr-program";

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let libraries = [
        "doc",
        "--workspace",
        "--exclude",
        PROGRAM,
        "--all-features",
        "--no-deps",
    ];
    run::run(deny_warnings(&mut workspace.cargo(libraries)))?;

    // Pages of its own, but the same place for all that is built on the way to them.
    let mut program = workspace.cargo(["doc", "-p", PROGRAM, "--all-features", "--no-deps"]);
    program
        .arg("--target-dir")
        .arg(workspace.target.join("program"));
    run::run(deny_warnings(&mut program).env("CARGO_BUILD_BUILD_DIR", &workspace.target))
}

fn deny_warnings(command: &mut Command) -> &mut Command {
    command.env("RUSTDOCFLAGS", "-D warnings")
}
