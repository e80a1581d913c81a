//! Places at the origin: how many requests are under way there at once.

use std::sync::Arc;
use std::time::Duration;

use isr_core::Event;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::edge::Inner;

/// Why a visitor's request did not reach the origin, as the `detail` of `Cache-Status`.
pub(crate) const AT_CAPACITY: &str = "origin_at_capacity";

/// Places for so many requests at once.
#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    /// What background requests may take of them, so that visitors always find the rest.
    background: Arc<Semaphore>,
}

/// The right to have one request under way at the origin. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_background: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// So many places, at least one. Half of them, at least one, are for background requests too.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(most)),
            background: Arc::new(Semaphore::new(most.div_ceil(2))),
        }
    }

    /// A place for a visitor's request, in the order of asking; `None` when none was free in time.
    async fn for_visitor(&self, wait: Duration) -> Option<Place> {
        let place = Arc::clone(&self.all).acquire_owned();
        let place = tokio::time::timeout(wait, place).await.ok()?;
        Some(Place {
            _of_all: place.expect("it is never closed"),
            _of_background: None,
        })
    }

    /// A place for a background request, if one is free and no visitor waits for it.
    fn in_background(&self) -> Option<Place> {
        let of_background = Arc::clone(&self.background).try_acquire_owned().ok()?;
        Some(Place {
            _of_all: Arc::clone(&self.all).try_acquire_owned().ok()?,
            _of_background: Some(of_background),
        })
    }
}

impl Inner {
    /// A place at the origin for a visitor who has been waiting since `started`. He waits no longer
    /// for it than for another visitor's response, and not twice.
    pub(crate) async fn place(&self, started: Duration) -> Option<Place> {
        let waited = self.clock.now().saturating_sub(started);
        let wait = self.options.collapse_wait.saturating_sub(waited);
        let place = self.places.for_visitor(wait).await;
        self.counted(place, false)
    }

    /// A place at the origin for a request that nobody waits for.
    pub(crate) fn background_place(&self) -> Option<Place> {
        self.counted(self.places.in_background(), true)
    }

    fn counted(&self, place: Option<Place>, background: bool) -> Option<Place> {
        if place.is_none() {
            self.recorder
                .record(&Event::OriginAtCapacity { background });
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_places_and_no_more() {
        let places = Places::new(2);
        let first = places.for_visitor(PATIENCE).await.unwrap();
        let _second = places.for_visitor(Duration::ZERO).await.unwrap();
        assert!(places.for_visitor(PATIENCE).await.is_none());
        drop(first);
        assert!(places.for_visitor(Duration::ZERO).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn background_requests_take_half_and_never_come_before_a_visitor() {
        let places = Arc::new(Places::new(3));
        let background = [places.in_background(), places.in_background()];
        assert!(background.iter().all(Option::is_some));
        assert!(places.in_background().is_none());
        let visitor = places.for_visitor(Duration::ZERO).await.unwrap();
        drop(background);
        let _others = [
            places.for_visitor(PATIENCE).await,
            places.for_visitor(PATIENCE).await,
        ];
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.for_visitor(PATIENCE).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(visitor);
        assert!(places.in_background().is_none());
        assert!(waiting.await.unwrap());
    }

    #[test]
    fn the_only_place_is_for_everybody() {
        let places = Places::new(0);
        assert!(places.in_background().is_some());
    }
}
