//! Runs commands so that a reader of the log sees what ran, how long it took, and what failed.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

/// Runs `command` with no input, and its output going where ours goes.
///
/// # Errors
///
/// When it cannot be started or does not end with success; the error names the command.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = announce(command);
    let started = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    finish(started);
    check(&line, status)
}

/// As [`run`], but hands each line of standard output to `on_line` and leaves the status to the caller.
///
/// # Errors
///
/// When the command cannot be started or its output cannot be read; the error names the command.
pub(crate) fn stream(
    command: &mut Command,
    mut on_line: impl FnMut(&str),
) -> anyhow::Result<ExitStatus> {
    let line = announce(command);
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let mut output = BufReader::new(child.stdout.take().expect("standard output is piped above"));
    let mut bytes = Vec::new();
    // Tests print what they like, so lines are read as bytes: broken UTF-8 must not end the run.
    while output
        .read_until(b'\n', &mut bytes)
        .with_context(|| format!("cannot read what `{line}` prints"))?
        > 0
    {
        on_line(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']));
        bytes.clear();
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{line}`"))?;
    finish(started);
    Ok(status)
}

/// What `command` prints to standard output, for commands whose answer matters and whose run does not.
///
/// # Errors
///
/// When it cannot be started, does not end with success, or prints something that is not UTF-8.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let line = describe(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    check(&line, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed broken UTF-8"))
}

fn announce(command: &Command) -> String {
    let line = describe(command);
    eprintln!("$ {line}");
    line
}

fn finish(started: Instant) {
    eprintln!("  took {:.1} s", started.elapsed().as_secs_f64());
}

fn check(line: &str, status: ExitStatus) -> anyhow::Result<()> {
    if !status.success() {
        bail!("`{line}` failed with {status}");
    }
    Ok(())
}

/// The command as one would type it: what it sets in the environment, its name, its arguments.
fn describe(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let value = quoted(&value.to_string_lossy());
            write!(line, "{}={value} ", name.to_string_lossy()).expect("a string takes any text");
        }
    }
    let program = std::path::Path::new(command.get_program());
    line.push_str(
        &program
            .file_name()
            .unwrap_or(command.get_program())
            .to_string_lossy(),
    );
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&quoted(&argument.to_string_lossy()));
    }
    line
}

fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([' ', '\'', '"', '$', '*']) {
        format!("'{}'", text.replace('\'', r"'\''"))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_described_as_one_would_type_it() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command
            .args(["doc", "--no-deps", "it's"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            describe(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'"
        );
    }

    #[test]
    fn a_failing_command_is_named_with_its_status() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'exit 3'` failed with exit status: 3"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }

    #[test]
    fn lines_are_streamed_whole_even_where_they_are_not_utf8() {
        let mut lines = Vec::new();
        let mut command = Command::new("printf");
        let status = stream(command.arg(r"one\ntw\377o\nend"), |line| {
            lines.push(line.to_owned());
        })
        .unwrap();
        assert!(status.success());
        assert_eq!(lines, ["one", "tw\u{fffd}o", "end"]);
    }
}
