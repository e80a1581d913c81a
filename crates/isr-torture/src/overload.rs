//! Overload: ten times as many revalidations as one edge gets done, for a while, with a small queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::http::{Answer, Http};
use crate::journal::Journal;
use crate::origin::Origin;
use crate::plan::{Servers, Store, Who};
use crate::ports::Ports;
use crate::report::{Report, seconds};
use crate::stage::{Programs, Setup, Stage};
use crate::world::{self, PAGES, TAGS, World};

/// The most revalidations that may wait.
const QUEUE: u64 = 500;
/// How many are worked on at once: few, so that one machine can ask for ten times as many as get done.
const CONCURRENCY: u16 = 8;
/// How many of them are sent to see how many a second get done.
const MEASURED: u64 = 400;
/// How many callers there are: as many requests are under way at once.
const CALLERS: u32 = 256;
/// How much more is asked for than gets done.
const TIMES: f64 = 10.0;
/// The most memory that a process may take, in KiB: many times what the site and a full queue need.
const MEMORY: u64 = 256 * 1024;
/// How long everything that was accepted may take to be done.
const BOUND: Duration = Duration::from_mins(2);
/// How long a caller waits for an answer. One that comes later is none to a caller in need.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(200);

/// What is overloaded, and for how long.
#[derive(Clone, Debug)]
pub struct Overload {
    /// Selects the site.
    pub seed: u64,
    /// How long.
    pub lasts: Duration,
}

/// What callers were told.
#[derive(Debug, Default)]
struct Told {
    asked: AtomicU64,
    /// How many answers came with each status, and 0 for none.
    statuses: Mutex<BTreeMap<u16, u64>>,
    /// Refusals that did not say when to ask again.
    vague: AtomicU64,
    accepted: Mutex<Vec<Uuid>>,
    slowest: Mutex<Duration>,
}

impl Told {
    fn count(&self, status: u16) -> u64 {
        self.statuses.lock().get(&status).copied().unwrap_or(0)
    }

    fn note(&self, id: Uuid, answer: Option<&Answer>) {
        let status = answer.map_or(0, |answer| answer.status);
        *self.statuses.lock().entry(status).or_default() += 1;
        let Some(answer) = answer else { return };
        let mut slowest = self.slowest.lock();
        *slowest = answer.took.max(*slowest);
        match status {
            202 => self.accepted.lock().push(id),
            429 if answer.field("retry-after").parse::<u64>().is_err() => {
                self.vague.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

#[derive(Debug)]
struct Scene {
    stage: Arc<Stage>,
    told: Told,
}

#[derive(Debug, Deserialize)]
struct Graph {
    queue: Depth,
}

#[derive(Debug, Deserialize)]
struct Depth {
    revalidations: u64,
    pages: u64,
    dead: u64,
}

#[derive(Debug, Deserialize)]
struct Known {
    phase: String,
    settled: bool,
}

/// Overloads one edge, and says what came of it.
///
/// # Errors
///
/// When something cannot be started, or does not answer.
pub async fn overload(programs: &Programs, options: &Overload) -> anyhow::Result<Report> {
    let journal = Arc::new(Journal::new());
    let world = Arc::new(World::new(options.seed));
    let mut ports = Ports::default();
    let origin = Origin::new(options.seed, world, Arc::clone(&journal));
    origin.hurry();
    let at = ports.take()?;
    let _listening = origin
        .listen(at)
        .await
        .context("the origin cannot listen")?;
    let setup = Setup {
        workers: 0,
        edges: 1,
        varnish: true,
        store: Store {
            servers: Servers::One,
            partitions: 1,
        },
        queue: QUEUE,
        concurrency: CONCURRENCY,
        fsync: "everysec",
    };
    let stage = Stage::set(programs, setup, at, &mut ports, journal).await?;
    let scene = Arc::new(Scene {
        stage: Arc::new(stage),
        told: Told::default(),
    });
    read_all(&scene).await?;
    // The first time every page may still be on its way, and is purged once more.
    measure(&scene).await?;
    let rate = measure(&scene).await?;
    let offered = rate * TIMES;
    let memory = under_load(&scene, offered, options.lasts).await?;
    let emptied = Instant::now();
    wait_until_empty(&scene).await?;
    let emptied = emptied.elapsed();
    let undone = undone(&scene).await?;
    Ok(judged(&scene, options, rate, &memory, emptied, undone))
}

/// Reads every page, so that revalidations have something to do.
async fn read_all(scene: &Scene) -> anyhow::Result<()> {
    let http = Http::new();
    for page in 0..PAGES {
        let url = format!("http://{}{}", scene.stage.host(), world::path(page));
        http.page(&url, &scene.stage.host(), PATIENCE).await?;
    }
    Ok(())
}

/// How many revalidations a second get done, when there are always some to do.
async fn measure(scene: &Arc<Scene>) -> anyhow::Result<f64> {
    let http = Http::new();
    let started = Instant::now();
    let before = scene.told.count(202);
    for number in 0..MEASURED {
        ask(scene, &http, number).await;
    }
    wait_until_empty(scene).await?;
    if scene.told.count(202) - before != MEASURED {
        let statuses = scene.told.statuses.lock();
        bail!("an edge at rest answered {MEASURED} revalidations with {statuses:?}");
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    Ok(MEASURED as f64 / started.elapsed().as_secs_f64())
}

async fn ask(scene: &Scene, http: &Http, number: u64) {
    let url = format!(
        "http://127.0.0.1:{}/v1/revalidate",
        scene.stage.edges[0].admin
    );
    let item = usize::try_from(number).unwrap_or_default() % TAGS;
    let id = Uuid::now_v7();
    let body = json!({"tags": [world::tag(item)], "mode": "hard", "warm": false, "id": id});
    scene.told.asked.fetch_add(1, Ordering::Relaxed);
    let answer = http.post(&url, &body, PATIENCE).await;
    scene.told.note(id, answer.as_ref().ok());
}

/// Asks so many times a second, whatever the answers are. Gives the most memory that each process took.
async fn under_load(
    scene: &Arc<Scene>,
    rate: f64,
    lasts: Duration,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let stop = Arc::new(AtomicBool::new(false));
    let pause = Duration::from_secs_f64(f64::from(CALLERS) / rate);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call(Arc::clone(scene), caller, pause, Arc::clone(&stop)));
    }
    let mut memory = BTreeMap::new();
    let started = Instant::now();
    while started.elapsed() < lasts {
        for (who, size) in scene.stage.resident().await {
            let most = memory.entry(who.to_string()).or_default();
            *most = size.max(*most);
        }
        tokio::time::sleep(LOOK).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended?;
    }
    Ok(memory)
}

async fn call(scene: Arc<Scene>, caller: u32, pause: Duration, stop: Arc<AtomicBool>) {
    let http = Http::new();
    let mut due =
        tokio::time::Instant::now() + pause.mul_f64(f64::from(caller) / f64::from(CALLERS));
    let mut number = u64::from(caller);
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due).await;
        due += pause;
        ask(&scene, &http, number).await;
        number += u64::from(CALLERS) + 1;
    }
}

async fn depth(scene: &Scene, http: &Http) -> anyhow::Result<Depth> {
    let url = format!("http://127.0.0.1:{}/v1/graph", scene.stage.edges[0].admin);
    let graph = http.json::<Graph>(&url, PATIENCE).await?;
    Ok(graph.context("the API has no graph")?.queue)
}

async fn wait_until_empty(scene: &Scene) -> anyhow::Result<()> {
    let http = Http::new();
    let started = Instant::now();
    loop {
        let depth = depth(scene, &http).await?;
        if depth.revalidations == 0 && depth.pages == 0 {
            return Ok(());
        }
        if started.elapsed() > BOUND {
            let Depth {
                revalidations,
                pages,
                dead,
            } = depth;
            bail!(
                "{revalidations} revalidations and {pages} pages still wait, {dead} are given up on"
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Of those that were accepted: how many are not done.
async fn undone(scene: &Scene) -> anyhow::Result<u64> {
    let http = Http::new();
    let accepted = std::mem::take(&mut *scene.told.accepted.lock());
    let mut undone = 0;
    for id in accepted {
        let url = format!(
            "http://127.0.0.1:{}/v1/receipts/{id}",
            scene.stage.edges[0].admin
        );
        let known = http.json::<Known>(&url, PATIENCE).await?;
        let done = known.is_some_and(|it| it.settled && it.phase == "done");
        undone += u64::from(!done);
    }
    Ok(undone)
}

fn judged(
    scene: &Scene,
    options: &Overload,
    rate: f64,
    memory: &BTreeMap<String, u64>,
    emptied: Duration,
    undone: u64,
) -> Report {
    let told = &scene.told;
    let mut report = Report::empty();
    let asked = told.asked.load(Ordering::Relaxed) - 2 * MEASURED;
    let accepted = told.count(202) - 2 * MEASURED;
    report.row("seed", options.seed);
    report.row("seconds of overload", seconds(options.lasts));
    report.row(
        "revalidations done in a second at rest",
        format!("{rate:.0}"),
    );
    #[expect(clippy::cast_precision_loss, reason = "a few million")]
    let offered = asked as f64 / options.lasts.as_secs_f64();
    report.row("asked for in a second", format!("{offered:.0}"));
    report.row("accepted", accepted);
    report.row("refused with 429", told.count(429));
    let others: u64 = told
        .statuses
        .lock()
        .iter()
        .filter(|it| ![202, 429].contains(it.0))
        .map(|it| it.1)
        .sum();
    report.row("answered otherwise, or not", others);
    report.row("slowest answer", seconds(*told.slowest.lock()));
    report.row("seconds until all was done", seconds(emptied));
    report.row("accepted and not done", undone);
    for (who, size) in memory {
        report.row(format!("most memory of {who}, MiB"), size / 1024);
        if *size > MEMORY {
            report.find(format!(
                "{who} took {} MiB, and {} is the most",
                size / 1024,
                MEMORY / 1024
            ));
        }
    }
    let vague = told.vague.load(Ordering::Relaxed);
    let wrong = [
        (
            undone,
            "revalidations were accepted, and are not done in the end",
        ),
        (others, "answers were neither 202 nor 429"),
        (vague, "refusals did not say when to ask again"),
        (
            u64::from(told.count(429) == 0),
            "load did not fill the queue: nothing was refused",
        ),
        (
            u64::from(!memory.contains_key(&Who::Edge(0).to_string())),
            "process was not measured: the edge",
        ),
    ];
    for (count, what) in wrong.into_iter().filter(|it| it.0 > 0) {
        report.find(format!("{count} {what}"));
    }
    report
}
