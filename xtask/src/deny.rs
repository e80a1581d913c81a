//! `cargo xtask deny`: bans, licences and sources of the dependency tree, as `deny.toml` states them.

use std::path::PathBuf;
use std::process::Command;

use crate::run;
use crate::workspace::Workspace;

/// The cargo-deny that `deny.toml` is written for; another one might read it differently.
const VERSION: &str = "0.20.2";

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let cargo_deny = installed(workspace)?;
    run::run(
        Command::new(cargo_deny)
            .args(["--workspace", "check", "bans", "licenses", "sources"])
            .current_dir(&workspace.root),
    )
}

/// Finds cargo-deny, or builds it into the target folder.
fn installed(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let ours = tools.join("bin/cargo-deny");
    for candidate in [PathBuf::from("cargo-deny"), ours.clone()] {
        if has_right_version(&candidate) {
            return Ok(candidate);
        }
    }
    // Unoptimised, because it is built in a third of the time and then runs for three seconds.
    let mut install = workspace.cargo(["install", "--locked", "--debug", "--version", VERSION]);
    run::run(install.arg("--root").arg(&tools).arg("cargo-deny"))?;
    Ok(ours)
}

fn has_right_version(cargo_deny: &PathBuf) -> bool {
    Command::new(cargo_deny)
        .arg("--version")
        .output()
        .is_ok_and(|output| {
            output.stdout.trim_ascii() == format!("cargo-deny {VERSION}").as_bytes()
        })
}
