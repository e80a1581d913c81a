//! From what CloudFront answered to what the pipeline is told.

use std::time::Duration;

use isr_core::{ConnectorError, excerpt_within};

use crate::options::Scope;
use crate::service::Fault;

/// The most characters that are shown of what CloudFront said.
const LONGEST_REASON: usize = 200;

/// AWS's names for "too often", some of which come with 400 and not 429. Those of general use are from
/// the SDK's own list.
const THROTTLED: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
];

/// CloudFront's name for "busy with as much as is allowed", with 400.
const BUSY: &str = "TooManyInvalidationsInProgress";

/// The error that a fault is to the connector `name`. `busy_for` is how long it takes until there may be
/// room for another invalidation.
pub(crate) fn error(name: &str, scope: &Scope, fault: Fault, busy_for: Duration) -> ConnectorError {
    let connector = name.to_owned();
    let (status, code, message, retry_after) = match fault {
        Fault::NotReached(source) => return ConnectorError::Unreachable { connector, source },
        Fault::NoCredentials(reason) => {
            let reason = format!(
                "there are no credentials to sign with ({}): set access_key_id and secret_access_key, or \
                 AWS_PROFILE, or give the machine a role",
                excerpt_within(&reason, LONGEST_REASON)
            );
            return ConnectorError::refused(name, reason);
        }
        Fault::Answered {
            status,
            code,
            message,
            retry_after,
        } => (status, code, message, retry_after),
    };
    let reason = said(status, &code, &message);
    if code == BUSY {
        return ConnectorError::RateLimited {
            connector,
            reason,
            retry_after: retry_after.or(Some(busy_for)),
        };
    }
    if status == 429 || THROTTLED.contains(&code.as_str()) {
        return ConnectorError::RateLimited {
            connector,
            reason,
            retry_after,
        };
    }
    if may_pass(status, &code) {
        let source = reason.into();
        return ConnectorError::Unreachable { connector, source };
    }
    // What there is advice for is over who called, and where.
    match advice(scope, &code) {
        Some(advice) if status == 413 => {
            ConnectorError::refused_over_targets(name, format!("{reason}: {advice}"))
        }
        Some(advice) => ConnectorError::refused(name, format!("{reason}: {advice}")),
        None if status == 400 => ConnectorError::refused_over_targets(name, reason),
        None => ConnectorError::refused(name, reason),
    }
}

/// Whether the service itself failed. A 400 without a code is an answer that broke off, and may have been
/// any of those that come with 400.
fn may_pass(status: u16, code: &str) -> bool {
    status >= 500
        || status == 408
        || matches!(code, "RequestTimeout" | "InternalError" | "InternalFailure")
        || (status == 400 && code.is_empty())
}

fn said(status: u16, code: &str, message: &str) -> String {
    let told: Vec<&str> = [code, message]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    if told.is_empty() {
        return format!("it answered {status}");
    }
    let told = excerpt_within(&told.join(": "), LONGEST_REASON);
    format!("it answered {status} {}", told.trim_end_matches('.'))
}

/// What is to be done about a refusal.
fn advice(scope: &Scope, code: &str) -> Option<String> {
    let advice = match code {
        "AccessDenied" => return Some(format!("allow {}", rights(scope).join(" and "))),
        "NoSuchDistribution" | "EntityNotFound" => return Some(unknown(scope)),
        "NoSuchInvalidation" => {
            "what became of it cannot be told; revalidate again if pages are still old"
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch" => {
            "check the access key and its secret"
        }
        "ExpiredToken" | "ExpiredTokenException" => "the session token has expired; give a new one",
        "RequestExpired" | "RequestTimeTooSkewed" => "set the clock of this machine",
        "BatchTooLarge" => "name fewer paths",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// That what is to be purged does not exist, and what to do.
pub(crate) fn unknown(scope: &Scope) -> String {
    match scope {
        Scope::Distribution(id) => format!(
            "this account has no distribution {id}; check `distribution`, and whose credentials these are"
        ),
        Scope::Tenant(id) => format!(
            "this account has no distribution tenant {id}; check `tenant`, and whose credentials these are"
        ),
    }
}

/// The rights that purging takes.
pub(crate) fn rights(scope: &Scope) -> [&'static str; 2] {
    match scope {
        Scope::Distribution(_) => [
            "cloudfront:CreateInvalidation",
            "cloudfront:GetInvalidation",
        ],
        Scope::Tenant(_) => [
            "cloudfront:CreateInvalidationForDistributionTenant",
            "cloudfront:GetInvalidationForDistributionTenant",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY_FOR: Duration = Duration::from_secs(5);

    fn answered(status: u16, code: &str) -> ConnectorError {
        let fault = Fault::Answered {
            status,
            code: code.into(),
            message: "No.".into(),
            retry_after: None,
        };
        error("cdn", &Scope::Distribution("E1".into()), fault, BUSY_FOR)
    }

    #[test]
    fn the_code_counts_where_the_status_misleads() {
        let limited = |code| matches!(answered(400, code), ConnectorError::RateLimited { .. });
        assert!(limited("Throttling") && limited("TooManyInvalidationsInProgress"));
        assert_eq!(answered(400, "Throttling").retry_after(), None);
        let busy = answered(400, "TooManyInvalidationsInProgress");
        assert_eq!(busy.retry_after(), Some(BUSY_FOR));
        let rows = [
            (400, "InvalidArgument", false),
            (400, "InconsistentQuantities", false),
            (400, "", true),
            (403, "AccessDenied", false),
            (404, "NoSuchDistribution", false),
            (404, "", false),
            (408, "", true),
            (413, "BatchTooLarge", false),
            (429, "", true),
            (500, "InternalError", true),
            (503, "", true),
        ];
        for (status, code, retryable) in rows {
            assert_eq!(
                answered(status, code).is_retryable(),
                retryable,
                "{status} {code}"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let text = answered(403, "AccessDenied").to_string();
        assert_eq!(
            text,
            "cdn refused the purge: it answered 403 AccessDenied: No: allow \
             cloudfront:CreateInvalidation and cloudfront:GetInvalidation"
        );
        let text = answered(404, "NoSuchDistribution").to_string();
        assert!(text.contains("no distribution E1"), "{text}");
    }
}
