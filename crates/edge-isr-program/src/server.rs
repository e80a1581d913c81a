//! What keeps running: an engine with the admin API to it, and a server, which has the edge cache too.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edge_isr::config::{Config, StoreConfig};
use edge_isr::core::{Position, StoreError};
use edge_isr::edge::ServeOptions;
use edge_isr::graph::ServeLock;
use edge_isr::{Engine, EngineOptions, StartError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::failure::Failure;

/// How long the store may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long callers of the admin API may take once the server is to stop.
const GRACE: Duration = Duration::from_secs(5);

/// A running engine and the admin API to it. Stop it with [`Process::stop`].
#[derive(Debug)]
pub(crate) struct Process {
    /// Where the admin API listens.
    pub(crate) admin: SocketAddr,
    engine: Engine,
    stop: CancellationToken,
    answering: JoinHandle<bool>,
}

impl Process {
    /// Starts it. The store need not be there yet. `edge` is where the process's edge listens, when it
    /// has one.
    ///
    /// # Errors
    ///
    /// An address that is taken, and whatever no waiting would mend.
    pub(crate) async fn start(
        mut config: Config,
        edge: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let (listener, admin) = listen("listen.admin", config.listen.admin).await?;
        if let Some(edge) = edge {
            config.listens_on(edge);
        }
        let options = EngineOptions {
            edge_address: edge.map(|_| config.edge_reached_at()),
            ..EngineOptions::default()
        };
        let serving = serving_callers(&config);
        let engine = Engine::start(config, options).map_err(usage)?;
        let stop = CancellationToken::new();
        let app = admin::router(Arc::new(api(&engine)));
        let stopped = stop.clone().cancelled_owned();
        let answering = edge_isr::edge::serve(listener, app, serving, stopped);
        Ok(Self {
            admin,
            engine,
            stop,
            answering: tokio::spawn(answering),
        })
    }

    /// Asks the store whether it is there.
    ///
    /// # Errors
    ///
    /// Whatever it answers; that it did not answer in time.
    pub(crate) async fn store_answers(&self) -> Result<Position, StoreError> {
        let late = |_| StoreError::Unavailable {
            store: self.engine.config().store.kind().to_owned(),
            source: "it did not answer in time".into(),
        };
        let store = self.engine.store();
        let asked = tokio::time::timeout(PATIENCE, store.position()).await;
        let position = asked.map_err(late).and_then(std::convert::identity)?;
        // Nothing is kept for long before the process has heard from the store itself.
        self.engine.up_to_date(PATIENCE).await;
        Ok(position)
    }

    /// Ends it in good order: accepts no more, and accounts for what had begun.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if !self.answering.await.unwrap_or(false) {
            tracing::warn!("some calls of the admin API had not ended and were broken off");
        }
        self.engine.stop().await;
    }
}

/// A running server. Stop it with [`Server::stop`].
#[derive(Debug)]
pub(crate) struct Server {
    /// Where visitors come in.
    pub(crate) edge: SocketAddr,
    /// Everything but the edge.
    pub(crate) process: Process,
    serving: JoinHandle<bool>,
    /// The right to serve from the data directory.
    _lock: Option<ServeLock>,
}

impl Server {
    /// Starts everything. The store need not be there yet.
    ///
    /// # Errors
    ///
    /// A data directory from which another server serves, addresses that are taken, and whatever no
    /// waiting would mend.
    pub(crate) async fn start(config: Config) -> Result<Self, Failure> {
        if config.site.origin.is_none() {
            let detail = "`site.origin` is missing: say where pages come from, such as http://127.0.0.1:3000 \
                          (in the configuration file, or as EDGE_ISR_SITE__ORIGIN)";
            return Err(Failure::Usage(detail.into()));
        }
        let lock = lock(&config.store)?;
        let (listener, edge) = listen("listen.edge", config.listen.edge).await?;
        let options = config.listen.serve.clone();
        let process = Process::start(config, Some(edge)).await?;
        let serving = edge_isr::edge::serve(
            listener,
            process.engine.edge().map_err(usage)?,
            options,
            process.stop.clone().cancelled_owned(),
        );
        Ok(Self {
            edge,
            process,
            serving: tokio::spawn(serving),
            _lock: lock,
        })
    }

    /// Ends it in good order: accepts no more, waits for requests under way, and accounts for what
    /// had begun.
    pub(crate) async fn stop(self) {
        self.process.stop.cancel();
        if !self.serving.await.unwrap_or(false) {
            tracing::warn!("some requests had not ended and were broken off");
        }
        self.process.stop().await;
    }
}

/// What no waiting would mend is the configuration's fault.
pub(crate) fn usage(error: StartError) -> Failure {
    Failure::Usage(format!("{:#}", anyhow::Error::from(error)))
}

/// Takes the right to serve from the folder of an embedded store.
fn lock(store: &StoreConfig) -> Result<Option<ServeLock>, Failure> {
    let StoreConfig::Sqlite { path } = store else {
        return Ok(None);
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    match ServeLock::acquire(folder) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) => Err(Failure::Usage(format!(
            "{:#} (store.path)",
            anyhow::Error::from(error)
        ))),
    }
}

/// A listener, and the address it got.
async fn listen(key: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let taken = |error| Failure::Usage(format!("`{key}` {address} cannot be listened on: {error}"));
    let listener = TcpListener::bind(address).await.map_err(taken)?;
    let address = listener.local_addr().map_err(Failure::asked)?;
    Ok((listener, address))
}

/// How callers of the admin API are served: as visitors are, but for fewer of them, and with less time
/// in the end.
fn serving_callers(config: &Config) -> ServeOptions {
    ServeOptions {
        most_connections: config.admin.connections,
        grace: GRACE,
        ..config.listen.serve.clone()
    }
}

/// The admin API of a running engine.
fn api(engine: &Engine) -> Admin {
    let sender = engine.sender();
    Admin {
        revalidator: engine.revalidator(),
        token: engine.config().admin.token.clone(),
        heard_from_store: Box::new(move || sender.known().is_some()),
        ..Admin::of(engine.site())
    }
}
