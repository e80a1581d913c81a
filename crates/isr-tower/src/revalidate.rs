//! Asking for a revalidation from a handler.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use isr_core::{
    InvalidTargets, PageUrl, Receipt, RevalidateOptions, Revalidator, Source, StoreError, Tag,
    Target, Targets, Timestamp,
};

use crate::rejection::Unavailable;

/// Asks for revalidations: the extractor for handlers that change data.
///
/// Call it *after the transaction that changes the data has committed*, never inside it. A page that
/// is rendered between the revalidation and the commit still reads the old data, but starts from the
/// new generation, so nothing would tell it from a fresh one and it would stay until its lifetime
/// ends.
///
/// ```no_run
/// # use axum::extract::Path;
/// # use isr_core::tag;
/// # use isr_tower::{Revalidate, RevalidateError};
/// # async fn commit(id: u64) {}
/// async fn edit(Path(id): Path<u64>, revalidate: Revalidate) -> Result<(), RevalidateError> {
///     commit(id).await;
///     revalidate.tags([tag("post", id)]).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Revalidate {
    revalidator: Arc<dyn Revalidator>,
    options: RevalidateOptions,
}

/// Why a revalidation was not accepted. The data may have changed already, so whoever sees this
/// has to ask again; asking twice is harmless.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevalidateError {
    /// There was nothing to aim it at, or too much.
    #[error("the revalidation was refused")]
    Targets(#[from] InvalidTargets),
    /// The store could not take it.
    #[error("the revalidation could not be stored: ask again")]
    Store(#[from] StoreError),
}

impl Revalidate {
    /// Asks for revalidations where there is no request, as from a background task. They do what
    /// `options` says.
    #[must_use]
    pub const fn new(revalidator: Arc<dyn Revalidator>, options: RevalidateOptions) -> Self {
        Self {
            revalidator,
            options,
        }
    }

    /// The same at a time to come, for content that is under embargo until then: nothing moves before.
    /// The time is by the store's clock; one that has passed is now. [`RevalidateOptions::at`] says more.
    ///
    /// ```no_run
    /// # use isr_core::{Timestamp, tag};
    /// # use isr_tower::Revalidate;
    /// # async fn announce(revalidate: Revalidate) -> Result<(), Box<dyn std::error::Error>> {
    /// let embargo: Timestamp = "2026-12-01T09:00Z".parse()?;
    /// revalidate.at(embargo).tags([tag("post", 42)]).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn at(mut self, at: impl Into<Timestamp>) -> Self {
        self.options.at = Some(at.into());
        self
    }

    /// Revalidates every page bound to one of `tags`, in the way that the layer's
    /// [`IsrOptions::revalidate`](crate::IsrOptions::revalidate) says: unless that was changed, copies
    /// become stale and their pages are warmed. See [`Revalidate::targets`] for anything else.
    ///
    /// When this returns, the revalidation is stored durably, and this process serves nothing it
    /// concerns as fresh any more.
    ///
    /// # Errors
    ///
    /// No tags at all, more than [`Targets::LIMIT`], or a store that cannot take it.
    pub async fn tags(
        &self,
        tags: impl IntoIterator<Item = Tag>,
    ) -> Result<Receipt, RevalidateError> {
        let targets = Targets::new(tags.into_iter().map(Target::Tag))?;
        self.targets(targets, self.options.clone()).await
    }

    /// Revalidates pages by their URLs, each in all its variants. As [`Revalidate::tags`].
    ///
    /// # Errors
    ///
    /// As [`Revalidate::tags`].
    pub async fn urls(
        &self,
        urls: impl IntoIterator<Item = PageUrl>,
    ) -> Result<Receipt, RevalidateError> {
        let targets = Targets::new(urls.into_iter().map(Target::Url))?;
        self.targets(targets, self.options.clone()).await
    }

    /// Revalidates whatever `targets` says, in the way that `options` says.
    ///
    /// # Errors
    ///
    /// A store that cannot take it.
    pub async fn targets(
        &self,
        targets: Targets,
        options: RevalidateOptions,
    ) -> Result<Receipt, RevalidateError> {
        let receipt = Receipt::new(targets, options, Source::Library);
        Ok(self.revalidator.revalidate(receipt).await?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Revalidate {
    type Rejection = Unavailable;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Unavailable> {
        let page = crate::Page::of(&parts.extensions).ok_or(Unavailable::LAYER)?;
        let setup = page.setup();
        let revalidator = setup.revalidator.clone().ok_or(Unavailable::REVALIDATOR)?;
        Ok(Self::new(revalidator, setup.options.revalidate.clone()))
    }
}

/// 503 when the store could not take it, 500 when the handler named no targets or too many.
impl IntoResponse for RevalidateError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Targets(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let cause = std::error::Error::source(&self).map(ToString::to_string);
        tracing::error!(cause, "{self}");
        (status, self.to_string()).into_response()
    }
}
