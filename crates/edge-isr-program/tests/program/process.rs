//! Running the program, and an origin for it.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use axum::Router;
use axum::extract::Path as Segment;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A folder to run in, with a configuration file.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// A place with this configuration.
    pub(crate) fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("edge-isr.toml"), toml).unwrap();
        Self { folder }
    }

    /// A place whose edge and admin API take free ports, in front of `origin`.
    pub(crate) fn before(origin: &str, more: &str) -> Self {
        Self::new(&format!(
            "[site]\norigin = \"{origin}\"\n[listen]\nedge = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{more}"
        ))
    }

    /// A file in this place.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The program with arguments, in this place, with nothing in its environment that it would read.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-isr"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EDGE_ISR_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        Ended(self.command(arguments).output().await.unwrap())
    }

    /// Starts `serve` and waits until it says where it listens.
    pub(crate) async fn serve(&self, arguments: &[&str]) -> Serving {
        self.start(&[&["serve"], arguments].concat()).await
    }

    /// Starts what keeps running, and waits until it says where it listens.
    pub(crate) async fn start(&self, arguments: &[&str]) -> Serving {
        let arguments = [arguments, &["--json"]].concat();
        let mut child = self
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            said += &line;
            if line == "}" {
                break;
            }
        }
        let ready: Value = serde_json::from_str(&said).expect("serve says where it listens");
        let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
        Serving {
            edge: text("edge"),
            admin: text("admin"),
            client: http(),
            child,
        }
    }
}

/// A run that has ended.
pub(crate) struct Ended(Output);

impl Ended {
    pub(crate) fn status(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout)
            .unwrap_or_else(|_| panic!("no JSON: {}{}", self.text(), self.errors()))
    }
}

/// What keeps running.
pub(crate) struct Serving {
    /// Empty when it has none.
    pub(crate) edge: String,
    pub(crate) admin: String,
    pub(crate) client: reqwest::Client,
    child: Child,
}

impl Serving {
    /// Asks it to end, as a supervisor does, and answers with its exit status.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        self.signal("-TERM").await;
        self.child.wait().await.unwrap().code()
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.await.unwrap().success());
    }

    /// The status, the `Cache-Status` and the body that a path of the edge is answered with.
    pub(crate) async fn visit(&self, path: &str) -> (u16, String, String) {
        let response = self
            .client
            .get(format!("{}{path}", self.edge))
            .send()
            .await
            .unwrap();
        let field = response
            .headers()
            .get("cache-status")
            .map(|value| value.to_str().unwrap().to_owned());
        (
            response.status().as_u16(),
            field.unwrap_or_default(),
            response.text().await.unwrap(),
        )
    }
}

/// A client that follows nothing and goes through no proxy.
pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// An origin whose pages are cacheable and tagged with their own name.
pub(crate) async fn origin() -> String {
    async fn page(Segment(name): Segment<String>) -> impl IntoResponse {
        let headers = [
            ("cache-control", "public, s-maxage=600".to_owned()),
            ("cache-tag", format!("page:{name}")),
        ];
        (headers, format!("page {name}\n"))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/{name}", get(page))).await },
    );
    format!("http://{address}")
}

/// An address of this machine where nobody listens, and nobody will.
pub(crate) fn nobody() -> String {
    isr_testkit::loopback(isr_testkit::free_port()).to_string()
}
