//! Random operations. What comes first in a choice is what a failing case is shortened to.

use std::time::Duration;

use isr_core::{Mode, PageReason, Phase};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::Loss;
use super::operation::{
    Aim, BUCKETS, Back, Case, Kind, Left, Look, Name, Operation, PAGES, PROCESSES, Queued,
    Rendered, TAGS, Wanted, When,
};

/// The most steps of a case.
const STEPS: usize = 60;

/// Different revalidations of a case.
const NAMES: u8 = 10;

/// A case: what is done, step by step.
pub(super) fn cases() -> impl Strategy<Value = Case> {
    (any::<bool>(), vec(operation(), 1..STEPS)).prop_map(|(is_narrow, operations)| Case {
        is_narrow,
        operations,
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => passing().prop_map(Operation::Pass),
        5 => few(rendered()).prop_map(Operation::Bind),
        1 => few(select(&PAGES)).prop_map(Operation::Unbind),
        5 => invalidate(),
        4 => (few(queued()), delay())
            .prop_map(|(pages, delay)| Operation::QueuePages { pages, delay }),
        6 => claim(),
        5 => on_claims(),
        2 => elsewhere(),
        2 => losing(),
        6 => look().prop_map(Operation::Look),
    ]
}

fn invalidate() -> impl Strategy<Value = Operation> {
    let wait = prop_oneof![
        3 => Just(None),
        1 => select(&[0, 20, 45, 366 * 86_400, 367 * 86_400])
            .prop_map(|seconds| Some(Duration::from_secs(seconds))),
    ];
    (name(), aim(), mode(), wait).prop_map(|(name, targets, mode, wait)| Operation::Invalidate {
        name,
        targets,
        mode,
        wait,
    })
}

fn claim() -> impl Strategy<Value = Operation> {
    let kind = prop_oneof![1 => Just(Kind::Pages), 1 => Just(Kind::Revalidations)];
    (kind, select(&PROCESSES), select(&[1, 2, 9]), lease()).prop_map(
        |(kind, worker, limit, lease)| Operation::Claim {
            kind,
            worker,
            limit,
            lease,
        },
    )
}

/// What is done with claims, whether they hold or are lost.
fn on_claims() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => few((back(), left())).prop_map(Operation::LeavePages),
        3 => (back(), left()).prop_map(|(claim, how)| Operation::Leave { claim, how }),
        // Most claims are lost soon, so this is that of the newest.
        4 => Just(Operation::Leave { claim: Back(0), how: Left::Held }),
        1 => (few(back()), lease())
            .prop_map(|(claims, lease)| Operation::RenewPages { claims, lease }),
        1 => (back(), 0..3_u32, lease())
            .prop_map(|(claim, looks, lease)| Operation::Save { claim, looks, lease }),
        1 => select(&PROCESSES).prop_map(Operation::HandBack),
        1 => few(select(&PAGES)).prop_map(Operation::ReplayPages),
        1 => few(name()).prop_map(Operation::ReplayRevalidations),
        1 => name().prop_map(Operation::Cancel),
        2 => back().prop_map(Operation::Release),
        4 => Just(Operation::Release(Back(0))),
    ]
}

fn elsewhere() -> impl Strategy<Value = Operation> {
    let patience = select(&[0, 10, 100]).prop_map(Duration::from_secs);
    prop_oneof![
        select(&[1, 3, 100]).prop_map(|limit| Operation::Collect { limit }),
        (select(&PROCESSES), when(), lease()).prop_map(|(sender, clean, lease)| {
            Operation::Report {
                sender,
                clean,
                lease,
            }
        }),
        select(&PROCESSES).prop_map(Operation::Dismiss),
        (select(&BUCKETS), 1..5_u32, patience).prop_map(|(bucket, tokens, patience)| {
            Operation::Take {
                bucket,
                tokens,
                patience,
            }
        }),
        (select(&BUCKETS), delay()).prop_map(|(bucket, pause)| Operation::Pause { bucket, pause }),
    ]
}

fn losing() -> impl Strategy<Value = Operation> {
    prop_oneof![
        Just(Operation::Lose(Loss::Certainty)),
        Just(Operation::Keep),
        Just(Operation::Lose(Loss::SinceSaved)),
        when().prop_map(Operation::DealWith),
    ]
}

fn look() -> impl Strategy<Value = Look> {
    let limit = || select(&[1, 2, 3, 100]);
    prop_oneof![
        Just(Look::Position),
        Just(Look::Beginning),
        Just(Look::Depth),
        Just(Look::Statistics),
        Just(Look::Senders),
        limit().prop_map(|limit| Look::DeadLetters { limit }),
        (wanted(), limit()).prop_map(|(wanted, limit)| Look::Receipts { wanted, limit }),
        name().prop_map(Look::Receipt),
        select(&PAGES).prop_map(Look::TagsFor),
        (aim(), limit()).prop_map(|(target, limit)| Look::UrlsFor { target, limit }),
        (when(), limit()).prop_map(|(after, limit)| Look::News { after, limit }),
        when().prop_map(|at| Look::Outstanding { at }),
        select(&PAGES).prop_map(Look::Standing),
        (select(&PAGES), limit()).prop_map(|(page, limit)| Look::History { page, limit }),
        select(&PAGES).prop_map(Look::PageJob),
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let phases = [
        Phase::Queued,
        Phase::Scheduled,
        Phase::Held,
        Phase::Cancelled,
    ];
    let time = || {
        let seconds = select(&[10, 30, 60, 86_430]).prop_map(Duration::from_secs);
        prop_oneof![3 => Just(None), 1 => seconds.prop_map(Some)]
    };
    let tag = prop_oneof![2 => Just(None), 1 => select(&TAGS).prop_map(Some)];
    (subsequence(phases.to_vec(), 0..3), tag, time(), time()).prop_map(
        |(phases, tag, since, until)| Wanted {
            phases,
            tag,
            since,
            until,
        },
    )
}

fn rendered() -> impl Strategy<Value = Rendered> {
    let tags = subsequence(&TAGS[..], 0..4);
    (select(&PAGES), any::<bool>(), tags, when(), lifetime()).prop_map(
        |(page, variant, tags, when, lifetime)| Rendered {
            page,
            variant,
            tags,
            when,
            lifetime,
        },
    )
}

fn queued() -> impl Strategy<Value = Queued> {
    let reason = select(&[PageReason::InFlight, PageReason::Superseded]);
    (select(&PAGES), when(), reason).prop_map(|(page, when, reason)| Queued { page, when, reason })
}

fn aim() -> impl Strategy<Value = Aim> {
    prop_oneof![
        4 => subsequence(&TAGS[..], 1..3).prop_map(Aim::Tags),
        2 => select(&PAGES).prop_map(Aim::Url),
        2 => select(&PAGES).prop_map(Aim::Prefix),
        1 => select(&["a.example", "b.example", "c.example"]).prop_map(Aim::Host),
        1 => Just(Aim::Everything),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        6 => Just(When::Now),
        6 => (1..7_u64).prop_map(When::Before),
        1 => (1..3_u64).prop_map(When::After),
        1 => (0..3_u64).prop_map(When::OtherEpoch),
        1 => (0..3_u64).prop_map(When::LastEpoch),
    ]
}

fn left() -> impl Strategy<Value = Left> {
    prop_oneof![
        3 => Just(Left::Done),
        2 => (delay(), any::<bool>()).prop_map(|(delay, failed)| Left::Later { delay, failed }),
        2 => Just(Left::Dead),
        1 => Just(Left::Held),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    select(&[Mode::Soft, Mode::Hard])
}

fn name() -> impl Strategy<Value = Name> {
    (0..NAMES).prop_map(Name)
}

fn back() -> impl Strategy<Value = Back> {
    (0..5_usize).prop_map(Back)
}

/// Mostly one, so that it is mostly clear which job is due first.
fn few<T: std::fmt::Debug + 'static>(
    one: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<T>> {
    let one = one.boxed();
    prop_oneof![3 => vec(one.clone(), 1), 1 => vec(one, 2..4)]
}

/// Steps of ten seconds, in the midst of which the shorter lifetimes end: a store may keep a pair for up
/// to two seconds longer. After the odd one, what was put off just before is due at this very moment. A
/// day is how long receipts are kept, and a month is longer than those of what was given up on are.
fn passing() -> impl Strategy<Value = Duration> {
    prop_oneof![
        6 => Just(Duration::from_secs(10)),
        3 => Just(Duration::from_secs(30)),
        1 => Just(Duration::from_millis(9_998)),
        1 => Just(Duration::from_hours(24)),
        1 => Just(Duration::from_hours(31 * 24)),
    ]
}

fn lifetime() -> impl Strategy<Value = Duration> {
    select(&[3_605, 25, 5, 0]).prop_map(Duration::from_secs)
}

fn lease() -> impl Strategy<Value = Duration> {
    select(&[30, 10]).prop_map(Duration::from_secs)
}

fn delay() -> impl Strategy<Value = Duration> {
    select(&[0, 10, 30]).prop_map(Duration::from_secs)
}
