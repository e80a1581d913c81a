//! `cargo xtask test`: every unit, integration and documentation test, counted.

use std::process::ExitCode;

use anyhow::bail;

use crate::run;
use crate::system;
pub(crate) use crate::test_report::Report;
use crate::workspace::Workspace;

/// The crate whose dependencies take longer to build than everything else together.
const SLOW_TO_BUILD: &str = "isr-cdn-cloudfront";

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All but what takes minutes to build.
    Everyday,
    /// Everything.
    Full,
}

/// Runs the tests and ends with the line of their counts, after anything there is to say of a failure.
///
/// # Errors
///
/// When it came to no test at all; see [`run()`] for why.
pub(crate) fn run_and_report(workspace: &Workspace, extent: Extent) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let code = match run(workspace, extent, &mut report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if report == Report::default() => return Err(error),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    };
    println!("{report}");
    Ok(code)
}

/// Runs the tests, filling `report` as they end.
///
/// The tests start the servers they need themselves, on free ports; here it is only made sure that there are
/// programs to start.
///
/// # Errors
///
/// When a test failed, could not be built or crashed, or a server is missing and may not be installed.
pub(crate) fn run(
    workspace: &Workspace,
    extent: Extent,
    report: &mut Report,
) -> anyhow::Result<()> {
    for program in [
        &system::REDIS,
        &system::VARNISH,
        &system::NGINX,
        &system::STRACE,
        &system::PROMETHEUS,
    ] {
        system::ensure(program)?;
    }
    for module in [&system::XKEY, &system::CACHE_PURGE] {
        system::ensure_module(module)?;
    }
    let mut tests = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
    match extent {
        Extent::Everyday => tests.args(["--exclude", SLOW_TO_BUILD]),
        Extent::Full => {
            system::ensure_venv()?;
            tests.arg("--all-features")
        }
    };
    let status = run::stream(&mut tests, |line| {
        println!("{line}");
        report.read(line);
    })?;
    for name in &report.skipped_names {
        println!("skipped: {name}");
    }
    for name in &report.failed_names {
        println!("failed: {name}");
    }
    if report.failed > 0 {
        bail!("`cargo test` failed; each failure is shown above");
    }
    if !status.success() {
        bail!("`cargo test` failed with {status}: a crate was not built or a test program crashed");
    }
    Ok(())
}
