//! A real Prometheus for one test, and its `promtool`.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ports::loopback;
use crate::server_program::ServerProgram;

/// How long it may take until a query answers what is waited for: a scrape a second, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// A Prometheus of its own for a test: on a free port of the loopback interface, with what it scrapes in a
/// temporary folder. It ends when this is dropped.
#[derive(Debug)]
pub struct PrometheusServer {
    port: u16,
    _program: ServerProgram,
    _directory: TempDir,
}

impl PrometheusServer {
    /// Starts a Prometheus that scrapes `http://{target}/metrics` every second and evaluates the rules in the
    /// file `rules` as often.
    ///
    /// # Panics
    ///
    /// When it is not installed (Debian: `prometheus`), or does not start with these rules.
    pub async fn scraping(target: &str, rules: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let folder = directory.path().to_owned();
        let configuration = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n\
             rule_files: [\"{}\"]\n\
             scrape_configs:\n- job_name: edge-isr\n  static_configs:\n  - targets: [\"{target}\"]\n",
            rules.display()
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, configuration).expect("a file can be written");
        let mut program = ServerProgram::new("prometheus", "prometheus", folder.join("log"));
        let port = program
            .start(|port| {
                let config = format!("--config.file={}", file.display());
                let storage = format!("--storage.tsdb.path={}", folder.join("data").display());
                let listen = format!("--web.listen-address={}", loopback(port));
                vec![config.into(), storage.into(), listen.into()]
            })
            .await;
        Self {
            port,
            _program: program,
            _directory: directory,
        }
    }

    /// What a query answers now: the values of its series, in no order; none while it is not ready.
    pub async fn query(&self, query: &str) -> Vec<f64> {
        let path = format!("/api/v1/query?query={}", escaped(query));
        let answer = self.get(&path).await.unwrap_or_default();
        let result = answer["data"]["result"].as_array().cloned();
        let number = |series: &Value| series["value"][1].as_str()?.parse().ok();
        result
            .unwrap_or_default()
            .iter()
            .filter_map(number)
            .collect()
    }

    /// Waits until a query answers what is wanted, and gives that.
    ///
    /// # Panics
    ///
    /// When it does not within a minute.
    pub async fn until(&self, query: &str, wanted: impl Fn(&[f64]) -> bool) -> Vec<f64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let values = self.query(query).await;
            if wanted(&values) {
                return values;
            }
            assert!(Instant::now() < deadline, "{query} stayed {values:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let mut connection = TcpStream::connect(loopback(self.port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        connection.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }
}

/// A query as it is written in a URL.
fn escaped(query: &str) -> String {
    let mut text = String::new();
    for byte in query.bytes() {
        write!(text, "%{byte:02X}").expect("a string takes all that is written to it");
    }
    text
}

/// Runs `promtool` with arguments, gives it `input`, and says what it found fault with, if anything.
///
/// # Errors
///
/// What it printed, when it does not end well or prints a warning.
///
/// # Panics
///
/// When it is not installed (Debian: `prometheus`).
pub fn promtool(arguments: &[&str], input: &str) -> Result<(), String> {
    let started = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut process = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => panic!(
            "promtool is not on PATH: install it (on Debian and Ubuntu: apt-get install prometheus)"
        ),
        started => started.expect("promtool can be started"),
    };
    let mut stdin = process.stdin.take().expect("it was asked for");
    // One that wants no input may have ended by now.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let ended = process.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    if ended.status.success() && ended.stderr.is_empty() {
        Ok(())
    } else {
        Err(said.into_owned())
    }
}
