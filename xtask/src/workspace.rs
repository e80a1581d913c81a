//! What Cargo knows of this workspace.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::run;

/// The workspace this program was started in, as `cargo metadata` describes it.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    /// The folder of the root manifest; every command runs in it.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where Cargo puts what it builds.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    /// The member packages, without their dependencies.
    pub(crate) packages: Vec<Package>,
}

/// One member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// The package's name, as `-p` takes it.
    pub(crate) name: String,
    /// Its manifest, as an absolute path.
    pub(crate) manifest_path: PathBuf,
    /// Each feature with what it switches on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// What is built from it.
    pub(crate) targets: Vec<Target>,
}

/// A library, program, test or example of a package.
#[derive(Deserialize)]
pub(crate) struct Target {
    /// `lib`, `bin`, `test`, and so on; a library may be of several kinds.
    pub(crate) kind: Vec<String>,
}

impl Workspace {
    /// Asks Cargo about the workspace around the current folder.
    ///
    /// # Errors
    ///
    /// When Cargo cannot read the manifests.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let json = run::output(cargo().args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--quiet",
        ]))?;
        serde_json::from_str(&json).context("cannot read what `cargo metadata` printed")
    }

    /// Cargo with `arguments`, to be run at the root.
    pub(crate) fn cargo<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = cargo();
        command.args(arguments).current_dir(&self.root);
        command
    }
}

impl Package {
    /// Whether the package has a library.
    pub(crate) fn has_library(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "lib"))
    }
}

/// Cargo, without what the Cargo that started this program added to the environment for it.
///
/// Some build scripts run again when one of these variables changes, so leaving them in would have
/// `cargo xtask test` and `cargo test` rebuild half of the tree in turn.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_added_by_cargo_run) {
            command.env_remove(name);
        }
    }
    command
}

fn is_added_by_cargo_run(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || matches!(
            name,
            "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_BIN_NAME"
        )
        || matches!(name, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE")
}
