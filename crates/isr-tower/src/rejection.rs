//! What an extractor says when the layer it leans on is missing.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// An extractor was used on a route where it cannot work. Answered with 500, because only a change
/// of the program helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(&'static str);

impl Unavailable {
    pub(crate) const LAYER: Self = Self(
        "this route has no incremental static revalidation: put an IsrLayer around it with `layer` \
         or `route_layer`",
    );
    pub(crate) const REVALIDATOR: Self =
        Self("this service cannot ask for revalidations: give its IsrParts a revalidator");
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}
