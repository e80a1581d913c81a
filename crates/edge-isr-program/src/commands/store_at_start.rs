//! A store that is away when a process starts.

use crate::cli::StoreAtStart;
use crate::failure::Failure;
use crate::server::Process;

/// Asks the store. One that cannot be reached may be there later, so that is waited for unless it is not wanted;
/// what waiting cannot mend is a failure either way. `meanwhile` is what the log says happens until then.
///
/// # Errors
///
/// [`Failure::Unreachable`].
pub(super) async fn store_at_start(
    process: &Process,
    arguments: &StoreAtStart,
    meanwhile: &str,
) -> Result<(), Failure> {
    let Err(error) = process.store_answers().await else {
        return Ok(());
    };
    let waits = error.is_retryable() && !arguments.require_store;
    let text = format!("{:#}", anyhow::Error::from(error));
    if !waits {
        return Err(Failure::Unreachable(text));
    }
    tracing::warn!("{text}: {meanwhile}");
    Ok(())
}
