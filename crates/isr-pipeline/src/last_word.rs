//! What a process tells the store when it ends.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use isr_core::{Clock, StoreError};

/// How long the store is given to take note.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells the store something that others find out by themselves later; `otherwise` is what the log says
/// when that did not work, so that nobody waits long for a store that is away.
pub(crate) async fn last_word(
    clock: &dyn Clock,
    word: impl Future<Output = Result<(), StoreError>>,
    otherwise: &str,
) {
    tokio::select! {
        biased;
        taken = word => if let Err(error) = taken {
            tracing::warn!(error = &error as &dyn Error, "{otherwise}");
        },
        () = clock.sleep(PATIENCE) => tracing::warn!("{otherwise}: the store did not answer in time"),
    }
}
