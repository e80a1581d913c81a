//! After the faults: everything acknowledged gets done, and every page at every tier is as at the origin.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use crate::http::Http;
use crate::journal::About;
use crate::run::Run;
use crate::visit::{Tier, history, read};
use crate::watch::look_at;
use crate::world::{self, PAGES};

/// How long everything that was accepted may take to be done once nothing fails any more.
const BOUND: Duration = Duration::from_mins(5);
const PATIENCE: Duration = Duration::from_secs(10);
const ROUND: Duration = Duration::from_millis(500);
/// How often a page is looked at that may be served while it is revalidated, and the pause in between.
const LOOKS: usize = 10;
const PAUSE: Duration = Duration::from_millis(300);
/// Pages compared at once.
const AT_ONCE: usize = 8;

#[derive(Debug, Deserialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
}

#[derive(Debug, Deserialize)]
struct DeadLetter {
    job: String,
    error: String,
}

#[derive(Debug, Deserialize)]
struct Replayed {
    replayed: u64,
}

/// What the end was like.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// How long it took until everything was done.
    pub(crate) drained: Duration,
    /// Jobs that had been given up on and were replayed.
    pub(crate) replayed: u64,
    /// Pages compared, once at each tier.
    pub(crate) compared: u64,
}

/// Waits until everything that was acknowledged is done, replaying what was given up on.
pub(crate) async fn drain(run: &Run, end: &mut End) -> anyhow::Result<()> {
    let http = Http::new();
    let started = Instant::now();
    loop {
        tokio::time::sleep(ROUND).await;
        let dead = replay(run, &http, end).await?;
        let open = run.truth.open();
        run.journal.note(
            About::Fault,
            format!("{} revalidations are not done", open.len()),
        );
        if open.is_empty() && dead == 0 {
            end.drained = started.elapsed();
            return Ok(());
        }
        if started.elapsed() > BOUND {
            return report_open(run, &http).await;
        }
    }
}

/// Replays everything that was given up on, as an operator does; says how much that was.
async fn replay(run: &Run, http: &Http, end: &mut End) -> anyhow::Result<usize> {
    let base = format!(
        "http://127.0.0.1:{}/v1/dead-letters",
        run.stage.edges[0].admin
    );
    let letters = http.json::<DeadLetters>(&base, PATIENCE).await;
    let letters = letters.context("the dead letters cannot be listed")?;
    let letters = letters.map(|it| it.dead_letters).unwrap_or_default();
    if letters.is_empty() {
        return Ok(0);
    }
    for letter in letters.iter().take(3) {
        let text = format!("{} had been given up on: {}", letter.job, letter.error);
        run.journal.note(About::Fault, text);
    }
    let answer = http
        .post(&format!("{base}/replay"), &json!({"all": true}), PATIENCE)
        .await?;
    let replayed: Replayed = serde_json::from_slice(&answer.body)
        .with_context(|| format!("a replay was answered {}", answer.status))?;
    end.replayed += replayed.replayed;
    Ok(letters.len())
}

async fn report_open(run: &Run, http: &Http) -> anyhow::Result<()> {
    let open = run.truth.open();
    let count = open.len();
    for id in open.into_iter().take(3) {
        let said = look_at(run, http, run.stage.edges[0].admin, id).await?;
        let said = said.map_or_else(|| "unknown".to_owned(), |it| it.told());
        let what = format!(
            "{id} was acknowledged, and is not done {} s after the last fault: {said}",
            BOUND.as_secs()
        );
        let promise = run.truth.promise(id);
        let items = promise.map(|it| it.items).unwrap_or_default();
        let about: Vec<About> = items.iter().map(|it| About::Item(it.0)).collect();
        run.truth.find(&run.journal, what, &about);
    }
    if count == 0 {
        bail!(
            "jobs are given up on again and again, {} s after the last fault",
            BOUND.as_secs()
        );
    }
    Ok(())
}

/// Compares every page at every tier with the data.
pub(crate) async fn compare(run: &Run, end: &mut End) -> anyhow::Result<()> {
    let http = Http::new();
    let all = Tier::ALL
        .into_iter()
        .flat_map(|tier| (0..PAGES).map(move |page| (tier, page)));
    let compared = stream::iter(all).map(|(tier, page)| compare_one(run, &http, tier, page));
    let mut compared = compared.buffer_unordered(AT_ONCE);
    while let Some(result) = compared.next().await {
        result?;
        end.compared += 1;
    }
    Ok(())
}

async fn compare_one(run: &Run, http: &Http, tier: Tier, page: usize) -> anyhow::Result<()> {
    let items = &run.world.pages[page].items;
    let newest: Vec<(usize, u64)> = items
        .iter()
        .map(|&it| (it, run.world.version(it)))
        .collect();
    let mut looks = 0;
    loop {
        let answer = read(run, http, tier, page).await;
        let answer = answer.with_context(|| format!("{} at {tier}", world::path(page)))?;
        let shown = world::shown(&answer.body);
        if answer.status == 200 && answer.whole && shown == newest {
            return Ok(());
        }
        looks += 1;
        let old = newest.iter().filter(|it| !shown.contains(it));
        let old: Vec<usize> = old.map(|it| it.0).collect();
        // What was revalidated softly may be served until a new copy has come.
        if looks < LOOKS && !old.is_empty() && old.iter().all(|&it| run.truth.is_soft(it)) {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let at = |all: &[(usize, u64)]| {
            let all = all.iter().filter(|it| old.contains(&it.0));
            let all = all.map(|&(item, version)| format!("{} at {version}", world::name(item)));
            all.collect::<Vec<_>>().join(", ")
        };
        let what = format!(
            "in the end {} at {tier} shows {} with status {}, and the origin has {} ({})",
            world::path(page),
            at(&shown),
            answer.status,
            at(&newest),
            history(&answer),
        );
        let about = old.iter().map(|&it| About::Item(it));
        let about: Vec<About> = about.chain([About::Page(page)]).collect();
        run.truth.find(&run.journal, what, &about);
        return Ok(());
    }
}
