//! Counting what there is, and collecting what has ended.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use isr_core::{Collected, GraphStatistics, Partition, StoreError, Tag};

use super::RedisStore;
use super::error::corrupt;
use super::link::Lane;
use super::receipts::collect_receipts;
use super::scripts::{COLLECT, STATISTICS};

/// The most steps of one collection, so that it ends soon even where little is left.
const STEPS: usize = 64;

/// Of one partition: pages, tags, pairs, its number, and its largest tags.
type Counts = (u64, u64, u64, u64, Vec<(String, u64)>);

impl RedisStore {
    /// A tag with pages in several partitions is counted once where it is among the largest of each;
    /// the others are too many to compare, and count in every partition.
    pub(super) async fn count(&self, most: usize) -> Result<GraphStatistics, StoreError> {
        let (_, counts): (_, Vec<Counts>) = self.run_everywhere(&STATISTICS, |_, _, _| {}).await?;
        let mut statistics = GraphStatistics::default();
        let mut sizes: BTreeMap<Tag, u64> = BTreeMap::new();
        for (pages, tags, edges, number, largest) in counts {
            statistics.pages += pages;
            statistics.tags += tags;
            statistics.edges += edges;
            statistics.generations.push(number);
            for (name, size) in largest {
                let known = sizes.entry(name.parse().map_err(corrupt)?).or_default();
                if *known > 0 {
                    statistics.tags = statistics.tags.saturating_sub(1);
                }
                *known += size;
            }
        }
        let mut largest: Vec<(Tag, u64)> = sizes.into_iter().collect();
        largest.sort_by(|(a, pages), (b, more)| more.cmp(pages).then_with(|| a.cmp(b)));
        largest.truncate(most);
        statistics.largest_tags = largest;
        Ok(statistics)
    }

    pub(super) async fn collect(&self, limit: usize) -> Result<Collected, StoreError> {
        let mut collected = collect_receipts(self).await?;
        let mut looked_at = 0;
        for _ in 0..STEPS {
            let partition = self.collecting.load(Ordering::Relaxed);
            let (some, edges, pages, at_end): (usize, u64, u64, bool) = self
                .run(Lane::Bulk, Partition(partition), &COLLECT, |_, _| {})
                .await?;
            looked_at += some;
            collected.edges += edges;
            collected.pages += pages;
            if at_end {
                let next = (partition + 1) % self.options.partitions;
                self.collecting.store(next, Ordering::Relaxed);
                if next == 0 {
                    return Ok(collected);
                }
            }
            if looked_at >= limit {
                break;
            }
        }
        Ok(Collected {
            more: true,
            ..collected
        })
    }
}
