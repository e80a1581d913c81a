//! A real Redis server for one test.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::ports::{free_port, loopback};

/// Programs that will do, the first one found is taken.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// How often a server gets another port when somebody else took its port first.
const ATTEMPTS: usize = 5;
/// How long a server may take to come up: the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two questions whether it is up.
const PAUSE: Duration = Duration::from_millis(20);

/// A Redis server of its own for a test: on a free port of the loopback interface, with nothing kept
/// on disk unless it is told to. It ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    directory: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// When neither `redis-server` nor `valkey-server` is on `PATH`, or it does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with further arguments, such as `--maxmemory 10mb`.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub async fn start_with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let arguments = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        let mut server = Self {
            port: 0,
            arguments,
            directory,
            process: None,
        };
        for _ in 0..ATTEMPTS {
            server.port = free_port();
            if server.launch().await {
                return server;
            }
        }
        panic!("no Redis server came up in {ATTEMPTS} attempts");
    }

    /// Where clients connect to: `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server at once, as a crash would. What it keeps on disk is there when it is started again.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a process of ours can be ended");
            process.wait().expect("a process of ours can be waited for");
        }
    }

    /// Starts the server again on the same port, with what it kept on disk: nothing, unless its arguments say
    /// otherwise.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn restart(&mut self) {
        self.kill();
        assert!(
            self.launch().await,
            "the Redis server did not come up again on port {}",
            self.port
        );
    }

    /// Waits until the server says that it has been up for so many seconds.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub async fn until_up_for(&self, seconds: u64) {
        loop {
            let info = self.words(&["INFO", "server"]).await.concat();
            let uptime = info
                .lines()
                .find_map(|line| line.strip_prefix("uptime_in_seconds:"));
            let uptime = uptime.and_then(|text| text.trim_end().parse::<u64>().ok());
            if uptime.is_some_and(|uptime| uptime >= seconds) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Lets the server hang: it accepts connections and answers nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Sends one command over a connection of its own, and gives the first line of the answer as it
    /// came, its type included: `+OK`, `:1`, `$5`.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn execute(&self, command: &[&str]) -> String {
        self.ask(command).await.expect("the Redis server answers")
    }

    /// As [`RedisServer::answer`], for answers that are text.
    ///
    /// # Panics
    ///
    /// When the server does not answer, or with an error.
    pub async fn words(&self, command: &[&str]) -> Vec<String> {
        let words = self.answer(command).await;
        let text = |word: Vec<u8>| String::from_utf8_lossy(&word).into_owned();
        words.into_iter().map(text).collect()
    }

    /// Sends one command over a connection of its own, and gives the strings and numbers of its answer in their
    /// order, however they are nested; what is missing as an empty string.
    ///
    /// # Panics
    ///
    /// When the server does not answer, or with an error.
    pub async fn answer(&self, command: &[impl AsRef<[u8]>]) -> Vec<Vec<u8>> {
        let mut answer = self.send(command).await.expect("the Redis server answers");
        let (mut words, mut left) = (Vec::new(), 1_usize);
        while left > 0 {
            let mut line = String::new();
            answer
                .read_line(&mut line)
                .await
                .expect("the Redis server answers");
            let (kind, rest) = line.trim_end().split_at(1);
            assert_ne!(kind, "-", "the server refused: {rest}");
            left -= 1;
            match kind {
                "*" => left += rest.parse::<usize>().unwrap_or(0),
                "$" => words.push(read_string(&mut answer, rest.parse().ok()).await),
                _ => words.push(rest.as_bytes().to_vec()),
            }
        }
        words
    }

    async fn launch(&mut self) -> bool {
        let mut process = self.spawn();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if process
                .try_wait()
                .expect("a process of ours can be asked")
                .is_some()
            {
                return false; // most likely the port was taken
            }
            if self.ask(&["PING"]).await.is_ok_and(|line| line == "+PONG") {
                self.process = Some(process);
                return true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        process.kill().expect("a process of ours can be ended");
        process.wait().expect("a process of ours can be waited for");
        false
    }

    fn spawn(&self) -> Child {
        for program in PROGRAMS {
            let spawned = Command::new(program)
                .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
                .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
                .arg("--dir")
                .arg(self.directory.path())
                .args(&self.arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            match spawned {
                Ok(process) => return process,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => panic!("{program} cannot be started: {error}"),
            }
        }
        panic!(
            "neither redis-server nor valkey-server is on PATH: install one \
             (on Debian and Ubuntu: apt-get install redis-server)"
        );
    }

    async fn ask(&self, command: &[&str]) -> std::io::Result<String> {
        let mut line = String::new();
        self.send(command).await?.read_line(&mut line).await?;
        Ok(line.trim_end().to_owned())
    }

    async fn send(&self, command: &[impl AsRef<[u8]>]) -> std::io::Result<BufReader<TcpStream>> {
        let mut connection = TcpStream::connect(self.address()).await?;
        let mut request = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command.iter().map(AsRef::as_ref) {
            request.extend(format!("${}\r\n", argument.len()).into_bytes());
            request.extend_from_slice(argument);
            request.extend(b"\r\n");
        }
        connection.write_all(&request).await?;
        Ok(BufReader::new(connection))
    }

    fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the server runs");
        let sent = Command::new("kill")
            .args([signal, &process.id().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "kill {signal} failed"
        );
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Nothing can be done about a failure here, and a process that has ended is no failure.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A string of so many bytes, and the line end after it; an empty one where there is none.
async fn read_string(answer: &mut BufReader<TcpStream>, length: Option<usize>) -> Vec<u8> {
    let Some(length) = length else {
        return Vec::new();
    };
    let mut bytes = vec![0; length + 2];
    answer
        .read_exact(&mut bytes)
        .await
        .expect("the Redis server finishes its answer");
    bytes.truncate(length);
    bytes
}
