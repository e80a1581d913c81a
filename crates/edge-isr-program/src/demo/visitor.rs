//! Somebody who visits the site through the edge.

use std::time::Instant;

use reqwest::redirect::Policy;

use super::record::{Outcome, Visit};
use crate::failure::Failure;

/// A visitor.
#[derive(Debug)]
pub(super) struct Visitor {
    edge: String,
    http: reqwest::Client,
}

impl Visitor {
    /// A visitor of the edge at this address.
    pub(super) fn new(edge: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .user_agent("edge-isr-demo")
            .build()
            .map_err(Failure::asked)?;
        Ok(Self {
            edge: edge.to_owned(),
            http,
        })
    }

    /// Visits a page.
    pub(super) async fn visit(&self, path: &str) -> Result<Visit, Failure> {
        let started = Instant::now();
        let response = self
            .http
            .get(format!("{}{path}", self.edge))
            .send()
            .await
            .map_err(Failure::asked)?;
        let status = response.status().as_u16();
        let cache_status = response.headers().get("cache-status");
        let cache_status = cache_status
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = response.text().await.map_err(Failure::asked)?;
        let took = started.elapsed();
        Ok(Visit {
            outcome: outcome(&cache_status),
            status,
            took,
            cache_status,
            body,
        })
    }

    /// Sends a form, and answers with where it leads.
    pub(super) async fn send(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<String, Failure> {
        let request = self.http.post(format!("{}{path}", self.edge)).form(fields);
        let response = request.send().await.map_err(Failure::asked)?;
        let location = response
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok());
        match location {
            Some(location) if response.status().is_redirection() => Ok(location.to_owned()),
            _ => Err(Failure::Asked(format!(
                "the form at {path} was answered with {}",
                response.status()
            ))),
        }
    }
}

/// How a request was answered, from its `Cache-Status` (RFC 9211). A hit whose remaining time to live
/// is negative was served stale (§2.4).
fn outcome(cache_status: &str) -> Outcome {
    let parameters: Vec<&str> = cache_status.split(';').map(str::trim).skip(1).collect();
    let value = |name: &str| {
        parameters
            .iter()
            .find_map(|parameter| parameter.strip_prefix(name))
    };
    let is_hit = parameters.contains(&"hit");
    let is_stale = value("ttl=").is_some_and(|ttl| ttl.starts_with('-'))
        || value("detail=").is_some_and(|detail| detail.contains("stale"));
    match (is_hit, is_stale, value("fwd=")) {
        (true, false, _) => Outcome::Hit,
        (true, true, _) => Outcome::Stale,
        (false, _, Some("uri-miss" | "miss" | "stale")) => Outcome::Miss,
        _ => Outcome::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_rfc_9211_are_understood() {
        let rows = [
            ("edge-isr; hit; ttl=3600", Outcome::Hit),
            ("edge-isr; hit; ttl=-2", Outcome::Stale),
            ("edge-isr; fwd=uri-miss; stored", Outcome::Miss),
            ("edge-isr; fwd=stale; fwd-status=200", Outcome::Miss),
            ("edge-isr; fwd=bypass", Outcome::Other),
            ("", Outcome::Other),
        ];
        for (field, expected) in rows {
            assert_eq!(outcome(field), expected, "{field}");
        }
    }
}
