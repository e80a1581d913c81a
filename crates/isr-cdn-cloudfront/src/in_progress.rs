//! What CloudFront is busy with.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::capabilities::{PATHS_IN_PROGRESS, WILDCARDS_IN_PROGRESS};

/// After how long an invalidation counts as carried out though nobody has asked: 95 of 100 are within
/// 25 seconds (AWS, "What's New" of April 2026, read 2026-11-22). Where that is too early, CloudFront
/// itself says that it has too much to do.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// The invalidations that this process has started and that are not known to be complete.
///
/// What others have started is not among them, so CloudFront may still say that it is too much.
#[derive(Debug, Default)]
pub(crate) struct InProgress(HashMap<Uuid, Started>);

#[derive(Debug)]
struct Started {
    paths: usize,
    wildcards: usize,
    at: Instant,
    /// CloudFront's name for it, once it has answered.
    reference: Option<String>,
}

/// There is no room for another invalidation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) paths: usize,
    pub(crate) wildcards: usize,
}

impl InProgress {
    /// Makes room for a batch. One that was sent before takes its old place, and whatever comes when
    /// nothing is in progress is for CloudFront to judge.
    pub(crate) fn begin(
        &mut self,
        batch: Uuid,
        paths: usize,
        wildcards: usize,
        now: Instant,
    ) -> Result<(), Full> {
        self.0
            .retain(|_, started| now.saturating_duration_since(started.at) < FORGOTTEN_AFTER);
        let others = || {
            self.0
                .iter()
                .filter(|(id, _)| **id != batch)
                .map(|(_, s)| s)
        };
        let (busy_paths, busy_wildcards) = others().fold((0, 0), |(paths, wildcards), started| {
            (paths + started.paths, wildcards + started.wildcards)
        });
        let too_much = busy_paths + paths > PATHS_IN_PROGRESS
            || busy_wildcards + wildcards > WILDCARDS_IN_PROGRESS;
        if too_much && others().next().is_some() {
            return Err(Full {
                paths: busy_paths,
                wildcards: busy_wildcards,
            });
        }
        let started = Started {
            paths,
            wildcards,
            at: now,
            reference: None,
        };
        self.0.insert(batch, started);
        Ok(())
    }

    /// CloudFront has taken a batch on, under a name.
    pub(crate) fn accepted(&mut self, batch: Uuid, reference: &str) {
        if let Some(started) = self.0.get_mut(&batch) {
            started.reference = Some(reference.to_owned());
        }
    }

    /// CloudFront has not taken a batch on.
    pub(crate) fn not_accepted(&mut self, batch: Uuid) {
        self.0.remove(&batch);
    }

    /// An invalidation is complete.
    pub(crate) fn complete(&mut self, reference: &str) {
        self.0
            .retain(|_, started| started.reference.as_deref() != Some(reference));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u128) -> Vec<Uuid> {
        (1..=count).map(Uuid::from_u128).collect()
    }

    #[test]
    fn there_is_room_up_to_the_limits_and_again_after_completion() {
        let (now, ids, mut busy) = (Instant::now(), ids(4), InProgress::default());
        assert_eq!(busy.begin(ids[0], 2_000, 14, now), Ok(()));
        busy.accepted(ids[0], "I1");
        let full = Err(Full {
            paths: 2_000,
            wildcards: 14,
        });
        assert_eq!(busy.begin(ids[1], 1_001, 0, now), full);
        assert_eq!(busy.begin(ids[1], 0, 2, now), full);
        assert_eq!(busy.begin(ids[1], 1_000, 1, now), Ok(()));
        assert!(busy.begin(ids[2], 1, 0, now).is_err());
        busy.complete("I2");
        assert!(busy.begin(ids[2], 1, 0, now).is_err());
        busy.complete("I1");
        assert_eq!(busy.begin(ids[2], 2_000, 14, now), Ok(()));
        busy.not_accepted(ids[2]);
        assert_eq!(busy.begin(ids[3], 2_000, 14, now), Ok(()));
    }

    #[test]
    fn a_batch_that_is_sent_again_counts_once() {
        let (now, ids, mut busy) = (Instant::now(), ids(1), InProgress::default());
        for _ in 0..3 {
            assert_eq!(busy.begin(ids[0], 2_000, 10, now), Ok(()));
        }
    }

    #[test]
    fn what_nobody_asks_about_is_forgotten() {
        let (now, ids, mut busy) = (Instant::now(), ids(2), InProgress::default());
        assert_eq!(busy.begin(ids[0], 3_000, 0, now), Ok(()));
        let almost = now + FORGOTTEN_AFTER - Duration::from_millis(1);
        assert!(busy.begin(ids[1], 1, 0, almost).is_err());
        assert_eq!(busy.begin(ids[1], 1, 0, now + FORGOTTEN_AFTER), Ok(()));
    }

    #[test]
    fn what_can_never_fit_is_left_to_cloudfront() {
        let (now, ids, mut busy) = (Instant::now(), ids(1), InProgress::default());
        assert_eq!(busy.begin(ids[0], 3_001, 16, now), Ok(()));
    }
}
