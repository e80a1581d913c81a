//! `cargo xtask tidy`: the rules of the house that no other tool checks.

use std::fs;
use std::process::Command;

use anyhow::{Context, bail};

use crate::run;
use crate::workspace::Workspace;

mod manifests;
mod sources;

/// A rule that is broken somewhere: where, and what to do about it.
type Finding = String;

/// Checks every source file and manifest, and prints all that it finds.
///
/// # Errors
///
/// When a rule is broken, or a file cannot be read.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut findings = Vec::new();
    for path in source_files(workspace)? {
        // A file that was deleted and not yet committed is still listed.
        let Ok(bytes) = fs::read(workspace.root.join(&path)) else {
            continue;
        };
        let text = String::from_utf8(bytes).with_context(|| format!("{path} is not UTF-8"))?;
        findings.extend(sources::check(&path, &text));
    }
    for package in &workspace.packages {
        let path = &package.manifest_path;
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let shown = path
            .strip_prefix(&workspace.root)
            .unwrap_or(path)
            .display()
            .to_string();
        findings.extend(manifests::check(&shown, &text)?);
    }

    findings.extend(check_lock_file(workspace)?);

    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("rules of the house broken: {}", findings.len());
    }
    Ok(())
}

/// In CI's fresh clone, a lock file that Cargo had to change was not committed as the manifests ask for.
fn check_lock_file(workspace: &Workspace) -> anyhow::Result<Option<Finding>> {
    if std::env::var_os("CI").is_none() {
        return Ok(None);
    }
    let mut status = Command::new("git");
    status
        .args(["status", "--porcelain", "--", "Cargo.lock"])
        .current_dir(&workspace.root);
    let changed = !run::output(&mut status)?.is_empty();
    Ok(changed.then(|| "Cargo.lock: commit what Cargo makes of it for these manifests".to_owned()))
}

/// The files git knows or would add, as paths from the root.
fn source_files(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let listed = run::output(
        Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
                "--deduplicate",
            ])
            .args(sources::KINDS.map(|kind| format!("*.{kind}")))
            .current_dir(&workspace.root),
    )?;
    Ok(listed.split_terminator('\0').map(str::to_owned).collect())
}
