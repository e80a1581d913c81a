//! Programs and files that come from the operating system: found, or installed where that is allowed.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::run;

/// A program some command needs.
pub(crate) struct Program {
    /// The names it may go by, the preferred one first.
    pub(crate) names: &'static [&'static str],
    /// The Debian package that brings the first of them.
    pub(crate) package: &'static str,
}

/// A Redis server, of either lineage.
pub(crate) const REDIS: Program = Program {
    names: &["redis-server", "valkey-server"],
    package: "redis-server",
};

/// nginx, as an origin and as a cache to purge.
pub(crate) const NGINX: Program = Program {
    names: &["nginx"],
    package: "nginx",
};

/// Varnish, as a cache to purge.
pub(crate) const VARNISH: Program = Program {
    names: &["varnishd"],
    package: "varnish",
};

/// strace, which records what a test is to lose.
pub(crate) const STRACE: Program = Program {
    names: &["strace"],
    package: "strace",
};

/// Prometheus, which scrapes what the program tells of itself; `promtool` comes with it.
pub(crate) const PROMETHEUS: Program = Program {
    names: &["prometheus"],
    package: "prometheus",
};

/// A file of a package that is no program: a module of a server.
pub(crate) struct Module {
    /// Where it may be, which depends on the machine's architecture.
    pub(crate) places: &'static [&'static str],
    /// The Debian package that brings it.
    pub(crate) package: &'static str,
}

/// Varnish's module for purging by tag.
pub(crate) const XKEY: Module = Module {
    places: &[
        "/usr/lib/x86_64-linux-gnu/varnish/vmods/libvmod_xkey.so",
        "/usr/lib/aarch64-linux-gnu/varnish/vmods/libvmod_xkey.so",
        "/usr/lib/varnish/vmods/libvmod_xkey.so",
    ],
    package: "varnish-modules",
};

/// nginx's module for purging.
pub(crate) const CACHE_PURGE: Module = Module {
    places: &["/usr/lib/nginx/modules/ngx_http_cache_purge_module.so"],
    package: "libnginx-mod-http-cache-purge",
};

/// Python 3, for the scripts under `fixtures/`.
pub(crate) const PYTHON: Program = Program {
    names: &["python3"],
    package: "python3",
};

/// Finds `program` on PATH, or installs it.
///
/// # Errors
///
/// When it is missing and may not be installed (see [`install`]), or installing it failed.
pub(crate) fn ensure(program: &Program) -> anyhow::Result<PathBuf> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    install(program.package)?;
    find(program).with_context(|| {
        format!(
            "installed {}, but there is still no {} on PATH",
            program.package,
            program.names.join(" or ")
        )
    })
}

/// Makes sure that a module is there, or installs it.
///
/// # Errors
///
/// When it is missing and may not be installed (see [`install`]), or installing it failed.
pub(crate) fn ensure_module(module: &Module) -> anyhow::Result<()> {
    let is_there = || module.places.iter().any(|place| Path::new(place).is_file());
    if is_there() {
        return Ok(());
    }
    install(module.package)?;
    if !is_there() {
        bail!(
            "installed {}, but there is still no {}",
            module.package,
            module.places.join(" or ")
        );
    }
    Ok(())
}

/// Makes sure that Python can make environments of its own, as the tests do for what they install from
/// its package index. Debian has that in a package by itself.
///
/// # Errors
///
/// When it cannot, and the package may not be installed (see [`install`]).
pub(crate) fn ensure_venv() -> anyhow::Result<()> {
    let python = ensure(&PYTHON)?;
    let mut probe = Command::new(python);
    probe.args(["-c", "import ensurepip, venv"]);
    probe.stderr(std::process::Stdio::null());
    let can = probe.status().context("cannot run python3")?.success();
    if can { Ok(()) } else { install("python3-venv") }
}

/// Installs a Debian package, without starting any service it brings.
///
/// # Errors
///
/// When this is not Debian or one of its children, or the user is not root: then the error is one line
/// that says what to install. Otherwise when apt fails.
pub(crate) fn install(package: &str) -> anyhow::Result<()> {
    if !is_debian() || !is_root() {
        bail!("{package} is missing: install it (on Debian, as root: apt-get install {package})");
    }
    let _guard = ServicesHeld::new().context("cannot keep apt from starting services")?;
    run::run(apt_get().arg("update"))?;
    run::run(apt_get().args(["install", "--yes", "--no-install-recommends", package]))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// The first of the program's names that is an executable file on PATH.
///
/// Servers are often installed where only root's PATH leads, so those folders are searched too.
fn find(program: &Program) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from))
        .collect();
    program
        .names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn is_debian() -> bool {
    fs::read_to_string("/etc/os-release").is_ok_and(|release| {
        release
            .lines()
            .filter_map(|line| {
                line.strip_prefix("ID=")
                    .or_else(|| line.strip_prefix("ID_LIKE="))
            })
            .any(|ids| ids.trim_matches('"').split(' ').any(|id| id == "debian"))
    })
}

/// Whether this process may install packages.
fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_ok_and(|user| user.trim() == "0")
}

/// While it lives, packages that bring a service do not start it.
///
/// Debian's packages ask `/usr/sbin/policy-rc.d` before they start anything; its answer 101 means no.
/// Where somebody has already put a policy there, theirs holds.
struct ServicesHeld {
    policy: Option<PathBuf>,
}

impl ServicesHeld {
    fn new() -> io::Result<Self> {
        let path = PathBuf::from("/usr/sbin/policy-rc.d");
        let created = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(&path);
        match created {
            Ok(mut file) => {
                // From here on the file is ours to remove, also when writing to it fails.
                let held = Self { policy: Some(path) };
                io::Write::write_all(&mut file, b"#!/bin/sh\nexit 101\n")?;
                Ok(held)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Self { policy: None }),
            Err(error) => Err(error),
        }
    }
}

impl Drop for ServicesHeld {
    fn drop(&mut self) {
        if let Some(path) = &self.policy
            && let Err(error) = fs::remove_file(path)
        {
            eprintln!("warning: remove {} by hand: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_under_any_of_its_names() {
        let shell = find(&Program {
            names: &["no-such-program", "sh"],
            package: "dash",
        });
        assert!(shell.is_some_and(|path| path.ends_with("sh")));
    }

    #[test]
    fn a_module_is_a_file_in_one_of_its_places() {
        let there = Module {
            places: &["/no/such/module", "/proc/self/status"],
            package: "none",
        };
        assert!(ensure_module(&there).is_ok());
    }

    #[test]
    fn a_folder_or_a_plain_file_is_no_program() {
        assert!(!is_executable(Path::new("/")));
        assert!(!is_executable(Path::new("/proc/self/status")));
        assert!(
            find(&Program {
                names: &["no-such-program"],
                package: "none"
            })
            .is_none()
        );
    }
}
