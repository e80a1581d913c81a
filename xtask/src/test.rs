//! `cargo xtask test`: every unit, integration and documentation test, counted.

use std::process::ExitCode;

use anyhow::bail;

use crate::run;
use crate::system;
pub(crate) use crate::test_report::Report;
use crate::workspace::Workspace;

/// Runs the tests and ends with the line of their counts, after anything there is to say of a failure.
pub(crate) fn run_and_report(workspace: &Workspace) -> ExitCode {
    let mut report = Report::default();
    let verdict = run(workspace, &mut report);
    if let Err(error) = &verdict {
        eprintln!("error: {error:#}");
    }
    println!("{report}");
    if verdict.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs the tests, filling `report` as they end.
///
/// The tests start the Redis servers they need themselves, on free ports; here it is only made sure that
/// there is a program to start.
///
/// # Errors
///
/// When a test failed, could not be built or crashed, or Redis is missing and may not be installed.
pub(crate) fn run(workspace: &Workspace, report: &mut Report) -> anyhow::Result<()> {
    system::ensure(&system::REDIS)?;
    let mut tests = workspace.cargo(["test", "--workspace", "--all-features", "--no-fail-fast"]);
    let status = run::stream(&mut tests, |line| {
        println!("{line}");
        report.read(line);
    })?;
    for name in &report.skipped_names {
        println!("skipped: {name}");
    }
    if report.failed > 0 {
        bail!(
            "{} tests failed; `cargo test` names them above",
            report.failed
        );
    }
    if !status.success() {
        bail!("`cargo test` failed with {status}: a crate was not built or a test program crashed");
    }
    Ok(())
}
