//! What comes between the partitions of a revalidation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{Partition, RevalidationId, StoreError};
use isr_graph::BetweenPartitions;
use rand::RngExt;

use crate::fault::Fault;
use crate::link::{caller, unavailable};
use crate::net::Net;
use crate::random::{below, stream};

/// The most partitions that a store has.
const MOST_PARTITIONS: u16 = 3;

/// How many partitions the store has.
pub(crate) fn partitions(seed: u64) -> u16 {
    stream(seed, "partitions", 0).random_range(1..=MOST_PARTITIONS)
}

/// As the process that asked for a revalidation brings it to each partition, it is slow, stands still, crashes,
/// or does not reach the next one.
#[derive(Debug, Default)]
pub(crate) struct Tearing {
    net: OnceLock<Weak<Net>>,
    steps: AtomicU64,
}

impl Tearing {
    /// From now on it happens; before there is nothing yet to which it could.
    pub(crate) fn begin(&self, net: &Arc<Net>) {
        let _ = self.net.set(Arc::downgrade(net)); // once for each world
    }
}

#[async_trait]
impl BetweenPartitions for Tearing {
    async fn before(&self, id: &RevalidationId, partition: Partition) -> Result<(), StoreError> {
        let Some(net) = self.net.get().and_then(Weak::upgrade) else {
            return Ok(());
        };
        net.truth.look_for_begun();
        let number = self.steps.fetch_add(1, Ordering::Relaxed);
        let mut random = stream(net.seed, "between", number);
        let (short, long) = (below(&mut random, 20), below(&mut random, 1_500));
        let late = match random.random_range(0..8) {
            0 => long,
            1 | 2 => short,
            _ => Duration::ZERO,
        };
        let drawn = random.random_bool(0.1);
        if net.strikes(Fault::LatePartition, !late.is_zero()) {
            tokio::time::sleep(late).await;
        }
        let mut cut_off = net.store_away_for();
        if let Some(host) = caller() {
            host.awake().await;
            if host.crashes_at(true).is_some() {
                let what = "all partitions have a revalidation";
                net.crash(&host, what, "before").await;
            }
            cut_off = cut_off.max(host.cut_off_for());
        }
        if net.strikes(Fault::TornRevalidation, drawn || !cut_off.is_zero()) {
            let (name, partition) = (net.truth.name(id), partition.0);
            net.truth.journal.note(format_args!(
                "revalidation {name} does not come to partition {partition}"
            ));
            return Err(unavailable("a partition does not answer"));
        }
        Ok(())
    }
}
