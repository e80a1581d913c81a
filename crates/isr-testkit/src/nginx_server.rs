//! A real nginx for one test.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::ports::loopback;
use crate::server_program::ServerProgram;

/// Where Debian puts the module that `proxy_cache_purge` comes from.
const PURGE_MODULE: &str = "/usr/lib/nginx/modules/ngx_http_cache_purge_module.so";

/// Which modules an nginx has besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NginxModules {
    /// None: a stock nginx.
    Stock,
    /// `ngx_http_cache_purge`.
    CachePurge,
}

/// An nginx of its own for a test: on a free port of the loopback interface, with its cache in a temporary
/// folder. It ends when this is dropped.
#[derive(Debug)]
pub struct NginxServer {
    port: u16,
    program: ServerProgram,
    directory: TempDir,
}

impl NginxServer {
    /// Starts nginx. `http` makes what stands in the `http` block, from the address to listen on and the
    /// folder to cache in.
    ///
    /// # Panics
    ///
    /// When nginx or the module is missing (Debian: `nginx`, `libnginx-mod-http-cache-purge`), or it does
    /// not start with this configuration.
    pub async fn start(modules: NginxModules, http: impl Fn(SocketAddr, &Path) -> String) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let folder = directory.path().to_owned();
        let load = load(modules);
        let log = folder.join("log");
        let mut program = ServerProgram::new("nginx", "nginx", log);
        let port = program
            .start(|port| {
                let http = http(loopback(port), &folder.join("cache"));
                let whole = format!(
                    "{load}{}http {{\naccess_log off;\n{}{http}\n}}\n",
                    head(&folder),
                    temporary(&folder)
                );
                fs::write(folder.join("nginx.conf"), whole).expect("a file can be written");
                arguments(&folder)
            })
            .await;
        Self {
            port,
            program,
            directory,
        }
    }

    /// Where visitors and purges go: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// The folder it caches in.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    /// Ends the server. What it keeps stays on disk.
    pub fn stop(&mut self) {
        self.program.stop();
    }

    /// Starts the server again on the same port, with what it kept.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn start_again(&mut self) {
        self.stop();
        let arguments = arguments(self.directory.path());
        self.program.start_again(self.port, &arguments).await;
    }
}

fn load(modules: NginxModules) -> String {
    if modules == NginxModules::Stock {
        return String::new();
    }
    assert!(
        Path::new(PURGE_MODULE).is_file(),
        "{PURGE_MODULE} is missing: install it (on Debian and Ubuntu: \
         apt-get install libnginx-mod-http-cache-purge)"
    );
    format!("load_module {PURGE_MODULE};\n")
}

/// What stands in front of the `http` block.
fn head(folder: &Path) -> String {
    let owner = fs::metadata(folder).map(|folder| folder.uid());
    // Workers of an nginx that is run by root would otherwise be somebody who cannot enter the folder.
    let user = if owner.is_ok_and(|uid| uid == 0) {
        "user root;\n"
    } else {
        ""
    };
    let folder = folder.display();
    format!(
        "{user}daemon off;\nworker_processes 2;\npid {folder}/pid;\nerror_log stderr notice;\n\
         events {{ worker_connections 256; }}\n"
    )
}

/// Where bodies go that do not fit into memory: nginx makes these folders when it starts, and those that it was
/// built with may belong to root.
fn temporary(folder: &Path) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let lines = kinds.map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()));
    lines.concat()
}

fn arguments(folder: &Path) -> Vec<OsString> {
    let configuration = folder.join("nginx.conf");
    vec![
        "-p".into(),
        folder.into(),
        "-e".into(),
        "stderr".into(),
        "-c".into(),
        configuration.into(),
    ]
}
