//! A server program that a test runs: found, started on a free port, waited for, and stopped.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ports::{free_port, loopback};

/// How often a server gets another port when somebody else took its port first.
const ATTEMPTS: usize = 5;
/// How long a server may take to come up: Varnish compiles its configuration first, and the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(2);
/// The pause between two questions whether it is up.
const PAUSE: Duration = Duration::from_millis(20);
/// Where Debian installs servers, which is not on everybody's PATH.
const FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A process of a test's own. It is told to end when this is dropped, and waited for.
#[derive(Debug)]
pub(crate) struct ServerProgram {
    name: &'static str,
    package: &'static str,
    log: PathBuf,
    process: Option<Child>,
}

impl ServerProgram {
    /// A program that is not started yet, with the Debian package that brings it. What it prints goes into
    /// `log`.
    pub(crate) fn new(name: &'static str, package: &'static str, log: PathBuf) -> Self {
        Self {
            name,
            package,
            log,
            process: None,
        }
    }

    /// Starts it on a free port of the loopback interface; `arguments` are made for each port that is
    /// tried. Waits until it answers HTTP.
    ///
    /// # Panics
    ///
    /// When it is not installed or does not come up.
    pub(crate) async fn start(&mut self, arguments: impl Fn(u16) -> Vec<OsString>) -> u16 {
        for _ in 0..ATTEMPTS {
            let port = free_port();
            if self.launch(port, &arguments(port)).await {
                return port;
            }
        }
        panic!(
            "{} did not come up in {ATTEMPTS} attempts; the last one said: {}",
            self.name,
            self.said()
        );
    }

    /// Starts it again on the port it had.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub(crate) async fn start_again(&mut self, port: u16, arguments: &[OsString]) {
        assert!(
            self.launch(port, arguments).await,
            "{} did not come up again on port {port}: {}",
            self.name,
            self.said()
        );
    }

    /// Ends it in an orderly way, so that it ends its own children.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            end(&mut process);
        }
    }

    async fn launch(&mut self, port: u16, arguments: &[OsString]) -> bool {
        let mut process = self.spawn(arguments);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let ended = process.try_wait().expect("a process of ours can be asked");
            if ended.is_some() {
                return false; // most likely the port was taken
            }
            if answers(port).await {
                self.process = Some(process);
                return true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        end(&mut process);
        false
    }

    fn spawn(&self, arguments: &[OsString]) -> Child {
        let log = File::create(&self.log).expect("a log can be written");
        let again = log.try_clone().expect("a log can be shared");
        let spawned = Command::new(self.program())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(again)
            .spawn();
        match spawned {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => panic!(
                "{} is not on PATH: install it (on Debian and Ubuntu: apt-get install {})",
                self.name, self.package
            ),
            Err(error) => panic!("{} cannot be started: {error}", self.name),
        }
    }

    fn program(&self) -> PathBuf {
        let candidates = FOLDERS.map(|folder| Path::new(folder).join(self.name));
        let installed = candidates.into_iter().find(|path| path.is_file());
        installed.unwrap_or_else(|| self.name.into())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for ServerProgram {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks a process to end, and waits until it has. A server that were killed would leave its workers behind.
fn end(process: &mut Child) {
    let asked = Command::new("kill").arg(process.id().to_string()).status();
    if !asked.is_ok_and(|status| status.success()) {
        // It has ended already, or there is no `kill`; either way nothing is lost by trying.
        let _ = process.kill();
    }
    let _ = process.wait();
}

/// Whether a server of HTTP is there: it says that this is no request.
async fn answers(port: u16) -> bool {
    let ask = async {
        let mut connection = TcpStream::connect(loopback(port)).await?;
        connection.write_all(b"?\r\n\r\n").await?;
        connection.read_u8().await
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), ask).await;
    matches!(answer, Ok(Ok(b'H' | b'<')))
}
