//! From what Fastly answered to what the pipeline is told.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};
use isr_core::{ConnectorError, excerpt_within};
use serde::Deserialize;

use crate::api::Answer;
use crate::request::AsksFor;

/// The field that says when calls are taken again, in seconds since 1970.
const RESET: &str = "fastly-ratelimit-reset";
/// Calls that are left until then.
const REMAINING: &str = "fastly-ratelimit-remaining";

/// The most characters that are shown of what Fastly said.
const LONGEST_REASON: usize = 200;

/// What Fastly answers to a purge of a URL, or of everything.
#[derive(Debug, Deserialize)]
struct Purged {
    status: String,
}

/// What Fastly says when it does not do what it was asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Complaint {
    msg: String,
    details: String,
}

/// Whether a purge was taken on.
pub(crate) fn purged(
    name: &str,
    service: &str,
    asked: &AsksFor,
    answer: &Answer,
) -> Result<(), ConnectorError> {
    if !answer.status.is_success() {
        return Err(error(name, service, answer));
    }
    match asked {
        AsksFor::Keys(keys) => all_are_named(name, keys, &answer.body),
        AsksFor::Url | AsksFor::Everything => says_ok(name, &answer.body),
    }
}

/// The answer has an ID for each key. One that lacks a key is a broken answer: purging again harms
/// nobody, and believing that it was purged does.
fn all_are_named(name: &str, keys: &[String], body: &[u8]) -> Result<(), ConnectorError> {
    let ids: HashMap<String, String> =
        serde_json::from_slice(body).map_err(|error| ConnectorError::unreachable(name, error))?;
    match keys.iter().find(|&key| !ids.contains_key(key)) {
        None => Ok(()),
        Some(key) => {
            let reason = format!("the answer does not confirm `{key}`");
            Err(ConnectorError::unreachable(name, reason))
        }
    }
}

fn says_ok(name: &str, body: &[u8]) -> Result<(), ConnectorError> {
    let answer: Purged =
        serde_json::from_slice(body).map_err(|error| ConnectorError::unreachable(name, error))?;
    if answer.status == "ok" {
        return Ok(());
    }
    // It came with 200 and yet is a refusal, so it is told as one.
    let said = excerpt_within(&answer.status, LONGEST_REASON);
    Err(ConnectorError::refused(
        name,
        format!("it answered {}: {said}", StatusCode::OK),
    ))
}

/// The error that an answer with a status other than 2xx is.
pub(crate) fn error(name: &str, service: &str, answer: &Answer) -> ConnectorError {
    let mut error = ConnectorError::from_answer(
        name,
        answer.status,
        &answer.headers,
        &complaint(&answer.body),
        answer.at,
    );
    match &mut error {
        ConnectorError::RateLimited { retry_after, .. } => {
            let reset = || until_reset(&answer.headers, answer.at);
            *retry_after = retry_after.or_else(reset);
        }
        ConnectorError::Refused { reason, .. } => {
            if let Some(advice) = advice(answer.status, service) {
                *reason = format!("{reason}: {advice}");
            }
        }
        _ => {}
    }
    error
}

/// What was said, as text: the parts of Fastly's own form, or whatever came.
fn complaint(body: &[u8]) -> String {
    match serde_json::from_slice::<Complaint>(body) {
        Ok(Complaint { msg, details }) if details.is_empty() => msg,
        Ok(Complaint { msg, details }) => format!("{msg} ({details})"),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// How long to wait after a success that was the last for now.
pub(crate) fn pause(answer: &Answer) -> Option<Duration> {
    let left = answer.headers.get(REMAINING)?.to_str().ok()?;
    (left.trim() == "0").then(|| until_reset(&answer.headers, answer.at))?
}

fn until_reset(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let seconds = headers.get(RESET)?.to_str().ok()?.trim().parse().ok()?;
    let reset = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(reset.duration_since(now).unwrap_or_default())
}

/// What is to be done about a refusal.
pub(crate) fn advice(status: StatusCode, service: &str) -> Option<String> {
    match status {
        StatusCode::UNAUTHORIZED => Some("give a valid API token as `token`".to_owned()),
        StatusCode::FORBIDDEN => Some(
            "give the token the scope purge_select, and purge_all to purge everything".to_owned(),
        ),
        StatusCode::NOT_FOUND => Some(format!(
            "the token's account has no service {service}, or the token may not touch it; check `service`"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answered(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
            at: UNIX_EPOCH,
        }
    }

    fn keys(body: &str) -> Result<(), ConnectorError> {
        let asked = AsksFor::Keys(vec!["a".into(), "b".into()]);
        purged("cdn", "S1", &asked, &answered(200, body))
    }

    #[test]
    fn every_key_has_to_be_confirmed() {
        assert!(keys(r#"{"a": "1-2-3", "b": "1-2-4"}"#).is_ok());
        for body in [
            r#"{"a": "1-2-3"}"#,
            "{}",
            "",
            r#"{"status": "ok"}"#,
            "<html>",
        ] {
            assert!(keys(body).unwrap_err().is_retryable(), "{body}");
        }
    }

    #[test]
    fn only_ok_is_ok() {
        let url = |body| purged("cdn", "S1", &AsksFor::Url, &answered(200, body));
        assert!(url(r#"{"status": "ok", "id": "108-1391560174-974124"}"#).is_ok());
        assert!(!url(r#"{"status": "error"}"#).unwrap_err().is_retryable());
        assert!(url(r#"{"stat"#).unwrap_err().is_retryable());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let body = r#"{"msg": "Record not found", "details": "Cannot find service"}"#;
        let text = error("cdn", "S1", &answered(404, body)).to_string();
        assert_eq!(
            text,
            "cdn refused the purge: it answered 404 Not Found: Record not found (Cannot find service): \
             the token's account has no service S1, or the token may not touch it; check `service`"
        );
    }

    #[test]
    fn the_reset_is_a_point_in_time() {
        let now = UNIX_EPOCH + Duration::from_secs(1_452_032_384);
        let until = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            until_reset(
                &HeaderMap::from_iter([(http::HeaderName::from_static(RESET), value)]),
                now,
            )
        };
        assert_eq!(until("1452032390"), Some(Duration::from_secs(6)));
        assert_eq!(until("1452032300"), Some(Duration::ZERO));
        assert_eq!(until("18446744073709551615"), None);
        assert_eq!(until("soon"), None);
    }

    #[test]
    fn after_the_last_call_there_is_a_pause() {
        let after = |left: &'static str| {
            let mut answer = answered(200, "");
            answer
                .headers
                .insert(REMAINING, HeaderValue::from_static(left));
            answer.headers.insert(RESET, HeaderValue::from_static("9"));
            pause(&answer)
        };
        assert_eq!(after("0"), Some(Duration::from_secs(9)));
        assert_eq!(after("1"), None);
        assert_eq!(after("none"), None);
        assert_eq!(pause(&answered(200, "")), None);
    }
}
