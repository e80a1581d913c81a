//! Entity tags for pages, and 304 for whoever has them already (RFC 9110 §8.8.3, §13.1.2, §15.4.5).

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use isr_core::{BoxError, EntityTag, IfNoneMatch};

use crate::service::Asked;

/// Fields that describe a body which a 304 does not have (RFC 9110 §15.4.5).
const OF_THE_BODY: [HeaderName; 5] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
];

/// Gives a response a strong entity tag, made from its body, unless it has one of its own.
///
/// Only a body whose length is known, and not above `limit`, is held for that: one that is streamed
/// would otherwise be stalled. A HEAD whose body has been taken off already gets none, because what
/// is left is not what a GET would send.
pub(crate) async fn with_entity_tag<B>(
    asked: &Asked,
    limit: u64,
    response: Response<B>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let length = response.body().size_hint().exact();
    let hashable =
        length.is_some_and(|length| length <= limit && (length > 0 || asked.method == Method::GET));
    if !hashable || response.status() != StatusCode::OK || response.headers().contains_key(ETAG) {
        return response.map(Body::new);
    }
    let (mut head, body) = response.into_parts();
    let body = match body.collect().await {
        Err(error) => Body::from_stream(stream::iter([Err::<Bytes, BoxError>(error.into())])),
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            let bytes = collected.to_bytes();
            head.headers
                .insert(ETAG, EntityTag::of_body(&bytes).to_value());
            match trailers {
                None => Body::from(bytes),
                Some(trailers) => Body::new(
                    Full::new(bytes).with_trailers(std::future::ready(Some(Ok(trailers)))),
                ),
            }
        }
    };
    Response::from_parts(head, body)
}

/// Whether the visitor has this response already. Only a 200 is compared: conditions do not count
/// where the answer would not have been a success without them (RFC 9110 §13.2.1).
pub(crate) fn is_known(asked: &Asked, status: StatusCode, headers: &HeaderMap) -> bool {
    let condition = || IfNoneMatch::of(&asked.headers);
    let matches = |condition: IfNoneMatch| {
        EntityTag::of(headers).is_some_and(|current| condition.matches(&current))
    };
    status == StatusCode::OK && condition().is_some_and(matches)
}

/// The same response as a 304. The fields that caches renew what they keep by all stay
/// (RFC 9111 §4.3.4).
pub(crate) fn not_modified(response: Response<Body>) -> Response<Body> {
    let (mut head, _) = response.into_parts();
    head.status = StatusCode::NOT_MODIFIED;
    for field in OF_THE_BODY {
        head.headers.remove(field);
    }
    // Of no stated length: otherwise a `Content-Length` of 0 would be added, and for a 304 that means
    // the length of the 200 (RFC 9110 §8.6).
    Response::from_parts(
        head,
        Body::from_stream(stream::empty::<Result<Bytes, BoxError>>()),
    )
}
