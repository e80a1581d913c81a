//! What an answer means for the page.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, StatusCode};
use isr_core::{GENERATION_HEADER, Generation, WarmFailure, WarmOutcome, retry_after};
use sfv::{BareItem, Item, List, ListEntry, Parser};

use crate::signal::Signal;

/// The response header by which caches say how they handled a request (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What came of one attempt.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A response, to its end unless its status is an error's.
    Response {
        status: StatusCode,
        headers: HeaderMap,
        took: Duration,
    },
    /// No response, or not all of it.
    Broken { reason: WarmFailure, detail: String },
    /// More of a response than anybody wants.
    TooLarge { limit: u64 },
}

/// Whether an answer is the last word.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is.
    Final(WarmOutcome),
    /// A later attempt may end better.
    Again {
        /// How the page ended if there is no later attempt.
        outcome: WarmOutcome,
        /// How long the origin asks to be left alone.
        pause: Option<Duration>,
    },
}

/// How long an origin is left alone that has had too many requests and does not say for how long
/// that is so.
const AFTER_TOO_MANY: Duration = Duration::from_secs(1);

impl Answer {
    /// What the answer tells about the origin.
    pub(crate) fn signal(&self) -> Signal {
        match self {
            Self::Response { status, took, .. } => match status.as_u16() {
                200..=299 => Signal::Served { took: *took },
                429 | 502..=504 => Signal::Refused,
                500..=599 => Signal::Failed,
                _ => Signal::Answered,
            },
            Self::Broken { reason, .. } => match reason {
                WarmFailure::Body => Signal::Failed,
                _ => Signal::Refused,
            },
            Self::TooLarge { .. } => Signal::Answered,
        }
    }

    /// What the answer means for whoever asked for a page rendered under no less than `least`.
    pub(crate) fn judge(self, least: Option<Generation>, now: SystemTime) -> Verdict {
        match self {
            Self::Response {
                status,
                headers,
                took,
            } => of_response(status, &headers, took, least, now),
            Self::Broken { reason, detail } => Verdict::Again {
                outcome: WarmOutcome::Failed { reason, detail },
                pause: None,
            },
            Self::TooLarge { limit } => Verdict::Final(WarmOutcome::Failed {
                reason: WarmFailure::Body,
                detail: format!("the body is larger than {limit} bytes"),
            }),
        }
    }
}

fn of_response(
    status: StatusCode,
    headers: &HeaderMap,
    took: Duration,
    least: Option<Generation>,
    now: SystemTime,
) -> Verdict {
    let code = status.as_u16();
    let failed = || {
        let detail = format!("the response has status {code}");
        WarmOutcome::Failed {
            reason: WarmFailure::Status,
            detail,
        }
    };
    match code {
        200..=299 => {
            let freshness = Freshness::of(headers, least);
            let verified = freshness == Freshness::Verified;
            let outcome = WarmOutcome::Warmed {
                status: code,
                verified,
                took,
            };
            // A cache that serves a stale copy fetches a new one behind it, and a copy from before anybody
            // warmed the page does not say how old it is: who asks again finds the new one.
            if matches!(freshness, Freshness::TooOld | Freshness::Unsaid) {
                Verdict::Again {
                    outcome,
                    pause: None,
                }
            } else {
                Verdict::Final(outcome)
            }
        }
        300..=399 => Verdict::Final(WarmOutcome::Redirected { status: code }),
        404 | 410 => Verdict::Final(WarmOutcome::Gone { status: code }),
        429 | 502..=504 => Verdict::Again {
            outcome: failed(),
            pause: retry_after(headers, now).or((code == 429).then_some(AFTER_TOO_MANY)),
        },
        _ => Verdict::Final(failed()),
    }
}

/// What a response says about how old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    /// Rendered under no less than what was asked for.
    Verified,
    /// Rendered under less, or served stale.
    TooOld,
    /// Nothing that can be compared.
    Unsaid,
    /// It does not matter.
    Any,
}

impl Freshness {
    fn of(headers: &HeaderMap, least: Option<Generation>) -> Self {
        if served_stale(headers) {
            return Self::TooOld;
        }
        let generation = headers
            .get(GENERATION_HEADER)
            .and_then(|value| value.to_str().ok());
        match (
            generation.and_then(|text| text.parse::<Generation>().ok()),
            least,
        ) {
            (Some(generation), Some(least)) if generation.covers(least) => Self::Verified,
            (Some(_), Some(_)) => Self::TooOld,
            (None, Some(_)) => Self::Unsaid,
            (_, None) => Self::Any,
        }
    }
}

/// Whether any cache on the way says that it answered with a stored response whose lifetime had
/// ended: `hit` with a `ttl` below zero (RFC 9211 §2.1, §2.4).
fn served_stale(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_STATUS).iter().any(|line| {
        let caches = Parser::new(line.as_bytes())
            .parse::<List>()
            .unwrap_or_default();
        caches
            .iter()
            .any(|cache| matches!(cache, ListEntry::Item(cache) if is_stale_hit(cache)))
    })
}

fn is_stale_hit(cache: &Item) -> bool {
    let hit = cache.params.get("hit").and_then(BareItem::as_boolean) == Some(true);
    let ttl = cache.params.get("ttl").and_then(BareItem::as_integer);
    hit && ttl.is_some_and(|ttl| i64::from(ttl) < 0)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use isr_core::Epoch;

    use super::*;

    const TOOK: Duration = Duration::from_millis(3);
    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn generation(number: u64) -> Generation {
        Generation {
            epoch: Epoch::new(1),
            number,
        }
    }

    fn judge(status: u16, fields: &[(HeaderName, &str)], least: Option<Generation>) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Answer::Response {
            status,
            headers,
            took: TOOK,
        }
        .judge(least, NOW)
    }

    fn warmed(status: u16, verified: bool) -> WarmOutcome {
        WarmOutcome::Warmed {
            status,
            verified,
            took: TOOK,
        }
    }

    fn failed(status: u16) -> WarmOutcome {
        let detail = format!("the response has status {status}");
        WarmOutcome::Failed {
            reason: WarmFailure::Status,
            detail,
        }
    }

    #[test]
    fn a_status_decides_whether_to_try_again() {
        let last = Verdict::Final;
        let again = |status| Verdict::Again {
            outcome: failed(status),
            pause: (status == 429).then_some(AFTER_TOO_MANY),
        };
        let gone = |status| last(WarmOutcome::Gone { status });
        let redirected = |status| last(WarmOutcome::Redirected { status });
        let cases = [
            (200, last(warmed(200, false))),
            (204, last(warmed(204, false))),
            (301, redirected(301)),
            (302, redirected(302)),
            (304, redirected(304)),
            (308, redirected(308)),
            (404, gone(404)),
            (410, gone(410)),
            (400, last(failed(400))),
            (401, last(failed(401))),
            (403, last(failed(403))),
            (429, again(429)),
            (500, last(failed(500))),
            (501, last(failed(501))),
            (502, again(502)),
            (503, again(503)),
            (504, again(504)),
            (505, last(failed(505))),
            (999, last(failed(999))),
        ];
        for (status, expected) in cases {
            assert_eq!(judge(status, &[], None), expected, "{status}");
        }
    }

    #[test]
    fn an_answer_tells_how_the_origin_fares() {
        let served = Signal::Served { took: TOOK };
        let cases = [
            (200, served),
            (204, served),
            (301, Signal::Answered),
            (304, Signal::Answered),
            (401, Signal::Answered),
            (404, Signal::Answered),
            (429, Signal::Refused),
            (500, Signal::Failed),
            (501, Signal::Failed),
            (502, Signal::Refused),
            (503, Signal::Refused),
            (504, Signal::Refused),
            (505, Signal::Failed),
        ];
        for (status, expected) in cases {
            let answer = Answer::Response {
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                took: TOOK,
            };
            assert_eq!(answer.signal(), expected, "{status}");
        }
        let broken = |reason| {
            let detail = String::new();
            Answer::Broken { reason, detail }.signal()
        };
        assert_eq!(broken(WarmFailure::Connect), Signal::Refused);
        assert_eq!(broken(WarmFailure::Timeout), Signal::Refused);
        assert_eq!(broken(WarmFailure::Body), Signal::Failed);
        assert_eq!(Answer::TooLarge { limit: 1 }.signal(), Signal::Answered);
    }

    #[test]
    fn an_origin_that_is_busy_is_left_alone_as_long_as_it_asks() {
        for status in [429, 503] {
            let verdict = judge(status, &[(http::header::RETRY_AFTER, "9")], None);
            let pause = Some(Duration::from_secs(9));
            assert_eq!(
                verdict,
                Verdict::Again {
                    outcome: failed(status),
                    pause
                }
            );
        }
    }

    #[test]
    fn a_response_is_verified_only_by_a_generation_that_covers_the_least() {
        let again = Verdict::Again {
            outcome: warmed(200, false),
            pause: None,
        };
        let unverified = Verdict::Final(warmed(200, false));
        let verified = Verdict::Final(warmed(200, true));
        let foreign = Generation {
            epoch: Epoch::new(2),
            number: 9,
        }
        .to_string();
        let cases = [
            (
                Some(generation(5).to_string()),
                Some(generation(5)),
                &verified,
            ),
            (
                Some(generation(6).to_string()),
                Some(generation(5)),
                &verified,
            ),
            (Some(generation(4).to_string()), Some(generation(5)), &again),
            (Some(foreign), Some(generation(5)), &again),
            (Some("rubbish".to_owned()), Some(generation(5)), &again),
            (None, Some(generation(5)), &again),
            (Some(generation(5).to_string()), None, &unverified),
            (None, None, &unverified),
        ];
        for (header, least, expected) in cases {
            let fields: Vec<_> = header
                .iter()
                .map(|value| (GENERATION_HEADER, &**value))
                .collect();
            assert_eq!(
                judge(200, &fields, least),
                *expected,
                "{header:?} for {least:?}"
            );
        }
    }

    #[test]
    fn a_response_served_stale_is_too_old_whatever_its_generation() {
        let cases = [
            ("edge; hit; ttl=-1", true),
            ("edge; fwd=uri-miss; stored, cdn; hit; ttl=-30", true),
            ("edge; hit; ttl=-30, cdn; fwd=uri-miss", true),
            ("edge; hit; ttl=0", false),
            ("edge; hit; ttl=60", false),
            ("edge; hit", false),
            ("edge; hit=?0; ttl=-1", false),
            ("edge; fwd=stale; ttl=-1", false),
            ("edge; hit; ttl=-1; \"", false),
            ("", false),
        ];
        let current = generation(5).to_string();
        for (value, stale) in cases {
            let fields = [(GENERATION_HEADER, &*current), (CACHE_STATUS, value)];
            let again = matches!(
                judge(200, &fields, Some(generation(5))),
                Verdict::Again { .. }
            );
            assert_eq!(again, stale, "{value:?}");
        }
    }
}
