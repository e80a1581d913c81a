//! Several processes on one file, and one that is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use isr_core::{BindOutcome, JobStore, Partition, RevalidationId, TagGraph};
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::store_suite::make::{bind, bind_one, generation, page, revalidate, tags_of};

use crate::support::{assert_whole, file, open};

/// Tells this test program that it is the other process, and where the store is.
const STORE: &str = "ISR_GRAPH_TEST_STORE";

/// What the other process is to do.
const TASK: &str = "ISR_GRAPH_TEST_TASK";

/// Pages that the other process binds, and revalidations it makes, beside ours.
const ROUNDS: u64 = 150;

/// What the other process says once the store has acknowledged it.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// A page of this number was bound: taken under a generation, and judged at another.
    Bound { page: u64, taken: u64, current: u64 },
    /// A page of this number was superseded.
    Superseded { page: u64, taken: u64, current: u64 },
    /// A revalidation has this number.
    Revalidated { id: RevalidationId, number: u64 },
}

/// The other process, when this is it; otherwise there is nothing to test here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_process() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let store = SqliteStore::open(PathBuf::from(path), options())
        .await
        .unwrap();
    match std::env::var(TASK).as_deref() {
        Ok("until killed") => bind_and_revalidate_until_killed(store).await,
        Ok("beside others") => bind_and_revalidate(&store).await,
        other => panic!("no such task: {other:?}"),
    }
}

/// So short a log that it is copied all the time, also when the process is killed.
fn options() -> SqliteOptions {
    SqliteOptions {
        log_bytes: NonZeroU64::new(64 * 1024).unwrap(),
        ..SqliteOptions::default()
    }
}

async fn bind_and_revalidate_until_killed(store: SqliteStore) {
    let store = Arc::new(store);
    let callers = (0..4).map(|caller| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in (caller..).step_by(4) {
                bind_and_say(&store, n).await;
                if n % 3 == 0 {
                    revalidate_and_say(&store).await;
                }
            }
        })
    });
    futures_util::future::join_all(callers.collect::<Vec<_>>()).await;
}

async fn bind_and_revalidate(store: &SqliteStore) {
    for n in 0..ROUNDS {
        bind_and_say(store, n).await;
        revalidate_and_say(store).await;
    }
}

async fn bind_and_say(store: &SqliteStore, n: u64) {
    let path = format!("/{n}");
    let taken = generation(store, &path).await;
    let outcome = bind_one(store, bind(&path, &["shared", &format!("own:{n}")], taken)).await;
    let word = if outcome.is_bound() {
        "bound"
    } else {
        "superseded"
    };
    say(&format!(
        "{word} {n} {} {}",
        taken.number,
        outcome.current().number
    ));
}

async fn revalidate_and_say(store: &SqliteStore) {
    let receipt = revalidate(store, &["unrelated"]).await;
    let number = receipt.position.unwrap().number(Partition(0));
    say(&format!("revalidated {} {number}", receipt.id));
}

/// One line, whole; not through `print!`, which the harness would hold back.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "said {line}").unwrap();
    out.flush().unwrap();
}

fn start(path: &Path, task: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::the_other_process", "--nocapture"])
        .env(STORE, path)
        .env(TASK, task)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// `None` for what the harness says.
fn heard(line: &str) -> Option<Said> {
    // The harness may have begun the line.
    let (_, said) = line.split_once("said ")?;
    let words: Vec<&str> = said.split(' ').collect();
    let number = |at: usize| words[at].parse().unwrap();
    Some(match words[0] {
        "bound" => Said::Bound {
            page: number(1),
            taken: number(2),
            current: number(3),
        },
        "superseded" => Said::Superseded {
            page: number(1),
            taken: number(2),
            current: number(3),
        },
        "revalidated" => Said::Revalidated {
            id: words[1].parse().unwrap(),
            number: number(2),
        },
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn what_a_killed_process_had_acknowledged_is_there() {
    for heard_before in [20, 90, 250] {
        let directory = tempfile::tempdir().unwrap();
        let (mut child, lines) = start(&file(&directory), "until killed");
        let mut said = Vec::new();
        for line in lines {
            // A line may have been cut by the kill, so it is not said.
            let Ok(line) = line else { break };
            said.extend(heard(&line));
            if said.len() == heard_before {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(said.len() >= heard_before);

        let store = open(&directory, options()).await;
        let number = store.position().await.unwrap().number(Partition(0));
        for said in &said {
            match said {
                Said::Bound { page, .. } | Said::Superseded { page, .. } => {
                    let tags = tags_of(&store, &format!("/{page}")).await;
                    assert!(tags.is_some_and(|tags| tags.contains("shared")), "{said:?}");
                }
                Said::Revalidated { id, number: made } => {
                    let receipt = store.receipt(id).await.unwrap().unwrap();
                    assert_eq!(receipt.position.unwrap().number(Partition(0)), *made);
                    assert!(*made <= number, "{said:?} of {number}");
                }
            }
        }
        drop(store);
        assert_whole(&file(&directory));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_bind_and_revalidate_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&directory, options()).await);
    let start_position = store.position().await.unwrap();
    let (mut child, lines) = start(&file(&directory), "beside others");
    let listening = tokio::task::spawn_blocking(move || {
        lines
            .map_while(Result::ok)
            .filter_map(|line| heard(&line))
            .collect::<Vec<_>>()
    });
    let mut ours = BTreeSet::new();
    while !listening.is_finished() {
        let receipt = revalidate(&*store, &["shared"]).await;
        let number = receipt.position.unwrap().number(Partition(0));
        assert!(
            ours.last().is_none_or(|last| *last < number),
            "{number} does not come after {ours:?}"
        );
        ours.insert(number);
    }
    let said = listening.await.unwrap();
    assert!(child.wait().unwrap().success());

    let mut theirs = BTreeSet::new();
    let (mut bound, mut superseded) = (0, 0);
    for said in said {
        match said {
            Said::Revalidated { number, .. } => assert!(theirs.insert(number)),
            Said::Bound {
                page,
                taken,
                current,
            } => {
                bound += 1;
                let missed = revalidated_between(&ours, taken, current);
                assert_eq!(
                    missed, None,
                    "page {page}, taken at {taken}, was bound at {current}"
                );
            }
            Said::Superseded {
                page: n,
                taken,
                current,
            } => {
                superseded += 1;
                assert!(
                    revalidated_between(&ours, taken, current).is_some(),
                    "page {n} at {taken}..={current}"
                );
                assert!(
                    store
                        .tags_for(&page(&format!("/{n}")))
                        .await
                        .unwrap()
                        .is_some()
                );
            }
        }
    }
    assert_eq!(bound + superseded, ROUNDS);
    assert_eq!(theirs.len() as u64, ROUNDS);
    assert!(
        ours.is_disjoint(&theirs),
        "two revalidations have one number"
    );
    let all: BTreeSet<u64> = ours.union(&theirs).copied().collect();
    assert!(
        all.iter().copied().eq(1..=all.len() as u64),
        "the numbers have a gap: {all:?}"
    );
    let news = store.news_since(&start_position, usize::MAX).await.unwrap();
    assert!(news.heard.iter().map(|heard| heard.number).eq(all));
    assert_eq!(
        store.depth().await.unwrap().pages,
        superseded,
        "each superseded page is queued again"
    );
    drop(store);
    assert_whole(&file(&directory));
}

/// A number after `taken` and up to `current`.
fn revalidated_between(numbers: &BTreeSet<u64>, taken: u64, current: u64) -> Option<u64> {
    numbers
        .iter()
        .copied()
        .find(|number| (taken + 1..=current).contains(number))
}

#[tokio::test]
async fn a_reader_sees_what_another_handle_wrote_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let one = open(&directory, options()).await;
    let other = open(&directory, options()).await;
    for n in 0..20 {
        let taken = generation(&other, "/").await;
        let position = revalidate(&one, &["a"]).await.position.unwrap();
        assert_eq!(other.position().await.unwrap(), position, "round {n}");
        let outcome = bind_one(&other, bind("/", &["a"], taken)).await;
        assert!(
            matches!(outcome, BindOutcome::Superseded { .. }),
            "round {n}: {outcome:?}"
        );
    }
}
