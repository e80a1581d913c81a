//! A process of ours: started, killed, stopped, and ended whatever happens.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// How long a process that was asked to end may take before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process that can be started again and again with the same command.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    running: Option<Child>,
    /// Whether it ends its own children when it is asked to end, so that it should not be killed.
    asked_first: bool,
}

impl Process {
    /// A process that does not run yet. What it prints is added to a file in `folder`.
    pub(crate) fn new(name: &str, program: &Path, arguments: Vec<String>, folder: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments,
            log: folder.join(format!("{name}.log")),
            running: None,
            asked_first: false,
        }
    }

    /// Asks it to end, in the end, before it is killed.
    pub(crate) fn asked_first(mut self) -> Self {
        self.asked_first = true;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds what it printed.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Its id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.running.as_ref().map(Child::id)
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = self.open_log().context("cannot write a log")?;
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EDGE_ISR_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(&self.arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share a log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.running = Some(child);
        Ok(())
    }

    fn open_log(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).append(true).open(&self.log)
    }

    /// Ends it at once, as a crash would, also where it is stopped.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            // One that has ended by itself is no failure.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets it stand still.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// How it ended, if it did by itself; it counts as not running from then on.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.running.as_mut()?.try_wait().ok().flatten()?;
        self.running = None;
        Some(status)
    }

    /// Kibibytes of memory that are its own, while it runs.
    pub(crate) fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?)).ok()?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    }

    fn signal(&self, signal: Signal) {
        let id = self.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // It has not been waited for, so the id is still its own.
            let _ = kill_process(pid, signal);
        }
    }

    fn ask_to_end(&mut self) {
        self.signal(Signal::TERM);
        let asked = Instant::now();
        while self.running.is_some() && self.ended().is_none() && asked.elapsed() < PATIENCE {
            wait_a_moment();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a destructor cannot wait otherwise, and everything else has ended by then"
)]
fn wait_a_moment() {
    std::thread::sleep(Duration::from_millis(10));
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.asked_first {
            self.ask_to_end();
        }
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Process {
        let mut process = Process::new(
            "sleeper",
            Path::new("sleep"),
            vec!["600".to_owned()],
            folder,
        );
        process.start().unwrap();
        process
    }

    /// The state letter of a process, or none when there is none.
    fn state(id: u32) -> Option<char> {
        let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        text.rsplit(") ").next()?.chars().next()
    }

    fn wait_for(what: impl Fn() -> bool) {
        let started = Instant::now();
        while !what() {
            assert!(started.elapsed() < Duration::from_secs(20));
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_stands_still_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeper(folder.path());
        let id = process.id().unwrap();
        process.stop();
        wait_for(|| state(id) == Some('T'));
        process.go_on();
        wait_for(|| state(id) != Some('T'));
        assert!(process.resident().is_some_and(|size| size > 0));
    }

    #[test]
    fn a_stopped_process_is_gone_once_its_owner_is() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeper(folder.path());
        let id = process.id().unwrap();
        process.stop();
        drop(process);
        assert_eq!(state(id), None);
    }

    #[test]
    fn one_that_ended_by_itself_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::new("false", Path::new("false"), Vec::new(), folder.path());
        process.start().unwrap();
        let mut status = None;
        let started = Instant::now();
        while status.is_none() && started.elapsed() < Duration::from_secs(20) {
            status = process.ended();
        }
        assert_eq!(status.and_then(|it| it.code()), Some(1));
        assert!(process.ended().is_none());
    }
}
