//! Errors as problem details (RFC 9457).

use std::error::Error;

use axum::response::{IntoResponse, Response};
use edge_isr::core::StoreError;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seconds after which a caller may try again whom a full queue has refused. A worker that is up makes room
/// all the time.
const RETRY_AFTER: &str = "1";

/// An error: what is wrong, and with which items of the request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    /// The status code.
    pub(crate) status: u16,
    /// The status in words.
    pub(crate) title: String,
    /// What is wrong with this request, and what to do about it.
    pub(crate) detail: String,
    /// The items that are at fault; nothing of the request has been applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<ItemFault>,
    /// What the revalidation is at that stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<String>,
}

/// An item of a request that is at fault.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct ItemFault {
    /// Where it stands in the request: `tags[2]`.
    pub(crate) item: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

impl Problem {
    /// A problem with the request as a whole.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self {
            status: status.as_u16(),
            title,
            detail: detail.into(),
            items: Vec::new(),
            phase: None,
        }
    }

    /// A problem with some of a request's items.
    pub(crate) fn with_items(items: Vec<ItemFault>) -> Self {
        let detail = match items.as_slice() {
            [only] => format!("{}: {}; nothing was applied", only.item, only.detail),
            several => format!("{} items are at fault; nothing was applied", several.len()),
        };
        Self {
            items,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::QueueFull { .. } => StatusCode::TOO_MANY_REQUESTS,
            _ if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::TooFarAhead { .. } => {
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // A full queue refuses thousands of calls a second, and the metrics tell of it.
        if status != StatusCode::TOO_MANY_REQUESTS {
            tracing::warn!(
                error = &error as &dyn Error,
                "the store failed a call of the admin API"
            );
        }
        Self::new(status, format!("{:#}", anyhow::Error::from(error)))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer to a path that is none of the API's.
pub(super) async fn no_such_resource() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no such resource: see /v1/openapi.json",
    )
}

/// The answer to a method that a path does not take.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this resource does not take the method: see /v1/openapi.json",
    )
}
