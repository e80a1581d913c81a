//! From what Cloudflare answered to what it means.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use isr_core::{BoundedBody, ConnectorError, excerpt_within, retry_after};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fault::{Fault, Passing};

/// What an answer is longer than only by mistake, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

/// The most characters that are shown of what Cloudflare said.
const LONGEST_REASON: usize = 400;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// When it had come.
    at: SystemTime,
}

/// What every body of the API has around its result.
#[derive(Debug, Deserialize)]
struct Envelope<R> {
    success: bool,
    #[serde(default)]
    errors: Vec<Fault>,
    result: Option<R>,
}

impl Answer {
    /// Reads an answer to its end; the error is one of the connection.
    pub(crate) async fn read(
        connector: &str,
        response: Result<reqwest::Response, reqwest::Error>,
    ) -> Result<Self, ConnectorError> {
        // The URL is left out: it says nothing that the configuration does not.
        let broken =
            |error: reqwest::Error| ConnectorError::unreachable(connector, error.without_url());
        let mut response = response.map_err(broken)?;
        let mut body = BoundedBody::with_room_for(LONGEST_BODY);
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.push(&chunk)
                .map_err(|error| ConnectorError::unreachable(connector, error))?;
        }
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: body.into_bytes(),
            at: SystemTime::now(),
        })
    }

    /// The result, where the request succeeded. A status of 200 does not say so: a failure may have it
    /// too, and says `"success": false`.
    pub(crate) fn result<R: DeserializeOwned>(
        &self,
        connector: &str,
    ) -> Result<Option<R>, ConnectorError> {
        let envelope = serde_json::from_slice::<Envelope<R>>(&self.body);
        match envelope {
            Ok(envelope) if self.status.is_success() && envelope.success => Ok(envelope.result),
            Ok(envelope) => Err(self.failure(connector, &envelope.errors)),
            Err(_) if self.status.is_success() => {
                let reason = "its answer is not that of Cloudflare's API: is something between?";
                Err(ConnectorError::unreachable(connector, reason))
            }
            Err(_) => {
                let said = String::from_utf8_lossy(&self.body);
                Err(self.error(connector, &said))
            }
        }
    }

    fn failure(&self, connector: &str, faults: &[Fault]) -> ConnectorError {
        let said: Vec<String> = faults.iter().map(Fault::to_string).collect();
        let said = said.join("; ");
        let error = if self.status.is_success() {
            let said = excerpt_within(&said, LONGEST_REASON);
            let reason = format!("it answered {} without success: {said}", self.status);
            ConnectorError::refused_over_targets(connector, reason)
        } else {
            self.error(connector, &said)
        };
        advised(self.passing(error, faults), faults)
    }

    /// A refusal that is over later, where one of the faults says so, whatever the status says. Faults
    /// beside it that stay are found the next time.
    fn passing(&self, error: ConnectorError, faults: &[Fault]) -> ConnectorError {
        let passing = faults.iter().find_map(Fault::passing);
        match (error, passing) {
            (
                ConnectorError::Refused {
                    connector, reason, ..
                },
                Some(Passing::TooMany),
            ) => self.with_delay(ConnectorError::RateLimited {
                connector,
                reason,
                retry_after: retry_after(&self.headers, self.at),
            }),
            (
                ConnectorError::Refused {
                    connector, reason, ..
                },
                Some(Passing::Failed),
            ) => ConnectorError::unreachable(&connector, reason),
            (error, _) => error,
        }
    }

    /// How long to wait after a success that was the last for now: `Ratelimit` counts what is left.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let limit = self.limit()?;
        let none_is_left = limit.split(';').any(|parameter| parameter.trim() == "r=0");
        none_is_left.then(|| reset(limit)).flatten()
    }

    fn limit(&self) -> Option<&str> {
        self.headers.get("ratelimit")?.to_str().ok()
    }

    fn error(&self, connector: &str, said: &str) -> ConnectorError {
        let Self {
            status, headers, ..
        } = self;
        self.with_delay(ConnectorError::from_answer(
            connector, *status, headers, said, self.at,
        ))
    }

    /// The delay of `Ratelimit` where there is no `Retry-After`: both are sent since 2025-09-03, see
    /// <https://developers.cloudflare.com/fundamentals/api/reference/limits/>, read on 2026-11-22.
    fn with_delay(&self, error: ConnectorError) -> ConnectorError {
        match error {
            ConnectorError::RateLimited {
                connector,
                reason,
                retry_after: None,
            } => {
                let retry_after = self.limit().and_then(reset);
                ConnectorError::RateLimited {
                    connector,
                    reason,
                    retry_after,
                }
            }
            error => error,
        }
    }
}

/// When a limit is over, by a field such as `"default";r=0;t=30`.
fn reset(field: &str) -> Option<Duration> {
    let mut parameters = field.split(';').map(str::trim);
    let seconds = parameters.find_map(|parameter| parameter.strip_prefix("t="))?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// A refusal, with what to do about it.
fn advised(error: ConnectorError, faults: &[Fault]) -> ConnectorError {
    let advice = faults.iter().find_map(Fault::advice);
    match (error, advice) {
        // That is over who called, and where.
        (
            ConnectorError::Refused {
                connector, reason, ..
            },
            Some(advice),
        ) => ConnectorError::refused(&connector, format!("{reason}: {advice}")),
        (error, _) => error,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, fields: &[(&'static str, &'static str)], body: &str) -> Answer {
        let headers = fields.iter().map(|&(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
            at: SystemTime::UNIX_EPOCH,
        }
    }

    fn failure(code: i64) -> String {
        let errors = json!([{"code": code, "message": "No way", "documentation_url": "https://a"}]);
        json!({"success": false, "errors": errors, "messages": [], "result": null}).to_string()
    }

    fn error(status: u16, code: i64) -> ConnectorError {
        let answer = answer(status, &[], &failure(code));
        answer.result::<Value>("cdn").unwrap_err()
    }

    #[test]
    fn success_is_what_the_body_says() {
        let body = r#"{"success":true,"errors":[],"messages":[],"result":{"id":"0"}}"#;
        let result = answer(200, &[], body).result::<Value>("cdn");
        assert_eq!(result.unwrap(), Some(json!({"id": "0"})));

        let error = error(200, 1100);
        assert!(!error.is_retryable());
        let expected = "cdn refused the purge: it answered 200 OK without success: 1100 No way";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn known_codes_come_with_advice() {
        for (code, expected) in [
            (10_000, "has the permission"),
            (9_109, "has the permission"),
            (7_003, "check the zone's ID"),
            (1_136, "purge by tag"),
        ] {
            for status in [200, 400, 403, 404] {
                let error = error(status, code);
                assert!(!error.is_retryable());
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
        assert!(!error(403, 1).to_string().contains("check"));
    }

    #[test]
    fn a_code_says_whether_a_refusal_is_over_later() {
        let throttle = "Please wait and consider throttling your request speed";
        let purges = "Rate limit enforced for cache purge. (You can try again in 60 seconds.)";
        let sum = (1_016, "One or more cache purge errors");
        let (limited, failed, refused) = ("RateLimited", "Unreachable", "Refused");
        let rows: [(&[(i64, &str)], _); 11] = [
            (&[(971, throttle)], limited),
            (&[(10_429, "Rate limited")], limited),
            (&[(0, purges), sum], limited),
            (&[(10_001, "Internal error")], failed),
            (&[(10_001, "Method not allowed for token")], refused),
            (
                &[(1_100, "Tag exceeds maximum length"), (971, throttle)],
                limited,
            ),
            (&[(1_100, "Tag exceeds maximum length"), sum], refused),
            (&[(1_315, "Non-printable characters"), sum], refused),
            (&[sum], refused),
            (&[(10_000, "Authentication error")], refused),
            (&[], refused),
        ];
        for (faults, expected) in rows {
            let errors: Vec<Value> = faults
                .iter()
                .map(|(code, message)| json!({"code": code, "message": message}))
                .collect();
            let body = json!({"success": false, "errors": errors, "result": null}).to_string();
            for status in [200, 400, 403] {
                let answer = answer(status, &[("ratelimit", "\"default\";r=0;t=30")], &body);
                let error = answer.result::<Value>("cdn").unwrap_err();
                let shown = format!("{error:?}");
                assert!(shown.starts_with(expected), "{status} {faults:?}: {shown}");
                let codes = faults.iter().map(|(code, _)| code.to_string());
                assert!(
                    codes.into_iter().all(|code| shown.contains(&code)),
                    "{shown}"
                );
                let seconds = (expected == limited).then_some(30);
                let delay = seconds.map(Duration::from_secs);
                assert_eq!(error.retry_after(), delay);
            }
        }
    }

    #[test]
    fn a_limit_names_its_delay_in_either_field() {
        let (one, other) = (("retry-after", "12"), ("ratelimit", "\"default\";r=0;t=30"));
        let unreadable = ("ratelimit", "\"default\";r=0");
        let rows: [(&[_], _); 5] = [
            (&[one], Some(12)),
            (&[other], Some(30)),
            (&[one, other], Some(12)),
            (&[unreadable], None),
            (&[], None),
        ];
        for (fields, seconds) in rows {
            for body in [failure(1), "busy".to_owned()] {
                let answer = answer(429, fields, &body);
                let error = answer.result::<Value>("cdn").unwrap_err();
                assert!(error.is_retryable());
                assert_eq!(
                    error.retry_after(),
                    seconds.map(Duration::from_secs),
                    "{fields:?}"
                );
            }
        }
    }

    #[test]
    fn after_the_last_call_there_is_a_pause() {
        for (field, seconds) in [
            ("\"default\";r=0;t=30", Some(30)),
            ("\"default\";t=7; r=0", Some(7)),
            ("\"default\";r=10;t=30", None),
            ("\"default\";r=0", None),
            ("", None),
        ] {
            let answer = answer(200, &[("ratelimit", field)], "{}");
            assert_eq!(answer.pause(), seconds.map(Duration::from_secs), "{field}");
        }
    }

    #[test]
    fn an_answer_of_somebody_else_may_pass() {
        for body in ["", "<!doctype html>", "{}", "{\"success\":"] {
            let error = answer(200, &[], body).result::<Value>("cdn").unwrap_err();
            assert!(error.is_retryable(), "{body}");
        }
        assert!(
            !answer(403, &[], "<!doctype html>")
                .result::<Value>("cdn")
                .unwrap_err()
                .is_retryable()
        );
    }
}
