//! Reading requests, with problem details for what cannot be read.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// A JSON body. One that is no JSON is answered with 400, one of the wrong shape with 422, one that is
/// too large with 413, another content type with 415.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => Err(problem(error.status(), &error)),
            Err(rejection) => Err(problem(rejection.status(), &rejection)),
        }
    }
}

/// The parameters of a query. Ones that cannot be read are answered with 400.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match read {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(problem(rejection.status(), &rejection)),
        }
    }
}

/// The one variable segment of a path. One that is no UTF-8 is answered with 400.
#[derive(Debug)]
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        match read {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(rejection) => Err(problem(rejection.status(), &rejection)),
        }
    }
}

/// A rejection in full: what was refused is in its sources.
fn problem(status: http::StatusCode, rejection: &dyn std::error::Error) -> Problem {
    let mut detail = rejection.to_string();
    let mut source = rejection.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !detail.contains(&text) {
            detail = format!("{detail}: {text}");
        }
        source = error.source();
    }
    Problem::new(status, detail)
}
