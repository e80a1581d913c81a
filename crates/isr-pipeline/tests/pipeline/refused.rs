//! Calls that a tier refuses as a whole, over some of the targets in them.

use std::num::NonZeroUsize;

use isr_core::{Ability, Capabilities, Phase, Receipt, Target};
use isr_pipeline::WorkerOptions;

use crate::support::{Running, World, alone, by_url, page, unwarmed};

/// What became of a tag of many pages, and of another tag whose page shares its calls.
struct Choked {
    receipt: Receipt,
    other: Receipt,
    /// Every page that was purged, as often as it was.
    purged: Vec<String>,
}

/// Revalidates a tag of so many pages, and another, at a tier that refuses each call with a bad page in it.
async fn choked(can: Capabilities, pages: usize, is_bad: impl Fn(usize) -> bool) -> Choked {
    let mut world = World::new();
    let cdn = world.tier("cdn", can);
    for n in 0..pages {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    world.bind("/other", &["other"]).await;
    let bad = (0..pages).filter(|n| is_bad(*n));
    *cdn.chokes_on.lock() = bad.map(|n| Target::Url(page(&format!("/{n}")))).collect();
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let other = world.revalidate_with(&["other"], unwarmed()).await;
    let together = WorkerOptions {
        coalesce: std::time::Duration::from_secs(1),
        ..alone("one")
    };
    let worker = Running::start(world.worker_with(together));
    let receipt = world.done(&receipt).await;
    let other = world.done(&other).await;
    worker.stop().await;
    let journal = world.journal();
    let pages = journal.iter().flat_map(|line| line.split(' ').skip(2));
    Choked {
        receipt,
        other,
        purged: pages.map(str::to_owned).collect(),
    }
}

fn in_calls_of(items: usize) -> Capabilities {
    let items = NonZeroUsize::new(items).unwrap();
    Capabilities {
        url: Some(Ability::UNLIMITED.in_batches_of(items)),
        ..by_url()
    }
}

/// All but the bad are purged, once, and the bad are named.
fn assert_only_the_bad_are_left(mut seen: Choked, pages: usize, is_bad: impl Fn(usize) -> bool) {
    let phases = (seen.receipt.phase, seen.other.phase);
    assert_eq!(phases, (Phase::Failed, Phase::Done));
    let good = (0..pages).filter(|n| !is_bad(*n));
    let mut expected: Vec<String> = good.map(|n| format!("/{n}")).collect();
    expected.push("/other".to_owned());
    expected.sort_unstable();
    seen.purged.sort_unstable();
    assert_eq!(seen.purged, expected);
    let cdn = &seen.receipt.tiers[0];
    let bad = (0..pages).filter(|n| is_bad(*n)).count() as u64;
    assert_eq!((cdn.accepted, cdn.rejected), (pages as u64 - bad, bad));
    assert!(seen.receipt.error.unwrap().contains("cdn refused"));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_made_again_without_what_it_was_refused_over() {
    for bad in [&[70][..], &[0], &[0, 1, 99], &[0, 1, 2, 3, 4, 5, 6, 7]] {
        let is_bad = |n| bad.contains(&n);
        let seen = choked(by_url(), 100, is_bad).await;
        // Halving finds each in twice as many calls as the number of pages has binary digits.
        let calls = seen.receipt.tiers[0].calls;
        assert!(calls <= 1 + 14 * bad.len() as u64, "{calls} calls");
        assert_only_the_bad_are_left(seen, 100, is_bad);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_target_alone_in_its_call_keeps_no_other_call_from_being_made() {
    let is_bad = |n| n == 3 || n == 700;
    let seen = choked(in_calls_of(1), 1_000, is_bad).await;
    assert_only_the_bad_are_left(seen, 1_000, is_bad);
}

#[tokio::test(start_paused = true)]
async fn where_half_of_a_call_is_bad_the_calls_made_for_it_are_bounded() {
    let seen = choked(by_url(), 2_000, |n| n >= 1_000).await;
    assert_eq!(seen.receipt.phase, Phase::Failed);
    let cdn = &seen.receipt.tiers[0];
    assert!(cdn.calls <= 2 * 257, "{} calls", cdn.calls);
    assert_eq!(cdn.accepted + cdn.rejected, 2_000);
    assert!(cdn.rejected >= 1_000);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_throughout_is_given_up_on_before_every_page_was_asked_for() {
    let seen = choked(in_calls_of(10), 10_000, |_| true).await;
    assert_eq!((seen.receipt.phase, seen.purged.len()), (Phase::Failed, 1));
    let cdn = &seen.receipt.tiers[0];
    assert_eq!(cdn.accepted, 0);
    assert!(cdn.rejected < 10_000, "{} of 10,000", cdn.rejected);
}
