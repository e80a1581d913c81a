//! What runs in a simulated process: a server, a worker with its housekeeper, or both.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    CdnConnector, Clock, NoRecorder, Store, Tier, WarmFailure, WarmOutcome, WarmRequest, Warmer,
};
use isr_pipeline::{Housekeeper, Parts, Worker, WorkerOptions};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::cdn::ModelCdn;
use crate::fault::Fault;
use crate::host::{Host, HostClock};
use crate::link::Link;
use crate::net::Net;
use crate::random::{millis, stream};
use crate::reach::Reach;
use crate::server::{Errand, PATIENCE, Server};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Server,
    Worker,
    Both,
}

/// Every server that runs, for whoever sends it a request.
pub(crate) type Servers = Arc<Mutex<Vec<Arc<Server>>>>;

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) host: Arc<Host>,
    pub(crate) server: Option<Arc<Server>>,
    /// To end it in good order.
    stop: CancellationToken,
}

impl Process {
    pub(crate) fn start(
        (name, kind): (String, Kind),
        net: &Arc<Net>,
        tiers: &[Arc<ModelCdn>],
        servers: &Servers,
    ) -> Self {
        let mut random = stream(net.seed, &name, 1);
        let host = Host::new(name);
        net.truth
            .journal
            .note(format_args!("{} starts, as {kind:?}", host.name));
        let clock = clock(net, &host, &mut random);
        let link = Arc::new(Link::new(&host, net));
        let wake = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        if kind != Kind::Server {
            let reached = tiers.iter().map(|cdn| Reach::new(&host, cdn));
            let parts = Parts {
                store: Arc::clone(&link) as Arc<dyn Store>,
                tiers: reached
                    .map(|reach| Tier::new(Arc::new(reach) as Arc<dyn CdnConnector>))
                    .collect(),
                warmer: Some(Arc::new(ModelCrawler {
                    servers: Arc::clone(servers),
                    net: Arc::clone(net),
                    random: Mutex::new(stream(net.seed, &host.name, 2)),
                })),
                clock: Arc::clone(&clock),
                recorder: Arc::new(NoRecorder),
                wake: Arc::clone(&wake),
            };
            let options = WorkerOptions {
                second_purge: net.second_purge(),
                ..options(&host, &mut random)
            };
            start_worker(&host, parts, options, &stop);
        }
        let server = (kind != Kind::Worker).then(|| Server::new(&link, clock, wake));
        if let Some(server) = &server {
            start_server(server, net, &stop);
            servers.lock().push(Arc::clone(server));
        }
        Self { host, server, stop }
    }

    /// Lets it end in good order.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

fn clock(net: &Arc<Net>, host: &Arc<Host>, random: &mut StdRng) -> Arc<dyn Clock> {
    let ahead = Duration::from_secs(random.random_range(0..100_000));
    let rate = random.random_range(0.95..1.05);
    let skewed = random.random_bool(0.5);
    let skewed = net.strikes(Fault::Skew, skewed);
    let (ahead, rate) = if skewed {
        (ahead, rate)
    } else {
        (Duration::ZERO, 1.0)
    };
    Arc::new(HostClock {
        host: Arc::clone(host),
        inner: net.clock,
        ahead,
        rate,
    })
}

fn options(host: &Host, random: &mut StdRng) -> WorkerOptions {
    WorkerOptions {
        lease: Duration::from_secs(4),
        // No jitter, so that a seed replays.
        first_delay: Duration::ZERO,
        longest_delay: Duration::from_secs(5),
        attempts: [4, 1_000][random.random_range(0..2)],
        coalesce: [Duration::ZERO, millis(5), millis(300)][random.random_range(0..3)],
        call_attempts: random.random_range(1..=3),
        concurrency: random.random_range(1..=8),
        chunk: random.random_range(1..=3),
        warm_chunk: 2,
        ..WorkerOptions::new(host.name.clone())
    }
}

fn start_worker(host: &Arc<Host>, parts: Parts, options: WorkerOptions, stop: &CancellationToken) {
    let housekeeper = Housekeeper::new(
        Arc::clone(&parts.store),
        parts.tiers.clone(),
        Arc::clone(&parts.clock),
        Arc::clone(&parts.recorder),
    );
    let worker = Worker::new(parts, options);
    let (of_worker, of_housekeeper) = (stop.clone(), stop.clone());
    host.spawn(async move { worker.run(of_worker).await });
    host.spawn(async move { housekeeper.run(of_housekeeper).await });
}

fn start_server(server: &Arc<Server>, net: &Arc<Net>, stop: &CancellationToken) {
    let (follower, host) = (Arc::clone(&server.follower), Arc::clone(&server.host));
    let (stop, net) = (stop.clone(), Arc::clone(net));
    server.host.spawn(async move {
        follower.run(stop).await;
        // It has left, or cannot end its responses in time: whatever it still sends is cut off somewhere.
        let name = &host.name;
        net.truth.journal.note(format_args!("{name} ends"));
        net.lose(name);
        host.dead.cancel();
    });
}

/// A crawler whose requests are answered by the servers there are.
#[derive(Debug)]
struct ModelCrawler {
    servers: Servers,
    net: Arc<Net>,
    random: Mutex<StdRng>,
}

impl ModelCrawler {
    async fn one(&self, request: &WarmRequest) -> WarmOutcome {
        let failed = |reason: WarmFailure| WarmOutcome::Failed {
            reason,
            detail: "no response".to_owned(),
        };
        let Some(page) = self.net.truth.site.page_of(&request.url) else {
            return failed(WarmFailure::Forbidden);
        };
        let errand = Errand::random(&mut self.random.lock(), page).rendered(request.least);
        let Some(server) = self.server(request.via.as_deref()) else {
            return failed(WarmFailure::Connect);
        };
        let (answer, answered) = tokio::sync::oneshot::channel();
        // In the server's process, which goes on whatever becomes of the crawler.
        let responding = Arc::clone(&server);
        server.host.spawn(async move {
            let _ = answer.send(responding.respond(errand).await); // the crawler may be gone
        });
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(true)) => WarmOutcome::Warmed {
                status: 200,
                verified: true,
                took: Duration::ZERO,
            },
            Ok(Ok(false)) => failed(WarmFailure::Status),
            Ok(Err(_)) => failed(WarmFailure::Body),
            Err(_) => failed(WarmFailure::Timeout),
        }
    }

    /// The server at an address; any where none is named.
    fn server(&self, via: Option<&str>) -> Option<Arc<Server>> {
        let servers = self.servers.lock();
        let awake: Vec<&Arc<Server>> = servers.iter().filter(|it| it.host.is_awake()).collect();
        let drawn = self.random.lock().random_range(0..usize::from(u16::MAX));
        let found = match via {
            Some(address) => awake
                .into_iter()
                .find(|it| address == format!("http://{}:80", it.host.name)),
            None => awake.get(drawn % awake.len().max(1)).copied(),
        };
        found.cloned()
    }
}

#[async_trait]
impl Warmer for ModelCrawler {
    async fn warm(&self, requests: &[WarmRequest]) -> Vec<WarmOutcome> {
        let mut outcomes = Vec::new();
        for request in requests {
            outcomes.push(self.one(request).await);
        }
        outcomes
    }
}
