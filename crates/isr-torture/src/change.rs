//! Changes the data all the time, and has each change revalidated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::http::Http;
use crate::journal::About;
use crate::plan::EDGES;
use crate::random::{happens, millis, stream};
use crate::run::Run;
use crate::truth::Promise;
use crate::world::{World, name, own_path, tag};

/// How many changes may wait for their revalidation to be accepted at once.
pub(crate) const CHANGERS: u32 = 400;
/// How long an edge may take to accept one, before the other is asked.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long all of it may take, whatever is away: far longer than any fault, also where a busy machine takes
/// long to bring up what was killed.
const BOUND: Duration = Duration::from_mins(10);

/// What was changed, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Changes of data.
    pub(crate) made: AtomicU64,
    /// Revalidations asked for again, because the answer was lost or the store was away.
    pub(crate) asked_again: AtomicU64,
    /// Revalidations left out on purpose.
    pub(crate) dropped: AtomicU64,
}

/// Changes data until `stop`, `rate` times a second together with its peers.
pub(crate) async fn change(
    run: Arc<Run>,
    number: u32,
    rate: f64,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let mut random = stream(run.seed, "changes", number.into());
    let http = Http::new();
    let pause = Duration::from_secs_f64(f64::from(CHANGERS) / rate);
    let mut due = Instant::now() + pause.mul_f64(random.random_range(0.0..1.0));
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due).await;
        // Whoever had to wait does not make up for it all at once.
        due = (due + pause).max(Instant::now() - pause);
        change_once(&run, &http, &mut random).await?;
    }
    Ok(())
}

async fn change_once(run: &Run, http: &Http, random: &mut StdRng) -> anyhow::Result<()> {
    let mut items = vec![World::pick(random)];
    if happens(random, 100) {
        items.push(World::pick(random));
        items.dedup();
    }
    let hard = !happens(random, 100);
    let warm = happens(random, 50);
    // First the data, then the revalidation: the other way round is a mistake of the caller.
    let items: Vec<(usize, u64)> = items
        .into_iter()
        .map(|it| (it, run.world.change(it)))
        .collect();
    run.changes
        .made
        .fetch_add(items.len() as u64, Ordering::Relaxed);
    for &(item, version) in &items {
        run.journal.note(
            About::Item(item),
            format!("{} comes to {version}", name(item)),
        );
    }
    let id = Uuid::now_v7();
    let promise = Promise { id, items, hard };
    if run
        .mistakes
        .drop_one_in
        .is_some_and(|one_in| random.random_range(0..one_in) == 0)
    {
        run.changes.dropped.fetch_add(1, Ordering::Relaxed);
        for (item, version) in promise.items {
            let text = format!("{} at {version} is left out on purpose", name(item));
            run.journal.note(About::Item(item), text);
        }
        return Ok(());
    }
    revalidate(run, http, random, promise, warm).await
}

/// Asks one edge after the other until one has accepted it.
async fn revalidate(
    run: &Run,
    http: &Http,
    random: &mut StdRng,
    promise: Promise,
    warm: bool,
) -> anyhow::Result<()> {
    let host = run.stage.host();
    let numbers = || promise.items.iter().map(|it| it.0);
    let tags: Vec<String> = numbers().filter_map(tag).collect();
    let paths = numbers().filter_map(own_path);
    let urls: Vec<String> = paths.map(|path| format!("http://{host}{path}")).collect();
    let mode = if promise.hard { "hard" } else { "soft" };
    let body = json!({"tags": tags, "urls": urls, "mode": mode, "warm": warm, "id": promise.id});
    let started = Instant::now();
    let mut edge = random.random_range(0..EDGES);
    loop {
        let url = format!(
            "http://127.0.0.1:{}/v1/revalidate",
            run.stage.edges[edge].admin
        );
        let answer = http.post(&url, &body, PATIENCE).await;
        match &answer {
            Ok(answer) if answer.status == 202 && answer.whole => break,
            Ok(answer) if (400..500).contains(&answer.status) && answer.status != 429 => {
                let said = String::from_utf8_lossy(&answer.body);
                bail!("{body} was answered {}: {said}", answer.status);
            }
            _ if started.elapsed() > BOUND => {
                let last =
                    answer.map(|it| (it.status, String::from_utf8_lossy(&it.body).into_owned()));
                bail!("{body} was not accepted by any edge; the last answer was {last:?}");
            }
            _ => {}
        }
        run.changes.asked_again.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(millis(random, 20, 200)).await;
        edge = (edge + 1) % EDGES;
    }
    for &(item, version) in &promise.items {
        let text = format!(
            "edge-{} accepted {} ({mode}, {} at {version})",
            edge + 1,
            promise.id,
            name(item)
        );
        run.journal.note(About::Item(item), text);
    }
    let id = promise.id;
    run.truth.accepted(promise, edge);
    if run.mistakes.hasty {
        run.truth.seen(&run.journal, id, true, false);
    }
    Ok(())
}
