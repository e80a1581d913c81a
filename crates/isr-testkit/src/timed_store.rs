//! A store under test, beside that whose time it goes by.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::Store;
use tempfile::TempDir;

use crate::{HandClock, RedisByHand, RedisServer, StoreFixture};

/// How finely servers keep when something ends.
const SECOND: Duration = Duration::from_secs(1);

/// What has the time that a store goes by.
#[async_trait]
pub trait Passing: fmt::Debug + Send + Sync {
    /// Lets time pass: at least `duration`.
    async fn pass(&self, duration: Duration);
}

/// A store, and what it needs to live.
#[derive(Debug)]
pub struct TimedStore<S, T> {
    /// The store.
    pub store: Arc<S>,
    /// Whose time it goes by: a clock, or the server that it is on.
    pub time: T,
    expiry_unit: Duration,
    /// Where it keeps its files. It goes after the store.
    directory: Option<TempDir>,
}

impl<S, T: Passing> TimedStore<S, T> {
    /// A store on a server, which keeps the ends of bound pairs to a second.
    #[must_use]
    pub const fn on_server(store: Arc<S>, server: T) -> Self {
        Self {
            store,
            time: server,
            expiry_unit: SECOND,
            directory: None,
        }
    }
}

impl<S> TimedStore<S, HandClock> {
    /// A store in memory, which keeps the ends of bound pairs exactly.
    #[must_use]
    pub const fn in_memory(store: Arc<S>, clock: HandClock) -> Self {
        Self {
            store,
            time: clock,
            expiry_unit: Duration::ZERO,
            directory: None,
        }
    }

    /// A store with its files in a directory of its own; it keeps the ends of bound pairs in steps of
    /// `expiry_unit`.
    #[must_use]
    pub const fn in_directory(
        store: Arc<S>,
        clock: HandClock,
        directory: TempDir,
        expiry_unit: Duration,
    ) -> Self {
        Self {
            store,
            time: clock,
            expiry_unit,
            directory: Some(directory),
        }
    }

    /// The directory that it has to itself.
    ///
    /// # Panics
    ///
    /// When it has none.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        let directory = self.directory.as_ref();
        directory.expect("the store is in a directory").path()
    }
}

#[async_trait]
impl<S: Store + fmt::Debug + 'static, T: Passing> StoreFixture for TimedStore<S, T> {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn pass(&self, duration: Duration) {
        self.time.pass(duration).await;
    }

    fn expiry_unit(&self) -> Duration {
        self.expiry_unit
    }
}

#[async_trait]
impl Passing for HandClock {
    async fn pass(&self, duration: Duration) {
        self.advance(duration);
    }
}

#[async_trait]
impl Passing for RedisByHand {
    async fn pass(&self, duration: Duration) {
        Self::pass(self, duration).await;
    }
}

/// Nobody can set its clock.
#[async_trait]
impl Passing for RedisServer {
    async fn pass(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[async_trait]
impl<T: Passing> Passing for Arc<T> {
    async fn pass(&self, duration: Duration) {
        (**self).pass(duration).await;
    }
}
