//! Every store answers as that in memory does, whatever is done to them.

// Without a store to compare there is nothing here.
#![cfg(any(feature = "sqlite", feature = "redis"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(feature = "sqlite")]
mod embedded;
#[cfg(feature = "redis")]
mod redis;

use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
