//! What an HTTP answer that is no success means to whoever asked a tier to purge.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use crate::ConnectorError;
use crate::excerpt::excerpt_within;

/// The most characters that are shown of what a service said.
const LONGEST_REASON: usize = 200;

/// The delay that a response asks for by `Retry-After`, in either of its forms (RFC 9110 §10.2.3).
/// What is neither is no request to wait.
#[must_use]
pub fn retry_after(response: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = response.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

impl ConnectorError {
    /// The error that an answer with a status other than 2xx is: 429, and 503 with a `Retry-After`, ask
    /// for fewer calls (RFC 6585 §4, RFC 9110 §15.6.4); 408 and 5xx may pass; the rest is refused for
    /// good. `reason` is what the service said, of which an excerpt is shown; `now` is when it said so.
    #[must_use]
    pub fn from_answer(
        connector: &str,
        status: StatusCode,
        headers: &HeaderMap,
        reason: &str,
        now: SystemTime,
    ) -> Self {
        let connector = connector.to_owned();
        let retry_after = retry_after(headers, now);
        let reason = match excerpt_within(reason.trim(), LONGEST_REASON) {
            said if said.is_empty() => format!("it answered {status}"),
            said => format!("it answered {status}: {said}"),
        };
        let asks_to_wait = status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some();
        if status == StatusCode::TOO_MANY_REQUESTS || asks_to_wait {
            Self::RateLimited {
                connector,
                reason,
                retry_after,
            }
        } else if status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
            Self::Unreachable {
                connector,
                source: reason.into(),
            }
        } else {
            let over_targets = may_be_over_targets(status);
            Self::Refused {
                connector,
                reason,
                over_targets,
            }
        }
    }
}

/// Whether a refusal may be over what the call held: 400, 413, 414 and 422 (RFC 9110 §15.5). 401, 403 and
/// 404 are over who called, and where.
const fn may_be_over_targets(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::UNPROCESSABLE_ENTITY
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_delay_is_read_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let rows = [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ];
        for (value, seconds) in rows {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&asked(value), now), expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn an_answer_says_whether_to_ask_again() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let error = |status: u16, headers: &HeaderMap| {
            let status = StatusCode::from_u16(status).unwrap();
            ConnectorError::from_answer("cdn", status, headers, "no\nway", now)
        };
        let nothing = HeaderMap::new();
        for (status, retryable) in [
            (400, false),
            (401, false),
            (403, false),
            (404, false),
            (408, true),
            (413, false),
            (429, true),
            (500, true),
            (502, true),
            (503, true),
        ] {
            assert_eq!(
                error(status, &nothing).is_retryable(),
                retryable,
                "{status}"
            );
        }
        for (status, may_be) in [
            (400, true),
            (401, false),
            (403, false),
            (404, false),
            (422, true),
        ] {
            let error = error(status, &nothing);
            let over = matches!(
                error,
                ConnectorError::Refused {
                    over_targets: true,
                    ..
                }
            );
            assert_eq!(over, may_be, "{status}");
        }
        let seconds = Some(Duration::from_secs(9));
        assert_eq!(error(429, &asked("9")).retry_after(), seconds);
        assert_eq!(error(503, &asked("9")).retry_after(), seconds);
        assert_eq!(error(500, &asked("9")).retry_after(), None);
        let date = asked("Sun, 06 Nov 1994 08:49:46 GMT");
        assert_eq!(error(429, &date).retry_after(), seconds);
        let text = error(403, &nothing).to_string();
        assert_eq!(
            text,
            "cdn refused the purge: it answered 403 Forbidden: no\\nway"
        );
    }
}
