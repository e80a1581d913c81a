//! The tag graph and the durable job store of edge-isr: in memory, embedded on disk, or in Redis.
//!
//! All three implement [`isr_core::Store`] and pass one behaviour suite, which lives in
//! `isr-testkit`. What they keep on disk or in Redis is versioned, and counts as public API.

mod listing;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::time::Duration;

pub use self::memory::{BetweenPartitions, MemoryOptions, MemorySnapshot, MemoryStore};
#[cfg(feature = "redis")]
pub use self::redis::{InvalidRedisOptions, RedisOptions, RedisStore};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{Durability, ServeLock, ServeLockError, SqliteOptions, SqliteStore};

/// The most tags named in the statistics.
const LARGEST_TAGS: usize = 20;

/// Scheduled revalidations that begin in one call: each may have ten thousand targets.
const BEGUN_AT_ONCE: usize = 16;

/// How long receipts of finished revalidations are kept unless it is chosen otherwise.
const RECEIPTS_KEPT: Duration = Duration::from_hours(24);

/// How long receipts of revalidations that were given up on are kept, at the least.
const GIVEN_UP_KEPT: Duration = Duration::from_hours(30 * 24);
