//! Responses as they leave: lifetimes, `Age`, `Cache-Status`, 304 and 206.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use isr_core::{
    CacheControl, Dialect, EntityTag, Flight, GENERATION_HEADER, Generation, Lifetimes, PageUrl,
};

use crate::body::EdgeBody;
use crate::cache_status::{CacheStatus, Forward};
use crate::edge::Inner;
use crate::partial::{Part, is_not_modified, wanted_part};
use crate::stored::Terms;
use crate::visit::Visit;

/// What tiers in front, and caches that nobody knows of, may do with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Keep it for what remains of its lifetime.
    Whole,
    /// Keep it for a moment: it could not be bound, or nobody could be told of it.
    Brief,
    /// Not share it: it is stale, or was asked for by another URL than its own.
    Unshared,
    /// Not keep it at all: it is superseded.
    Nothing,
}

/// A response that is about to leave.
pub(crate) struct Outgoing<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) terms: &'a Terms,
    pub(crate) age: Duration,
    pub(crate) generation: Option<Generation>,
    pub(crate) content: Content,
    pub(crate) flight: Option<Flight>,
}

/// The body of a response that is about to leave.
pub(crate) enum Content {
    /// In hand.
    Whole(Bytes),
    /// Still coming.
    Streamed(EdgeBody),
}

impl Inner {
    /// Brings a response that is, or could be, stored into the form that its visitor asked for.
    pub(crate) fn present(
        &self,
        visit: &Visit,
        outgoing: Outgoing<'_>,
        sharing: Sharing,
        cache_status: CacheStatus,
    ) -> Response<EdgeBody> {
        let Outgoing {
            status,
            mut headers,
            terms,
            age,
            generation,
            content,
            flight,
        } = outgoing;
        let sharing = if visit.page.canonical {
            sharing
        } else {
            sharing.without_alias()
        };
        // Asked now and of the flight: binding may have outlasted the sender's lease, and then nobody
        // is told of this response any more, whatever its sender may do since.
        let untold = flight.as_ref().is_some_and(|flight| !flight.may_go_on());
        let sharing = if untold {
            sharing.at_most_briefly()
        } else {
            sharing
        };
        self.write_lifetimes(&visit.page.url, &mut headers, terms, age, sharing);
        cache_status.append_to(&mut headers);
        if let (Some(_), Some(generation)) = (visit.warm_up, generation) {
            let value = HeaderValue::try_from(generation.to_string());
            headers.insert(GENERATION_HEADER, value.expect("digits are visible ASCII"));
        }
        let (status, body) = select(visit, status, &mut headers, content);
        let body = match flight {
            // Nobody keeps what is not shared, so it need not be followed; and what leaves although
            // nobody can be told of it is shared for a moment only.
            Some(flight) if matches!(sharing, Sharing::Unshared | Sharing::Nothing) || untold => {
                flight.cancel();
                body
            }
            Some(flight) => body.in_flight(flight),
            None => body,
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// Says how long the response may be kept from now on.
    ///
    /// A lifetime that is written here is the one that remains, so that it is not counted twice
    /// where `Age` is ignored; such a response has no `Age`, which would be taken off again. An
    /// origin's own fields leave as they came, with an `Age` (RFC 9111 §5.1).
    fn write_lifetimes(
        &self,
        page: &PageUrl,
        headers: &mut HeaderMap,
        terms: &Terms,
        age: Duration,
        sharing: Sharing,
    ) {
        let dialects = self.options.downstream.fronting.dialects(Some(page));
        let lifetimes = match sharing {
            Sharing::Whole if terms.verbatim && !self.has_tiers() => None,
            Sharing::Whole => Some(terms.policy.remaining(age)),
            Sharing::Brief => Some(
                terms
                    .policy
                    .remaining(age)
                    .at_most(self.options.degraded_lifetime),
            ),
            Sharing::Unshared => Some(Lifetimes::unshared()),
            Sharing::Nothing => Some(Lifetimes::superseded()),
        };
        headers.remove(AGE);
        let counted = lifetimes.is_some_and(|lifetimes| lifetimes.is_shared());
        if let Some(lifetimes) = lifetimes {
            Dialect::write_all(&dialects, lifetimes, headers);
        }
        if counted {
            // A `Date` in the past would count as age too (RFC 9111 §4.2.3); the server adds today's.
            headers.remove(http::header::DATE);
        } else {
            headers.insert(AGE, HeaderValue::from(age.as_secs()));
        }
    }

    /// Keeps tiers in front from keeping a response that was never bound, and leaves to browsers
    /// what is theirs.
    pub(crate) fn withhold(&self, headers: &mut HeaderMap) {
        if !self.has_tiers() {
            return;
        }
        let control = CacheControl::of(headers);
        for field in crate::admission::TARGETS {
            headers.remove(field);
        }
        headers.remove(isr_core::cache_control::CLOUDFLARE_CDN_CACHE_CONTROL);
        let private = CacheControl {
            public: false,
            private: true,
            s_maxage: None,
            ..control
        };
        let value = private.to_value().expect("a directive is set");
        headers.insert(CACHE_CONTROL, value);
    }
}

impl Sharing {
    /// What may be done with a response that is fresh: what could not be bound is kept for a moment.
    pub(crate) const fn of(terms: &Terms) -> Self {
        match (terms.for_tiers, terms.bound) {
            (false, _) => Self::Unshared,
            (true, true) => Self::Whole,
            (true, false) => Self::Brief,
        }
    }

    /// The same for a response that nobody can be told of.
    const fn at_most_briefly(self) -> Self {
        match self {
            Self::Whole => Self::Brief,
            Self::Brief | Self::Unshared | Self::Nothing => self,
        }
    }

    /// The same for a URL that is not the page's own: a cache that stored the response under it
    /// could not be purged of it.
    const fn without_alias(self) -> Self {
        match self {
            Self::Whole | Self::Brief => Self::Unshared,
            Self::Unshared | Self::Nothing => self,
        }
    }
}

/// Picks what the visitor asked for: nothing but the head, nothing new, a part, or all.
fn select(
    visit: &Visit,
    status: StatusCode,
    headers: &mut HeaderMap,
    content: Content,
) -> (StatusCode, EdgeBody) {
    // Most visitors want the whole page, whatever they had before.
    let picky = [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE]
        .iter()
        .any(|field| visit.headers.contains_key(field));
    let (entity_tag, last_modified) = if picky {
        validators(headers)
    } else {
        (None, None)
    };
    let ok = status == StatusCode::OK;
    if ok && is_not_modified(&visit.headers, entity_tag.as_ref(), last_modified) {
        // RFC 9110 §15.4.5: fields of the representation itself are left out.
        for field in [
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_LENGTH,
            CONTENT_TYPE,
        ] {
            headers.remove(field);
        }
        return (StatusCode::NOT_MODIFIED, EdgeBody::empty());
    }
    let head_only = visit.method == Method::HEAD;
    let bytes = match content {
        Content::Streamed(_) if head_only => return (status, EdgeBody::empty()),
        Content::Streamed(body) => return (status, body),
        Content::Whole(bytes) => bytes,
    };
    let part = if ok && visit.method == Method::GET {
        let length = bytes.len() as u64;
        wanted_part(&visit.headers, length, entity_tag.as_ref(), last_modified)
    } else {
        Part::Whole
    };
    let (status, bytes) = cut(status, headers, bytes, part);
    let body = if head_only {
        EdgeBody::empty()
    } else {
        EdgeBody::whole(bytes)
    };
    (status, body)
}

/// Cuts a part out of a body, and says which (RFC 9110 §15.3.7, §15.5.17).
fn cut(
    status: StatusCode,
    headers: &mut HeaderMap,
    bytes: Bytes,
    part: Part,
) -> (StatusCode, Bytes) {
    let length = bytes.len();
    let (status, range, bytes) = match part {
        Part::Whole => return (status, bytes),
        Part::Unsatisfiable => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            format!("bytes */{length}"),
            Bytes::new(),
        ),
        Part::Bytes { first, last } => {
            let range = format!("bytes {first}-{last}/{length}");
            let (start, end) = (index(first), index(last) + 1);
            (StatusCode::PARTIAL_CONTENT, range, bytes.slice(start..end))
        }
    };
    let value = HeaderValue::try_from(range).expect("digits are visible ASCII");
    headers.insert(CONTENT_RANGE, value);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    (status, bytes)
}

/// What names the state of a representation (RFC 9110 §8.8).
fn validators(headers: &HeaderMap) -> (Option<EntityTag>, Option<SystemTime>) {
    let modified = headers
        .get(LAST_MODIFIED)
        .and_then(|value| value.to_str().ok());
    (
        EntityTag::of(headers),
        modified.and_then(|date| httpdate::parse_http_date(date).ok()),
    )
}

fn index(position: u64) -> usize {
    usize::try_from(position).expect("a position within bytes in memory")
}

/// A response of this cache's own making. Nobody keeps it.
pub(crate) fn own_response(
    status: StatusCode,
    why: Forward,
    detail: &'static str,
) -> Response<EdgeBody> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let text = format!("{} {reason}: {detail}\n", status.as_u16());
    let mut response = plain(status, "text/plain; charset=utf-8", text);
    if status.is_server_error() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    CacheStatus::forwarded(why)
        .with_detail(detail)
        .append_to(response.headers_mut());
    response
}

/// A response of this cache's own making, without `Cache-Status`.
pub(crate) fn plain(status: StatusCode, media: &'static str, text: String) -> Response<EdgeBody> {
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    let mut response = Response::new(EdgeBody::whole(Bytes::from(text)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
