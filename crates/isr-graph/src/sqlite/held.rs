//! Revalidations that wait until somebody releases them: there is no job for them meanwhile.

use isr_core::{Receipt, RevalidationId};

use super::failure::Failure;
use super::job_row::Kind;
use super::receipts::Ended;
use super::writer::Write;
use super::{queue, receipts};

/// Has one wait.
pub(super) fn add(write: &mut Write<'_>, id: &RevalidationId) -> Result<(), Failure> {
    let added = write
        .connection
        .prepare_cached("INSERT OR IGNORE INTO held (receipt) VALUES (?)")?
        .execute([id.to_string()])?;
    write.state.held += i64::from(added > 0);
    Ok(())
}

/// Queues one again, if it waits; says how it stands then.
pub(super) fn release(
    write: &mut Write<'_>,
    id: &RevalidationId,
) -> Result<Option<Receipt>, Failure> {
    let Some(mut receipt) = receipts::find(write.connection, id)? else {
        return Ok(None);
    };
    if remove(write, id)? {
        receipt = receipt.released();
        receipts::update(write, &receipt, Ended::Not)?;
        let now = write.now;
        queue::push(write, Kind::Revalidation, &id.to_string(), None, now)?;
    }
    Ok(Some(receipt))
}

/// Has one wait no more; `false` when it did not.
pub(super) fn remove(write: &mut Write<'_>, id: &RevalidationId) -> Result<bool, Failure> {
    let removed = write
        .connection
        .prepare_cached("DELETE FROM held WHERE receipt = ?")?
        .execute([id.to_string()])?;
    write.state.held -= i64::from(removed > 0);
    Ok(removed > 0)
}
