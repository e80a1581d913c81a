//! A semaphore whose size can be changed while its permits are out.

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// As many permits as the limit says. After the limit was lowered there are more of them until
/// enough have been given back; nobody is given one until then.
#[derive(Debug)]
pub(crate) struct Permits {
    semaphore: Semaphore,
    count: Mutex<Count>,
}

#[derive(Debug)]
struct Count {
    limit: usize,
    /// Permits held or free: never fewer than the limit.
    existing: usize,
}

/// The right to have one request under way.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    permits: &'a Permits,
    /// Taken out only when the permit is dropped.
    inner: Option<SemaphorePermit<'a>>,
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        let existing = limit;
        Self {
            semaphore: Semaphore::new(limit),
            count: Mutex::new(Count { limit, existing }),
        }
    }

    /// Waits for a permit, in the order of asking.
    pub(crate) async fn acquire(&self) -> Permit<'_> {
        let inner = self.semaphore.acquire().await;
        Permit {
            permits: self,
            inner: Some(inner.expect("the semaphore is never closed")),
        }
    }

    /// How many there are to be from now on.
    pub(crate) fn set(&self, limit: usize) {
        let mut count = self.count.lock();
        count.limit = limit;
        if count.existing < limit {
            self.semaphore.add_permits(limit - count.existing);
            count.existing = limit;
        } else {
            count.existing -= self.semaphore.forget_permits(count.existing - limit);
        }
    }

    /// Whether more are out than there are to be. Whoever holds one that is not used yet gives it
    /// back then.
    pub(crate) fn are_too_many(&self) -> bool {
        let count = self.count.lock();
        count.existing > count.limit
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut count = self.permits.count.lock();
        if count.existing > count.limit {
            count.existing -= 1;
            if let Some(permit) = self.inner.take() {
                permit.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is taken, given back and changed, in any order.
        #[test]
        fn nobody_gets_a_permit_beyond_the_limit(steps in vec((0..3_u8, 1..9_usize), 0..200)) {
            let permits = Permits::new(4);
            let (mut limit, mut held) = (4, Vec::new());
            for (step, number) in steps {
                match step {
                    0 => {
                        let taken = permits.acquire().now_or_never();
                        prop_assert_eq!(taken.is_some(), held.len() < limit);
                        held.extend(taken);
                    }
                    1 => drop(held.pop()),
                    _ => {
                        limit = number;
                        permits.set(limit);
                    }
                }
                prop_assert_eq!(permits.are_too_many(), held.len() > limit);
            }
        }
    }
}
