//! `cargo xtask e2e`: the program in front of a real site, by the script in `fixtures/e2e/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::run;
use crate::system;
use crate::workspace::Workspace;

/// The package whose pages are the site, and where it puts them.
const PAGES_PACKAGE: &str = "python3.11-doc";
const PAGES: &str = "/usr/share/doc/python3.11/html";

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let python = system::ensure(&system::PYTHON)?;
    let nginx = system::ensure(&system::NGINX)?;
    let redis = system::ensure(&system::REDIS)?;
    let varnish = system::ensure(&system::VARNISH)?;
    system::ensure_module(&system::XKEY)?;
    let pages = pages(workspace)?;
    run::run(&mut workspace.cargo(["build", "--release"]))?;

    let scripts = workspace.root.join("fixtures/e2e");
    // -B: nothing is left beside the scripts.
    run::run(
        Command::new(&python)
            .args(["-B", "-m", "unittest", "--quiet"])
            .current_dir(&scripts),
    )?;
    run::run(
        Command::new(&python)
            .arg("-B")
            .arg(scripts.join("run.py"))
            .args([
                Path::new("--edge-isr"),
                &workspace.target.join("release/edge-isr"),
            ])
            .args([Path::new("--nginx"), &nginx])
            .args([Path::new("--redis-server"), &redis])
            .args([Path::new("--varnishd"), &varnish])
            .args([Path::new("--pages"), &pages])
            .current_dir(&workspace.root),
    )
}

/// The folder of the pages, installed where it is missing.
///
/// Slim images of Debian are set up so that packages leave their documentation out. Then the package is
/// unpacked under the target folder in place of being installed.
fn pages(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let unpacked = workspace.target.join("e2e");
    let candidates = [PathBuf::from(PAGES), unpacked.join(&PAGES[1..])];
    let found = || {
        candidates
            .iter()
            .find(|folder| folder.join("library").is_dir())
            .cloned()
    };

    if let Some(folder) = found() {
        return Ok(folder);
    }
    system::install(PAGES_PACKAGE)?;
    if let Some(folder) = found() {
        return Ok(folder);
    }
    unpack(&unpacked)?;
    match found() {
        Some(folder) => Ok(folder),
        None => bail!("{PAGES_PACKAGE} no longer puts its pages at {PAGES}"),
    }
}

/// Downloads the package into `folder` and unpacks it there.
fn unpack(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    run::run(
        Command::new("apt-get")
            .args(["download", PAGES_PACKAGE])
            .current_dir(folder),
    )?;
    let archive = std::fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get downloaded nothing into {}", folder.display()))?;
    run::run(
        Command::new("dpkg-deb")
            .arg("--extract")
            .args([&archive, folder]),
    )
}
