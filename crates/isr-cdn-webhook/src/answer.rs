//! From what the receiver answered to what it means.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use isr_core::{BoundedBody, ConnectorError, PurgeBatch, PurgeReceipt, Target, excerpt_within};
use serde::Deserialize;
use serde_json::Value;

use crate::request::written;

/// What an answer is longer than only by mistake, in bytes: room for some reasons of ten thousand
/// targets would be more, but who refuses so many refuses the call.
const LONGEST_BODY: usize = 64 * 1024;

/// The most characters that are shown of the reason for one target.
const LONGEST_REASON: usize = 200;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// When it had come.
    at: SystemTime,
}

/// What a receiver may say besides that it succeeded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    accepted: Option<u64>,
    rejected: Vec<Rejected>,
    copies: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Rejected {
    target: Value,
    #[serde(default)]
    reason: String,
}

impl Answer {
    /// Reads an answer to its end; the error is one of the connection.
    pub(crate) async fn read(
        connector: &str,
        response: Result<reqwest::Response, reqwest::Error>,
    ) -> Result<Self, ConnectorError> {
        // The URL may hold a secret.
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

    /// The error that it is, unless the call succeeded.
    pub(crate) fn succeeded(&self, connector: &str) -> Result<(), ConnectorError> {
        if self.status.is_success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&self.body);
        Err(ConnectorError::from_answer(
            connector,
            self.status,
            &self.headers,
            &said,
            self.at,
        ))
    }

    /// What became of the batch. A receiver need not say anything: what it does say has to make sense.
    pub(crate) fn receipt(
        &self,
        connector: &str,
        batch: &PurgeBatch,
    ) -> Result<PurgeReceipt, ConnectorError> {
        self.succeeded(connector)?;
        let nonsense = |reason: String| ConnectorError::unreachable(connector, reason);
        let said = match self.body.trim_ascii_start().first() {
            Some(b'{') => serde_json::from_slice::<Said>(&self.body).map_err(|_| {
                nonsense("its answer is no JSON of the form that is documented".to_owned())
            })?,
            // A login page of a network, or of the site itself, is not what was called.
            Some(b'<') => {
                let reason = "it answered with a page for people: answer calls with 204, or JSON";
                return Err(nonsense(reason.to_owned()));
            }
            _ => return Ok(PurgeReceipt::accepted(batch)),
        };
        let rejected = said.rejected.into_iter().map(|one| {
            let target = find(batch, &one.target);
            let reason = match excerpt_within(one.reason.trim(), LONGEST_REASON) {
                reason if reason.is_empty() => "it gave no reason".to_owned(),
                reason => reason,
            };
            target
                .map(|target| (target, reason))
                .ok_or_else(|| nonsense("it rejected a target that was not in the call".to_owned()))
        });
        let rejected: Vec<_> = rejected.collect::<Result<_, _>>()?;
        let rest = (batch.targets().len() as u64).saturating_sub(rejected.len() as u64);
        match said.accepted {
            Some(accepted) if accepted != rest => {
                let reason = format!("it accepted {accepted} targets and did not reject {rest}");
                Err(nonsense(reason))
            }
            _ => Ok(PurgeReceipt {
                accepted: rest,
                rejected,
                copies: said.copies,
                ..PurgeReceipt::default()
            }),
        }
    }
}

/// The target of a batch that is written so.
fn find(batch: &PurgeBatch, text: &Value) -> Option<Target> {
    let mut each = batch.targets().iter();
    let target = each.find(|target| {
        let written = written(target).map(serde_json::to_value);
        written.is_some_and(|written| written.is_ok_and(|written| written == *text))
    });
    target.cloned()
}

#[cfg(test)]
mod tests {
    use isr_core::{Epoch, Mode, Position, tag};

    use super::*;

    fn receipt(body: &str) -> Result<PurgeReceipt, ConnectorError> {
        let answer = Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            at: SystemTime::UNIX_EPOCH,
        };
        let targets = vec![Target::Tag(tag("post", 1)), Target::Everything];
        let position = Position::new(Epoch::new(1), [1]);
        answer.receipt(
            "hook",
            &PurgeBatch::new(targets, Mode::Hard, position).unwrap(),
        )
    }

    #[test]
    fn a_receiver_need_not_say_more_than_that_it_succeeded() {
        for body in [
            "",
            "ok",
            "{}",
            "null",
            " {\"accepted\": 2}",
            "{\"more\": [1]}",
        ] {
            let receipt = receipt(body).unwrap();
            assert_eq!((receipt.accepted, receipt.rejected), (2, vec![]), "{body}");
        }
        assert_eq!(receipt("{\"copies\": 7}").unwrap().copies, Some(7));
    }

    #[test]
    fn rejected_targets_are_named_as_they_were_sent() {
        let body = r#"{"rejected": [{"target": {"tag": "post:1"}, "reason": "no\nsuch tag"}]}"#;
        let receipt = receipt(body).unwrap();
        assert_eq!(receipt.accepted, 1);
        let expected = (Target::Tag(tag("post", 1)), "no\\nsuch tag".to_owned());
        assert_eq!(receipt.rejected, [expected]);
        let rejected = self::receipt(r#"{"rejected": [{"target": {"everything": true}}]}"#);
        let expected = (Target::Everything, "it gave no reason".to_owned());
        assert_eq!(rejected.unwrap().rejected, [expected]);
    }

    #[test]
    fn what_makes_no_sense_may_pass_and_is_no_success() {
        for body in [
            "{\"accepted\":",
            "<!doctype html>",
            " <p>",
            "{\"accepted\": 1}",
            "{\"accepted\": 3}",
            "{\"rejected\": [{\"target\": {\"tag\": \"post:2\"}}]}",
            "{\"rejected\": [{\"target\": \"post:1\"}]}",
            "{\"rejected\": {}}",
        ] {
            assert!(receipt(body).unwrap_err().is_retryable(), "{body}");
        }
    }
}
