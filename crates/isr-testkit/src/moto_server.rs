//! moto, a third-party implementation of AWS's APIs, for one test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ports::{free_port, loopback};

/// The version of moto that is run: <https://pypi.org/project/moto/>.
const VERSION: &str = "5.2.5";

/// How often a server gets another port when somebody else took its port first.
const ATTEMPTS: usize = 5;
/// How often a server is asked whether it is up, and the pause in between: a minute in all, since it
/// compiles its modules the first time.
const POLLS: usize = 1_200;
const PAUSE: Duration = Duration::from_millis(50);

/// A moto server of its own for a test, on a free port of the loopback interface. It ends when this is
/// dropped.
#[derive(Debug)]
pub struct MotoServer {
    port: u16,
    process: Child,
}

impl MotoServer {
    /// Starts a server and waits until it answers. It is installed in `cache` when it is not there yet,
    /// which takes about a minute: give a directory that stays, such as `CARGO_TARGET_TMPDIR`.
    ///
    /// # Panics
    ///
    /// When it cannot be installed or does not start.
    pub async fn start(cache: &Path) -> Self {
        let python = installed(cache);
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let mut server = Self {
                port,
                process: spawn(&python, port),
            };
            if server.is_up().await {
                return server;
            }
        }
        panic!("no moto server came up in {ATTEMPTS} attempts");
    }

    /// Where it is.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("http://{}", loopback(self.port))
    }

    async fn is_up(&mut self) -> bool {
        for _ in 0..POLLS {
            let ended = self.process.try_wait();
            if ended.expect("a process of ours can be asked").is_some() {
                return false; // most likely the port was taken
            }
            if self.answers().await.unwrap_or(false) {
                return true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        false
    }

    async fn answers(&self) -> std::io::Result<bool> {
        let mut connection = TcpStream::connect(loopback(self.port)).await?;
        connection
            .write_all(b"GET /moto-api/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await?;
        Ok(answer.starts_with(b"HTTP/"))
    }
}

impl Drop for MotoServer {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and a process that has ended is no failure.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(python: &Path, port: u16) -> Child {
    Command::new(python)
        .args(["-m", "moto.server", "--host", "127.0.0.1", "--port"])
        .arg(port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the interpreter of a virtual environment can be started")
}

/// The interpreter of a virtual environment that has moto.
fn installed(cache: &Path) -> PathBuf {
    std::fs::create_dir_all(cache).expect("the cache directory can be made");
    let environment = cache.join(format!("moto-{VERSION}"));
    let python = environment.join("bin/python");
    // Whoever comes first installs it, and the others wait; the lock ends with the process that has it.
    let lock =
        File::create(cache.join(format!("moto-{VERSION}.lock"))).expect("a lock can be made");
    lock.lock().expect("a lock can be waited for");
    let complete = environment.join("complete");
    if !complete.exists() {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment));
        let moto = format!("moto[server]=={VERSION}");
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", &moto]));
        File::create(complete).expect("a file can be made in the cache");
    }
    python
}

fn run(command: &mut Command) {
    let ended = command.stdin(Stdio::null()).output();
    let fault = match ended {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "moto {VERSION} cannot be installed, and the tests against it cannot run without: {command:?} \
         failed ({fault}); install Python's virtual environments (on Debian and Ubuntu: apt-get install \
         python3-venv) and see that pip reaches a package index"
    );
}
