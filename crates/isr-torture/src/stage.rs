//! Every process of a run, and the links between them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::child::Process;
use crate::cluster::{self, Cluster, NodePorts};
use crate::http::Http;
use crate::journal::{About, Journal};
use crate::link::Link;
use crate::origin::PROBE;
use crate::plan::{EDGES, Servers, Store, WORKERS, Which, Who};
use crate::ports::{Ports, address};
use crate::settings::{self, Settings};

/// How long everything together may take to come up. Varnish compiles its configuration first.
const START: Duration = Duration::from_mins(1);
/// How often it is asked whether something is up.
const POLL: Duration = Duration::from_millis(50);
/// How long after a fault visitors may still notice it: Varnish has to see that an edge is back.
const AFTERMATH: Duration = Duration::from_secs(3);

/// Where the programs are that a run starts.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The program under test.
    pub edge_isr: PathBuf,
    /// Redis.
    pub redis_server: PathBuf,
    /// Varnish.
    pub varnishd: PathBuf,
    /// The VCL that users are given: `docs/connectors/varnish.vcl`.
    pub vcl: PathBuf,
    /// The folder in which each run makes one of its own.
    pub folder: PathBuf,
    /// Whether that stays behind, with everything that the processes have said.
    pub keep: bool,
}

/// How a stage is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) workers: usize,
    pub(crate) edges: usize,
    /// Whether a Varnish stands in front of the edges, one or two.
    pub(crate) varnish: bool,
    pub(crate) store: Store,
    pub(crate) queue: u64,
    /// How many revalidations a worker works on at once.
    pub(crate) concurrency: u16,
    /// Redis's `appendfsync`.
    pub(crate) fsync: &'a str,
}

impl<'a> Setup<'a> {
    /// Four workers, two edges, and Varnish.
    pub(crate) const fn whole(store: Store, fsync: &'a str) -> Self {
        Self {
            workers: WORKERS,
            edges: EDGES,
            varnish: true,
            store,
            queue: 1_000_000,
            concurrency: 64,
            fsync,
        }
    }
}

/// Where an edge listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdgePorts {
    pub(crate) visitors: u16,
    pub(crate) admin: u16,
}

/// Everything that runs. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) edges: Vec<EdgePorts>,
    /// Where visitors come, which the URLs of the pages name.
    pub(crate) public: u16,
    processes: HashMap<Who, Mutex<Process>>,
    varnish: Option<Mutex<Process>>,
    links: HashMap<Which, Link>,
    redis: Vec<NodePorts>,
    cluster: Option<Cluster>,
    journal: Arc<Journal>,
    restarts: AtomicU64,
    /// Faults under way that visitors may notice, and when the last one ended, in milliseconds.
    showing: AtomicU64,
    shown_until: AtomicU64,
    folder: TempDir,
}

impl Stage {
    /// Starts everything, and returns when all of it answers.
    pub(crate) async fn set(
        programs: &Programs,
        setup: Setup<'_>,
        origin: u16,
        ports: &mut Ports,
        journal: Arc<Journal>,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&programs.folder)
            .with_context(|| format!("cannot make {}", programs.folder.display()))?;
        let folder = tempfile::Builder::new()
            .prefix("torture-")
            .disable_cleanup(programs.keep)
            .tempdir_in(&programs.folder)
            .with_context(|| format!("cannot make a folder in {}", programs.folder.display()))?;
        let edges: Vec<EdgePorts> = (0..setup.edges)
            .map(|_| {
                let (visitors, admin) = (ports.take()?, ports.take()?);
                Ok(EdgePorts { visitors, admin })
            })
            .collect::<anyhow::Result<_>>()?;
        let public = if setup.varnish {
            ports.take()?
        } else {
            edges[0].visitors
        };
        let mut stage = Self {
            edges,
            public,
            processes: HashMap::new(),
            varnish: None,
            links: HashMap::new(),
            redis: Vec::new(),
            cluster: None,
            journal,
            restarts: AtomicU64::new(0),
            showing: AtomicU64::new(0),
            shown_until: AtomicU64::new(0),
            folder,
        };
        for _ in 0..setup.store.servers.count() {
            let (clients, bus) = (ports.take()?, ports.take()?);
            stage.redis.push(NodePorts { clients, bus });
        }
        stage.lay_links(setup, ports).await?;
        stage.start_redis(programs, setup).await?;
        stage.start_edge_isr(programs, setup, origin, ports).await?;
        if setup.varnish {
            stage.start_varnish(programs).await?;
        }
        stage.ready().await?;
        Ok(stage)
    }

    async fn lay_links(&mut self, setup: Setup<'_>, ports: &mut Ports) -> anyhow::Result<()> {
        let mut wanted: Vec<(Which, u16)> = Vec::new();
        match setup.store.servers {
            Servers::One => {
                let workers = (0..setup.workers).map(Who::Worker);
                let all = workers.chain((0..setup.edges).map(Who::Edge));
                wanted.extend(all.map(|who| (Which::Store(who), self.redis[0].clients)));
            }
            // Clients learn from the nodes where the others are, and all of them learn the same.
            Servers::Cluster => {
                let nodes = self.redis.iter().enumerate();
                wanted.extend(nodes.map(|(number, at)| (Which::Node(number), at.clients)));
            }
        }
        if setup.varnish {
            let fronts = self.edges.iter().enumerate();
            wanted.extend(fronts.map(|(edge, ports)| (Which::Front(edge), ports.visitors)));
            wanted.push((Which::Purges, self.public));
        }
        for (which, to) in wanted {
            let link = Link::new(ports.take()?, address(to)).await;
            let link = link.with_context(|| format!("cannot lay {which}"))?;
            self.links.insert(which, link);
        }
        Ok(())
    }

    async fn start_redis(&mut self, programs: &Programs, setup: Setup<'_>) -> anyhow::Result<()> {
        for (number, at) in self.redis.iter().enumerate() {
            let who = Who::Redis(number);
            let name = who.to_string();
            let folder = self.folder.path().join(&name);
            std::fs::create_dir(&folder).context("cannot make a folder for redis")?;
            let mut arguments = settings::redis(at.clients, &folder, setup.fsync);
            if let Some(link) = self.links.get(&Which::Node(number)) {
                arguments.extend(cluster::arguments(at.bus, link.port()));
            }
            let mut redis = Process::new(&name, &programs.redis_server, arguments, self.folder());
            redis.start()?;
            self.processes.insert(who, Mutex::new(redis));
            self.until_redis_serves(number).await?;
        }
        if setup.store.servers == Servers::Cluster {
            let cluster = Cluster::form(&self.redis).await;
            self.cluster = Some(cluster.context("no cluster is formed")?);
        }
        Ok(())
    }

    async fn start_edge_isr(
        &mut self,
        programs: &Programs,
        setup: Setup<'_>,
        origin: u16,
        ports: &mut Ports,
    ) -> anyhow::Result<()> {
        let workers = (0..setup.workers).map(Who::Worker);
        for who in workers.chain((0..setup.edges).map(Who::Edge)) {
            let (edge, admin, verb) = match who {
                Who::Edge(number) => {
                    let ports = self.edges[number];
                    (ports.visitors, ports.admin, "serve")
                }
                _ => (0, ports.take()?, "worker"),
            };
            let settings = Settings {
                origin,
                public: self.public,
                edge,
                admin,
                store: self.ways_to_store(who),
                partitions: setup.store.partitions,
                queue: setup.queue,
                concurrency: setup.concurrency,
                works: setup.workers == 0 || verb == "worker",
                purges: self.links.get(&Which::Purges).map(Link::port),
            };
            let file = self.folder().join(format!("{who}.toml"));
            std::fs::write(&file, settings.toml()).context("cannot write a configuration")?;
            let arguments = vec![
                verb.to_owned(),
                "--config".to_owned(),
                file.display().to_string(),
            ];
            let name = who.to_string();
            let mut process = Process::new(&name, &programs.edge_isr, arguments, self.folder());
            process.start()?;
            self.processes.insert(who, Mutex::new(process));
            wait_until(&format!("{who} answers"), || async move {
                TcpStream::connect(address(admin)).await.is_ok()
            })
            .await?;
        }
        Ok(())
    }

    /// Returns when a Redis answers, which it does once it has read its log.
    pub(crate) async fn until_redis_serves(&self, number: usize) -> anyhow::Result<()> {
        let port = self.redis[number].clients;
        wait_until(&format!("{} answers", Who::Redis(number)), || async move {
            redis_answers(port).await.unwrap_or(false)
        })
        .await
    }

    /// Where the ways of a process to the store begin.
    fn ways_to_store(&self, who: Who) -> Vec<u16> {
        match self.links.get(&Which::Store(who)) {
            Some(link) => vec![link.port()],
            None => (0..self.redis.len())
                .map(|node| self.links[&Which::Node(node)].port())
                .collect(),
        }
    }

    async fn start_varnish(&mut self, programs: &Programs) -> anyhow::Result<()> {
        let vcl = self.folder().join("site.vcl");
        let shared = programs.vcl.canonicalize();
        let shared = shared.with_context(|| format!("cannot find {}", programs.vcl.display()))?;
        // Where there is one edge, it is both of those that the configuration names.
        let last = self.edges.len() - 1;
        let fronts = [0, last].map(|edge| self.links[&Which::Front(edge)].port());
        std::fs::write(&vcl, settings::vcl(fronts, PROBE, &shared))
            .context("cannot write Varnish's configuration")?;
        let arguments = settings::varnish(self.public, &self.folder().join("varnish"), &vcl);
        let process = Process::new("varnish", &programs.varnishd, arguments, self.folder());
        let mut process = process.asked_first();
        process.start()?;
        let log = process.log().to_owned();
        self.varnish = Some(Mutex::new(process));
        let port = self.public;
        let up = wait_until("varnish answers", || async move {
            TcpStream::connect(address(port)).await.is_ok()
        });
        up.await.with_context(|| last_words(&log))
    }

    /// Returns when every edge says that it is ready.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let http = Http::new();
        for (number, edge) in self.edges.iter().enumerate() {
            let url = format!("http://127.0.0.1:{}/readyz", edge.admin);
            wait_until(&format!("{} is ready", Who::Edge(number)), || async {
                let answer = http.page(&url, "localhost", Duration::from_secs(3)).await;
                answer.is_ok_and(|answer| answer.status == 200)
            })
            .await?;
        }
        Ok(())
    }

    /// What the pages' URLs begin with, without the scheme.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.public)
    }

    /// The folder of the run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn process(&self, who: Who) -> &Mutex<Process> {
        &self.processes[&who]
    }

    /// The cluster, where the store is one.
    pub(crate) const fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    pub(crate) fn link(&self, which: Which) -> &Link {
        &self.links[&which]
    }

    /// A fault begins that visitors may notice.
    pub(crate) fn begins_to_show(&self) {
        self.showing.fetch_add(1, Ordering::SeqCst);
    }

    /// It has ended.
    pub(crate) fn ends_to_show(&self) {
        let now = u64::try_from(self.journal.now().as_millis()).unwrap_or(u64::MAX);
        self.shown_until.fetch_max(now, Ordering::SeqCst);
        self.showing.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether a visitor who came at this moment may have noticed a fault of an edge, or of the way there.
    pub(crate) fn showed_since(&self, from: Duration) -> bool {
        let until = Duration::from_millis(self.shown_until.load(Ordering::SeqCst));
        self.showing.load(Ordering::SeqCst) > 0
            || (until > Duration::ZERO && until + AFTERMATH > from)
    }

    /// Starts again whatever ended by itself, as a supervisor does, until the run ends.
    pub(crate) async fn supervise(&self) -> anyhow::Result<()> {
        loop {
            for process in self.processes.values().chain(&self.varnish) {
                // One that somebody holds is being killed, or has just been started.
                if let Ok(mut process) = process.try_lock() {
                    self.start_again(&mut process)?;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn start_again(&self, process: &mut Process) -> anyhow::Result<()> {
        let Some(status) = process.ended() else {
            return Ok(());
        };
        let name = process.name().to_owned();
        // A program that cannot reach what it needs ends with a status. A panic or a signal is another thing.
        if status.code().is_none_or(|code| code == 101) {
            bail!(
                "{name} ended with {status}; its last words: {}",
                last_words(process.log())
            );
        }
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.journal.note(
            About::Fault,
            format!("{name} ended with {status} and is started again"),
        );
        process.start()
    }

    /// How often something ended by itself.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// What each process has in memory, in kibibytes.
    pub(crate) async fn resident(&self) -> Vec<(Who, u64)> {
        let mut all = Vec::new();
        for (who, process) in &self.processes {
            all.extend(process.lock().await.resident().map(|size| (*who, size)));
        }
        all
    }
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(15).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

async fn wait_until<F: Future<Output = bool>>(
    what: &str,
    mut is_so: impl FnMut() -> F,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while !is_so().await {
        if started.elapsed() > START {
            bail!(
                "it has taken {} s, and still it is not so that {what}",
                START.as_secs()
            );
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

async fn redis_answers(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address(port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG")
}
