//! The seam by which anything asks for a revalidation.

use std::fmt;

use async_trait::async_trait;

use crate::{Receipt, RevalidationId, StoreError};

/// Accepts revalidations: makes them durable, and makes this process act on them at once.
#[async_trait]
pub trait Revalidator: fmt::Debug + Send + Sync + 'static {
    /// Accepts a revalidation. When this returns, the revalidation is stored durably, and this
    /// process serves nothing it concerns as fresh any more. Asking again with the same id changes
    /// nothing and answers with the receipt as it stands.
    ///
    /// # Errors
    ///
    /// See [`StoreError`]; whether anything was stored is then unknown, and asking again is safe.
    async fn revalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError>;

    /// The receipt as it stands; `None` when it is not known, or no longer.
    async fn receipt(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError>;
}
