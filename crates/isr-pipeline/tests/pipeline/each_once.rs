//! What several targets of a revalidation lead to is asked for once.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::support::{World, by_url, unwarmed};
use isr_core::{Ability, Capabilities, Phase};

#[tokio::test(start_paused = true)]
async fn pages_of_two_tags_are_purged_and_counted_once() {
    // More than are asked for at once, so that the second tag is walked while those of the first are under way.
    for pages in [3, 600, 2_500] {
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
        let mut expected: Vec<String> = (0..pages).map(|n| format!("/{n}")).collect();
        for path in &expected {
            world.bind(path, &["posts", "recent"]).await;
        }
        let worker = world.start("one");
        let receipt = world
            .revalidate_with(&["posts", "recent"], unwarmed())
            .await;
        let done = world.done(&receipt).await;
        let journal = world.journal();
        let mut purged: Vec<String> = journal
            .iter()
            .flat_map(|line| line.split(' ').skip(2).map(str::to_owned))
            .collect();
        purged.sort_unstable();
        expected.sort_unstable();
        assert_eq!(purged, expected);
        assert_eq!((done.phase, done.settled), (Phase::Done, true));
        let tier = &done.tiers[0];
        let fewest = usize::div_ceil(pages, 10);
        assert_eq!(journal.len(), fewest);
        assert_eq!((tier.calls, tier.accepted), (fewest as u64, pages as u64));
        worker.stop().await;
    }
}
