//! Every store answers as that in memory does, whatever is done to them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(feature = "sqlite")]
mod embedded;
mod memory;
#[cfg(feature = "redis")]
mod redis;

use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
