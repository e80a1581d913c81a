//! The budget of bytes for bodies on their way into the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that all bodies together may hold before they are stored.
#[derive(Debug)]
pub(crate) struct Collecting(Arc<Tally>);

#[derive(Debug)]
struct Tally {
    taken: AtomicU64,
    most: u64,
}

/// What one body may hold. Dropping it gives that back.
#[derive(Debug)]
pub(crate) struct Share {
    tally: Arc<Tally>,
    held: u64,
}

impl Collecting {
    pub(crate) fn new(most: u64) -> Self {
        let taken = AtomicU64::new(0);
        Self(Arc::new(Tally { taken, most }))
    }

    /// A share of so many bytes, the length that was announced, so that what is begun can be
    /// finished; `None` when there is no room for them.
    pub(crate) fn share(&self, bytes: u64) -> Option<Share> {
        let tally = Arc::clone(&self.0);
        let mut share = Share { tally, held: 0 };
        share.cover(bytes).then_some(share)
    }
}

impl Share {
    /// Makes it one of so many bytes, if it is not; false when there is no room for the difference.
    pub(crate) fn cover(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.held);
        let most = self.tally.most;
        let add = |taken: u64| taken.checked_add(more).filter(|sum| *sum <= most);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let covered = self.tally.taken.fetch_update(set, fetch, add).is_ok();
        if covered {
            self.held += more;
        }
        covered
    }

    /// Gives back all but so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let less = self.held.saturating_sub(bytes);
        self.tally.taken.fetch_sub(less, Ordering::Relaxed);
        self.held -= less;
    }

    /// Gives back so many bytes.
    pub(crate) fn give_back(&mut self, bytes: u64) {
        self.shrink_to(self.held.saturating_sub(bytes));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let collecting = Collecting::new(10);
        let taken = || collecting.0.taken.load(Ordering::Relaxed);
        let mut first = collecting.share(4).unwrap();
        let mut second = collecting.share(0).unwrap();
        assert!(collecting.share(7).is_none() && taken() == 4);
        assert!(second.cover(6) && second.cover(3) && taken() == 10);
        assert!(!first.cover(5) && first.cover(4) && taken() == 10);
        second.shrink_to(5);
        second.give_back(1);
        assert_eq!(taken(), 8);
        assert!(first.cover(6) && !first.cover(7));
        assert!(!first.cover(u64::MAX));
        first.give_back(u64::MAX);
        assert_eq!(taken(), 4);
        drop((first, second));
        assert_eq!(taken(), 0);
    }
}
