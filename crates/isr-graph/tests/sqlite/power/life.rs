//! The life of the process that is watched: it uses a store in every way, and says what was acknowledged.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use isr_core::{
    Bind, Claimed, JobStore, Leave, PageReason, PageWork, Partition, Phase, RateBudget, RateLimit,
    RateUnit, Receipt, SenderId, SenderReport, SenderRole, TagGraph,
};
use isr_graph::{Durability, SqliteOptions, SqliteStore};
use isr_testkit::HandClock;
use isr_testkit::store_suite::make::{HOUR, bind, generation, page, revalidate, worker};

/// Tells this test program that it is the process to be watched, and where the store is.
const DIRECTORY: &str = "ISR_GRAPH_TEST_POWER";

/// What the store waits for.
const DURABILITY: &str = "ISR_GRAPH_TEST_DURABILITY";

/// What it does between opening a store and closing it, or ending without; it does so three times.
const ROUNDS: u64 = 6;

/// All that it does.
pub(crate) const ALL_ROUNDS: u64 = 3 * ROUNDS;

/// The boots that it lives under.
const BOOTS: [u128; 2] = [1, 2];

/// How the watched process is started.
pub(crate) fn told<'a>(
    command: &'a mut Command,
    directory: &Path,
    durability: Durability,
) -> &'a mut Command {
    command
        .args(["--exact", "power::life::the_watched_process", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(DURABILITY, format!("{durability:?}"))
}

/// So short a log that it is copied all the time.
pub(crate) fn options(durability: Durability, boot: u128, clock: &HandClock) -> SqliteOptions {
    SqliteOptions {
        durability,
        boot: Some(boot),
        log_bytes: NonZeroU64::new(48 * 1024).unwrap(),
        clock: Some(std::sync::Arc::new(clock.clone())),
        ..SqliteOptions::default()
    }
}

pub(crate) fn store_in(directory: &Path) -> PathBuf {
    directory.join("graph.sqlite")
}

/// The watched process, when this is it; otherwise there is nothing to test here.
#[test]
fn the_watched_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let machine = std::env::var(DURABILITY).unwrap() == format!("{:?}", Durability::Machine);
    let durability = [Durability::Process, Durability::Machine][usize::from(machine)];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let path = store_in(Path::new(&directory));
        let clock = HandClock::new();
        let open = |boot| SqliteStore::open(&path, options(durability, boot, &clock));
        let store = open(BOOTS[0]).await.unwrap();
        live(&store, 0..ROUNDS).await;
        drop(store);
        let store = open(BOOTS[0]).await.unwrap();
        live(&store, ROUNDS..2 * ROUNDS).await;
        // As if the machine had gone down and come up with everything there.
        std::mem::forget(store);
        let store = open(BOOTS[1]).await.unwrap();
        live(&store, 2 * ROUNDS..3 * ROUNDS).await;
        // Without closing it: what a thread of it still does is done or not.
        std::process::exit(0);
    });
}

/// One line, at once; not through `print!`, which the harness would hold back.
fn say(line: &str) {
    use std::io::Write as _;

    let mut out = std::io::stdout().lock();
    writeln!(out, "said {line}").unwrap();
    out.flush().unwrap();
}

async fn live(store: &SqliteStore, rounds: std::ops::Range<u64>) {
    say(&format!(
        "epoch {}",
        generation(store, "/").await.epoch.number()
    ));
    say(&format!(
        "secret {}",
        store.secret().await.unwrap().expose()
    ));
    for round in rounds {
        // Several at once, so that they share a transaction.
        tokio::join!(
            bind_one(store, 3 * round),
            bind_one(store, 3 * round + 1),
            bind_one(store, 3 * round + 2)
        );
        revalidate_one(store, round).await;
        match round % 6 {
            0 => queue(store, round).await,
            1 => take(store, round).await,
            2 => report(store, round).await,
            _ => work(store, round).await,
        }
    }
}

async fn bind_one(store: &SqliteStore, n: u64) {
    let path = format!("/{n}");
    let now = generation(store, &path).await;
    let bind = Bind {
        lifetime: 24 * HOUR,
        ..bind(&path, &["shared", &format!("own:{n}")], now)
    };
    assert!(store.bind(&[bind]).await.unwrap()[0].is_bound());
    say(&format!("bound {n}"));
}

async fn revalidate_one(store: &SqliteStore, round: u64) {
    let receipt = revalidate(store, &[&format!("other:{round}")]).await;
    let number = receipt.position.unwrap().number(Partition(0));
    say(&format!("revalidated {} {number}", receipt.id));
}

async fn queue(store: &SqliteStore, round: u64) {
    let url = page(&format!("/queued/{round}"));
    let work = PageWork::new(url, generation(store, "/").await, PageReason::InFlight);
    store.queue_pages(&[work], Duration::ZERO).await.unwrap();
    say(&format!("queued {round}"));
}

pub(crate) fn limit(round: u64) -> RateLimit {
    RateLimit {
        bucket: format!("bucket:{round}"),
        unit: RateUnit::Calls,
        burst: 1.try_into().unwrap(),
        refill: 1.try_into().unwrap(),
        period: 24 * HOUR,
        per_account: true,
    }
}

async fn take(store: &SqliteStore, round: u64) {
    store.take(&limit(round), 1, Duration::ZERO).await.unwrap();
    say(&format!("took {round}"));
}

async fn report(store: &SqliteStore, round: u64) {
    let position = store.position().await.unwrap();
    let report = SenderReport {
        id: SenderId(format!("sender:{round}")),
        role: SenderRole::Edge,
        address: None,
        known: position.clone(),
        clean: position,
        lease: 24 * HOUR,
    };
    store.report(&report).await.unwrap();
    say(&format!("reported {round}"));
}

/// Works on a revalidation: saves how far it has come, and finishes every other.
async fn work(store: &SqliteStore, round: u64) {
    let claimed = store
        .claim_revalidations(&worker("w"), 1, HOUR)
        .await
        .unwrap();
    for Claimed {
        mut work, claim, ..
    } in claimed
    {
        say(&format!("claimed {}", claim.token));
        work.phase = Phase::Purging;
        if round.is_multiple_of(2) {
            store.save(&claim, &work, HOUR).await.unwrap();
            say(&format!("saved {}", work.id));
        } else {
            finish(store, &claim, work).await;
        }
    }
}

async fn finish(store: &SqliteStore, claim: &isr_core::Claim, receipt: Receipt) {
    let done = Receipt {
        phase: Phase::Done,
        settled: true,
        ..receipt
    };
    store.leave(claim, &done, &Leave::Done).await.unwrap();
    say(&format!("finished {}", done.id));
}
