//! A store is compared with that in memory, by doing the same to both and comparing every answer.
//!
//! What the contract leaves to the store is taken out before answers are compared: the order of pages in
//! a chunk, what a cursor or the proof of a claim looks like, the name of the store's history, how many
//! partitions there are, which of several jobs that became due at one moment comes first,
//! how many targets are told apart beyond the least.

mod generate;
mod look;
mod operation;
mod side;
mod subject;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use isr_graph::MemoryStore;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tokio::runtime::Runtime;

use self::operation::{Aim, Case, Kind, Look, Name, Operation, PAGES, TAGS, Wanted, When};
use self::side::{Side, TakenJob};
pub use self::subject::{Loss, Memory, Room, Subject};

/// How many cases are run instead of the usual number. Each run of so many tries others.
const CASES: &str = "STORE_MODEL_CASES";

/// What passes between two steps, so that no two of them are of one moment.
const STEP: Duration = Duration::from_millis(1);

/// What a store remembers that has little room: fewer revalidations and targets than a case has.
const FEW: usize = 3;

/// More than a case has.
const MANY: usize = 1_000;

/// More jobs than a case has.
const ALL: usize = 100;

/// How a store is compared.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// Cases of an everyday run, always the same ones.
    pub cases: u32,
    /// Revalidations and pages that may wait, each.
    pub queue: usize,
    /// Whether jobs are claimed in the order in which they are due, those of all partitions together.
    pub in_order: bool,
}

/// Runs random cases on fresh stores and on as many in memory.
///
/// # Panics
///
/// When answers differ, with the shortest case found that shows it.
pub fn compare(
    comparison: &Comparison,
    runtime: &Runtime,
    fresh: impl AsyncFn(Room) -> Box<dyn Subject>,
) {
    let asked = std::env::var(CASES).ok();
    let asked = asked.map(|count| count.parse().expect("STORE_MODEL_CASES is a number"));
    let seed = match asked {
        Some(_) => RngSeed::Random,
        None => RngSeed::Fixed(0),
    };
    let config = Config {
        cases: asked.unwrap_or(comparison.cases),
        rng_seed: seed,
        failure_persistence: None,
        max_shrink_iters: 5_000,
        ..Config::default()
    };
    let difference = |is_narrow: bool, operations: &[Operation]| {
        let few = if is_narrow { FEW } else { MANY };
        let room = Room {
            history: few,
            targets: few,
            queue: comparison.queue,
        };
        runtime.block_on(async {
            let mut pair = Pair::new(comparison, room, fresh(room).await).await;
            pair.run(operations).await
        })
    };
    let failed = TestRunner::new(config).run(&generate::cases(), |case| {
        difference(case.is_narrow, &case.operations)
            .map_or(Ok(()), |difference| Err(TestCaseError::fail(difference)))
    });
    match failed {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => {
            let Case {
                is_narrow,
                operations,
            } = case;
            let (operations, found) =
                shorten(operations, |operations| difference(is_narrow, operations));
            let found = found.unwrap_or_else(|| reason.to_string());
            let room = if is_narrow { "little" } else { "much" };
            panic!(
                "{found}\nwith {room} room, after:\n{}",
                listing(&operations)
            )
        }
        Err(aborted) => panic!("{aborted}"),
    }
}

/// Leaves out every step without which there is a difference still. What found the case has tried that
/// before it made the steps themselves simpler, and not again.
fn shorten(
    mut operations: Vec<Operation>,
    difference: impl Fn(&[Operation]) -> Option<String>,
) -> (Vec<Operation>, Option<String>) {
    let mut found = None;
    loop {
        let before = operations.len();
        for at in (0..before).rev() {
            let mut fewer = operations.clone();
            fewer.remove(at);
            if let Some(difference) = difference(&fewer) {
                (operations, found) = (fewer, Some(difference));
            }
        }
        if operations.len() == before {
            return (operations, found);
        }
    }
}

fn listing(operations: &[Operation]) -> String {
    operations
        .iter()
        .fold(String::new(), |mut text, operation| {
            let _ = writeln!(text, "    {operation:?},");
            text
        })
}

/// A store, and that in memory beside it.
struct Pair {
    model: Side,
    real: Side,
    memory: Arc<MemoryStore>,
    room: Room,
    in_order: bool,
    /// Whether several jobs may be due at one moment.
    is_tied: bool,
    /// Whether a revalidation waits for its time. When several begin at once, they are due at one moment.
    is_one_scheduled: bool,
}

impl Pair {
    async fn new(comparison: &Comparison, room: Room, real: Box<dyn Subject>) -> Self {
        let model = Memory::new(room, 1);
        Self {
            memory: model.store(),
            model: Side::new(Box::new(model)).await,
            real: Side::new(real).await,
            room,
            in_order: comparison.in_order,
            is_tied: false,
            is_one_scheduled: false,
        }
    }

    /// The first difference between the two.
    async fn run(&mut self, operations: &[Operation]) -> Option<String> {
        for operation in operations {
            if let Some(difference) = self.step(operation).await {
                return Some(difference);
            }
            // Whether receipts that are kept no longer are gone already is left to the store.
            let is_long = matches!(operation, Operation::Pass(time) if time.as_secs() > 3_600);
            if is_long && let Some(difference) = self.step(&Operation::Collect { limit: 9 }).await {
                return Some(difference);
            }
        }
        for look in looks() {
            let difference = self.step(&Operation::Look(look)).await;
            if difference.is_some() {
                return difference;
            }
        }
        None
    }

    async fn step(&mut self, operation: &Operation) -> Option<String> {
        self.model.pass(STEP).await;
        self.real.pass(STEP).await;
        if let Operation::Claim {
            kind,
            worker,
            limit,
            lease,
        } = operation
        {
            return self.claim(*kind, worker, *limit, *lease).await;
        }
        let schedules = matches!(operation, Operation::Invalidate { wait: Some(_), .. });
        self.is_tied |= operation.may_tie() || schedules && self.is_one_scheduled;
        self.is_one_scheduled |= schedules;
        let model = self.model.act(operation).await;
        let real = self.real.act(operation).await;
        let difference = different(operation, &model, &real);
        let moves = matches!(operation, Operation::Invalidate { .. });
        if moves && difference.is_none() {
            return self.follow_the_floor().await;
        }
        difference
    }

    /// How many targets a store tells apart beyond the least is left to it; those that it does not are taken for
    /// one by the store in memory too.
    async fn follow_the_floor(&mut self) -> Option<String> {
        let floor = self.real.floor().await;
        let newest = floor.stale.max(floor.expired);
        if newest > 0 {
            let told_apart = self.model.targets_since(newest).await;
            if told_apart < self.room.targets {
                return Some(format!(
                    "the floor of the other store is {floor:?}, and so it tells {told_apart} targets apart"
                ));
            }
        }
        self.memory.raise_floor(floor);
        None
    }

    async fn claim(
        &mut self,
        kind: Kind,
        worker: &str,
        limit: usize,
        lease: Duration,
    ) -> Option<String> {
        let what = format!("{kind:?} claimed by {worker:?}, at most {limit}");
        let model = self.model.claim(kind, worker, limit, lease).await;
        let real = self.real.claim(kind, worker, limit, lease).await;
        let (Ok(mut model), Ok(mut real)) = (model, real) else {
            return Some(format!("{what}: a store does not answer"));
        };
        let is_free = self.is_tied || !self.in_order && kind == Kind::Pages;
        if is_free {
            if model.len() != real.len() {
                return different(&what, &show(&model), &show(&real));
            }
            self.agree(kind, worker, lease, &mut model, &mut real).await;
        }
        self.is_tied |= model.len() > 1;
        let difference = different(&what, &show(&model), &show(&real));
        self.model.remember(kind, model);
        self.real.remember(kind, real);
        // Those whose time has come begin when some are claimed.
        if difference.is_none() {
            return self.follow_the_floor().await;
        }
        difference
    }

    /// Where the stores were free to choose, what one of them chose and the other did not is claimed as
    /// well.
    async fn agree(
        &self,
        kind: Kind,
        worker: &str,
        lease: Duration,
        model: &mut Vec<TakenJob>,
        real: &mut Vec<TakenJob>,
    ) {
        if keys(model) != keys(real) {
            let rest = self.model.claim(kind, worker, ALL, lease).await;
            model.extend(rest.unwrap_or_default());
            let rest = self.real.claim(kind, worker, ALL, lease).await;
            real.extend(rest.unwrap_or_default());
        }
        model.sort_by(|one, other| one.key.cmp(&other.key));
        real.sort_by(|one, other| one.key.cmp(&other.key));
    }
}

fn different(what: &impl std::fmt::Debug, model: &str, real: &str) -> Option<String> {
    (model != real)
        .then(|| format!("to {what:?}\nthe store in memory answers: {model}\nthe other: {real}"))
}

fn keys(taken: &[TakenJob]) -> BTreeSet<&str> {
    taken.iter().map(|taken| taken.key.as_str()).collect()
}

fn show(taken: &[TakenJob]) -> String {
    let shown: Vec<&str> = taken.iter().map(|taken| taken.shown.as_str()).collect();
    shown.join("\n")
}

/// All that can be asked in the end.
fn looks() -> impl Iterator<Item = Look> {
    let tags = TAGS.iter().map(|tag| Aim::Tags(vec![tag]));
    let walks = tags.chain([Aim::Everything]);
    [
        Look::Position,
        Look::Beginning,
        Look::Depth,
        Look::Statistics,
        Look::Senders,
        Look::DeadLetters { limit: 2 },
        Look::Receipts {
            wanted: Wanted::default(),
            limit: 3,
        },
        Look::News {
            after: When::Before(100),
            limit: 3,
        },
        Look::Outstanding {
            at: When::Before(1),
        },
        Look::Outstanding { at: When::Now },
    ]
    .into_iter()
    .chain(PAGES.iter().map(|page| Look::TagsFor(page)))
    .chain(walks.map(|target| Look::UrlsFor { target, limit: 3 }))
    .chain((0..3).map(|name| Look::Receipt(Name(name))))
    .chain(PAGES.iter().map(|page| Look::PageJob(page)))
    .chain(PAGES.iter().map(|page| Look::Standing(page)))
    .chain([Look::History {
        page: PAGES[0],
        limit: 3,
    }])
}
