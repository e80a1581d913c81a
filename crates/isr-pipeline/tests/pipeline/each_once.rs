//! What several targets of a revalidation lead to is asked for once.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::support::{World, by_url, unwarmed};
use isr_core::{Ability, Capabilities, Phase, RevalidateOptions};

/// Pages of two tags each are purged `times` times, and no more.
async fn purged(pages: usize, options: RevalidateOptions, times: usize) {
    let mut world = World::new();
    let ten = NonZeroUsize::new(10).unwrap();
    let tier = world.tier(
        "cdn",
        Capabilities {
            url: Some(Ability::UNLIMITED.in_batches_of(ten)),
            concurrency: NonZeroUsize::new(4).unwrap(),
            ..by_url()
        },
    );
    *tier.latency.lock() = Duration::from_secs(1);
    let paths: Vec<String> = (0..pages).map(|n| format!("/{n}")).collect();
    for path in &paths {
        world.bind(path, &["posts", "recent"]).await;
    }
    let worker = world.start("one");
    let receipt = world.revalidate_with(&["posts", "recent"], options).await;
    let done = world.done(&receipt).await;
    let journal = world.journal();
    let mut purged: Vec<&str> = journal
        .iter()
        .flat_map(|line| line.split(' ').skip(2))
        .collect();
    purged.sort_unstable();
    let mut expected: Vec<&str> = paths.iter().map(String::as_str).collect();
    expected = expected.repeat(times);
    expected.sort_unstable();
    assert_eq!(purged, expected);
    assert_eq!((done.phase, done.settled), (Phase::Done, true));
    let tier = &done.tiers[0];
    let fewest = times * usize::div_ceil(pages, 10);
    assert_eq!(journal.len(), fewest);
    let accepted = (times * pages) as u64;
    assert_eq!((tier.calls, tier.accepted), (fewest as u64, accepted));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pages_of_two_tags_are_purged_and_counted_once() {
    // More than are asked for at once, so that the second tag is walked while those of the first are under way.
    for pages in [3, 600, 2_500] {
        purged(pages, unwarmed(), 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_purge_purges_pages_of_two_tags_once_more_and_not_twice() {
    let options = RevalidateOptions {
        second_purge: Some(Duration::from_secs(1)),
        ..unwarmed()
    };
    purged(2_500, options, 2).await;
}
