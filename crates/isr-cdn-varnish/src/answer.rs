//! What Varnish answered, and what that means.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, StatusCode};
use isr_core::{ConnectorError, excerpt_within, html_title};

/// The most characters of an answer's body that are looked at for a title.
const LONGEST_TITLE: usize = 200;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// When it had come.
    pub(crate) at: SystemTime,
}

impl Answer {
    /// How many copies went or became stale, where that is said. A `Retry-After` beside a success means
    /// nothing: Varnish's own `vcl_synth` sends it with every answer it makes up.
    ///
    /// # Errors
    ///
    /// A success that does not come from the VCL is none: without one, Varnish hands methods that it does
    /// not know to the origin, which may answer anything.
    pub(crate) fn copies(
        &self,
        connector: &str,
        count: Option<&HeaderName>,
    ) -> Result<Option<u64>, ConnectorError> {
        let said = count.and_then(|count| self.headers.get(count));
        let is_known = said.is_some() || count.is_none();
        let nothing_cached = self.status == StatusCode::NOT_FOUND && is_known;
        if !self.status.is_success() && !nothing_cached {
            return Err(self.failure(connector));
        }
        if let (None, Some(count)) = (said, count) {
            let source = format!(
                "it answered {} without `{count}`, so this was not the VCL: have Varnish load \
                 docs/connectors/varnish.vcl",
                self.status
            );
            return Err(ConnectorError::unreachable(connector, source));
        }
        let number = said.and_then(|said| said.to_str().ok()?.trim().parse().ok());
        Ok(number.or(nothing_cached.then_some(0)))
    }

    fn failure(&self, connector: &str) -> ConnectorError {
        let said = html_title(&self.body);
        let denied = matches!(
            self.status,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED
        );
        if !denied {
            // Varnish's builtin VCL puts `Retry-After: 5` on every error it makes up itself, and above all
            // on the 503 for a backend that failed. That is no request for fewer calls, as a 429 is.
            let none = HeaderMap::new();
            let headers = match self.status {
                StatusCode::TOO_MANY_REQUESTS => &self.headers,
                _ => &none,
            };
            return ConnectorError::from_answer(connector, self.status, headers, said, self.at);
        }
        let reason = format!(
            "it answered {}: {}; add the address that this process calls from to the VCL's \
             `acl edge_isr_purgers`, and compare the secret where there is one",
            self.status,
            excerpt_within(said, LONGEST_TITLE)
        );
        ConnectorError::refused(connector, reason)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect(),
            at: SystemTime::UNIX_EPOCH,
            body: "<html><title> 405 No </title>".to_owned(),
        }
    }

    const COUNT: HeaderName = HeaderName::from_static("x-purged");

    #[test]
    fn copies_are_counted_and_a_delay_beside_a_success_is_no_delay() {
        let rows = [
            (200, &[("x-purged", "3"), ("retry-after", "5")][..], Some(3)),
            (200, &[("x-purged", "banned")], None),
            (404, &[("x-purged", "0")], Some(0)),
        ];
        for (status, headers, expected) in rows {
            let copies = answer(status, headers).copies("v", Some(&COUNT)).unwrap();
            assert_eq!(copies, expected);
        }
    }

    #[test]
    fn who_does_not_count_is_not_the_vcl_unless_it_is_not_expected_to() {
        let error = answer(200, &[]).copies("v", Some(&COUNT)).unwrap_err();
        assert!(error.is_retryable());
        let error = answer(404, &[]).copies("v", Some(&COUNT)).unwrap_err();
        assert!(!error.is_retryable());
        assert_eq!(answer(200, &[]).copies("v", None).unwrap(), None);
        assert_eq!(answer(404, &[]).copies("v", None).unwrap(), Some(0));
    }

    #[test]
    fn a_stranger_is_told_where_to_be_let_in() {
        for status in [401, 403, 405] {
            let error = answer(status, &[]).copies("v", Some(&COUNT)).unwrap_err();
            let text = error.to_string();
            assert!(!error.is_retryable());
            assert!(text.contains("405 No; add") && text.contains("edge_isr_purgers"));
        }
    }

    #[test]
    fn a_failure_of_its_own_may_pass_and_asks_for_no_fewer_calls() {
        let five = ("retry-after", "5");
        for (status, delay) in [
            (503, Some(five)),
            (503, None),
            (500, None),
            (502, Some(five)),
        ] {
            let headers: Vec<_> = delay.into_iter().collect();
            let error = answer(status, &headers).copies("v", Some(&COUNT));
            let error = error.unwrap_err();
            assert!(
                matches!(error, ConnectorError::Unreachable { .. }),
                "{status}: {error:?}"
            );
        }
    }

    #[test]
    fn whoever_limits_calls_says_so_by_429() {
        for (headers, seconds) in [(&[("retry-after", "7")][..], Some(7)), (&[], None)] {
            let error = answer(429, headers).copies("v", Some(&COUNT)).unwrap_err();
            assert!(matches!(error, ConnectorError::RateLimited { .. }));
            assert_eq!(error.retry_after(), seconds.map(Duration::from_secs));
        }
    }
}
