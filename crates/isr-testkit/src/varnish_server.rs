//! A real Varnish for one test.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;

use crate::ports::loopback;
use crate::server_program::ServerProgram;

/// How the configuration, which becomes a C program, is compiled.
const COMPILER: &str = "cc_command=exec gcc -O0 -pthread -fpic -shared -o %o %s";

/// A Varnish of its own for a test: on a free port of the loopback interface, with a cache in memory. It
/// ends when this is dropped.
#[derive(Debug)]
pub struct VarnishServer {
    port: u16,
    program: ServerProgram,
    directory: TempDir,
}

impl VarnishServer {
    /// Starts Varnish in front of `origin`. `vcl` is what follows the lines that differ from site to site:
    /// the version of the language, the backend, and the list `edge_isr_purgers` of the addresses that may
    /// purge, which holds `purgers`.
    ///
    /// # Panics
    ///
    /// When `varnishd` or one of its modules is missing (Debian: `varnish`, `varnish-modules`), or it does
    /// not start with this configuration.
    pub async fn start(origin: SocketAddr, purgers: &[&str], vcl: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let list = format!("\"{}\";", purgers.join("\"; \""));
        let whole = format!(
            "vcl 4.1;\nbackend default {{ .host = \"{}\"; .port = \"{}\"; }}\n\
             acl edge_isr_purgers {{ {list}}}\n{vcl}",
            origin.ip(),
            origin.port()
        );
        fs::write(directory.path().join("site.vcl"), whole).expect("a file can be written");
        let log = directory.path().join("log");
        let mut server = Self {
            port: 0,
            program: ServerProgram::new("varnishd", "varnish varnish-modules", log),
            directory,
        };
        let arguments = server.arguments();
        server.port = server.program.start(arguments).await;
        server
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

    /// Ends the server. What it kept is gone.
    pub fn stop(&mut self) {
        self.program.stop();
    }

    /// Starts the server again on the same port, empty.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn start_again(&mut self) {
        self.stop();
        let arguments = self.arguments()(self.port);
        self.program.start_again(self.port, &arguments).await;
    }

    fn arguments(&self) -> impl Fn(u16) -> Vec<OsString> + use<> {
        let folder = self.directory.path().to_owned();
        move |port| {
            let mut arguments: Vec<OsString> = Vec::new();
            // No jail: it would keep a process that runs as root from its own temporary folder.
            arguments.extend(["-F", "-j", "none", "-s", "default,16m"].map(OsString::from));
            // A test lasts no longer than an optimising compiler.
            arguments.extend(["-p".into(), COMPILER.into()]);
            arguments.extend(["-a".into(), loopback(port).to_string().into()]);
            arguments.extend(["-n".into(), folder.join("work").into()]);
            arguments.extend(["-f".into(), folder.join("site.vcl").into()]);
            arguments
        }
    }
}
