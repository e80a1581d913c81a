//! A model of Cloudflare's API: one zone of one account.
//!
//! Bodies and limits are those of Cloudflare's documentation and client, read on 2026-11-22. What could
//! not be confirmed there says so: the codes for authentication and routes, which users report, and the
//! status and code for too many items, which nobody does.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use isr_core::Clock;
use serde_json::{Map, Value, json};
use wiremock::{Request, Respond, ResponseTemplate};

use super::{Exchange, Front, TokenBucket};
use crate::connector_suite::Call;

/// The zone's ID.
pub const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
/// The zone's name: pages of other hosts are not purged.
pub const ZONE_NAME: &str = "example.com";
/// The token that may purge the zone.
pub const TOKEN: &str = "v1.0-7bd4c2e8f1a94e0d8b6c3a5f9e2d1c0b";

/// The kinds of purges, by the key in the body.
const KINDS: [&str; 5] = ["files", "tags", "prefixes", "hosts", "purge_everything"];
/// The longest tag, in characters.
const LONGEST_TAG: usize = 1024;
/// The most slashes of a prefix.
const MOST_SEPARATORS: usize = 31;
/// The most tags, prefixes or hosts of one request.
const MOST_ITEMS: usize = 100;

/// What the account may do, and what its token may.
#[derive(Clone, Copy, Debug)]
pub struct CloudflareAccount {
    /// Requests in the full bucket of those that purge no URLs.
    pub bucket: u32,
    /// Requests that come back to it in a second.
    pub requests_a_second: f64,
    /// URLs in a second.
    pub urls_a_second: u32,
    /// URLs in one request.
    pub urls_a_request: usize,
    /// Whether the token is one of a user, which can be verified without the account's ID.
    pub verifiable: bool,
    /// Whether the token may read the zone, besides purging it.
    pub reads_zone: bool,
    /// The zone's state.
    pub zone_status: &'static str,
}

/// The model, which ends when it is dropped.
#[derive(Debug)]
pub struct Cloudflare {
    front: Front,
}

/// What answers.
struct Api {
    account: CloudflareAccount,
    requests: TokenBucket,
    urls: TokenBucket,
}

/// A status and the errors that go with it.
type Refusal = (u16, Vec<(i64, String)>);

impl CloudflareAccount {
    /// The limits of the plan "Free".
    pub const FREE: Self = Self {
        bucket: 25,
        requests_a_second: 5.0 / 60.0,
        urls_a_second: 800,
        urls_a_request: 100,
        verifiable: true,
        reads_zone: true,
        zone_status: "active",
    };

    /// The limits of the plan "Enterprise".
    pub const ENTERPRISE: Self = Self {
        bucket: 500,
        requests_a_second: 50.0,
        urls_a_second: 3_000,
        urls_a_request: 500,
        ..Self::FREE
    };
}

impl Cloudflare {
    /// Starts a model whose buckets are full, and get tokens back as `clock` moves.
    pub async fn start(account: CloudflareAccount, clock: &Arc<dyn Clock>) -> Self {
        let bucket = |size, rate| TokenBucket::new(size, rate, Arc::clone(clock));
        let api = Api {
            account,
            requests: bucket(account.bucket, account.requests_a_second),
            urls: bucket(account.urls_a_second, account.urls_a_second.into()),
        };
        Self {
            front: Front::before_model(api, failure).await,
        }
    }

    /// What stands in front of it, to be told how requests end.
    #[must_use]
    pub const fn front(&self) -> &Front {
        &self.front
    }

    /// Where the API is.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("{}/client/v4", self.front.uri())
    }

    /// Every request to purge so far. A file with headers is its URL, a space, and the headers.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let exchanges = self.front.exchanges();
        exchanges.iter().filter_map(call).collect()
    }
}

fn call(exchange: &Exchange) -> Option<Call> {
    let soft = exchange.target.ends_with("/invalidate_cache");
    if exchange.method != Method::POST || !soft && !exchange.target.ends_with("/purge_cache") {
        return None;
    }
    let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
    let answered = exchange.answer.as_ref();
    let answer = answered.and_then(|(_, body)| serde_json::from_slice::<Value>(body).ok());
    Some(Call {
        items: body.as_object().map(items).unwrap_or_default(),
        soft,
        carried_out: answer.is_some_and(|answer| answer["success"] == true),
    })
}

/// What a body names, as the service takes it: tags in lower case.
fn items(body: &Map<String, Value>) -> Vec<String> {
    let each = |(kind, value): (&String, &Value)| match value.as_array() {
        Some(list) => list.iter().map(|item| named(kind, item)).collect(),
        // With a space, as no tag has it.
        None => vec![format!("{kind}: {value}")],
    };
    body.iter().flat_map(each).collect()
}

fn named(kind: &str, item: &Value) -> String {
    let text = item.as_str().unwrap_or_default();
    match kind {
        "tags" => text.to_ascii_lowercase(),
        "files" if item.is_object() => {
            format!(
                "{} {}",
                item["url"].as_str().unwrap_or_default(),
                item["headers"]
            )
        }
        _ => text.to_owned(),
    }
}

impl Respond for Api {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if !authorised(request) {
            return refused(&refusal(403, 10_000, "Authentication error"));
        }
        let path = request.url.path();
        let Some(route) = path.strip_prefix("/client/v4/") else {
            return refused(&no_route(path));
        };
        let zone = route
            .strip_prefix("zones/")
            .map(|rest| rest.split_once('/').unwrap_or((rest, "")));
        match (request.method.as_str(), zone) {
            ("GET", None) if route == "user/tokens/verify" => self.verify(),
            ("GET", Some((ZONE, ""))) => self.zone(),
            ("POST", Some((ZONE, "purge_cache" | "invalidate_cache"))) => {
                match self.purge(request) {
                    Ok(()) => succeeded(&json!({"id": ZONE})),
                    Err(answer) => *answer,
                }
            }
            _ => refused(&no_route(path)),
        }
    }
}

impl Api {
    fn verify(&self) -> ResponseTemplate {
        if self.account.verifiable {
            succeeded(&json!({"id": "ed17574386854bf78a67040be0a770b0", "status": "active"}))
        } else {
            refused(&refusal(401, 1_000, "Invalid API Token"))
        }
    }

    fn zone(&self) -> ResponseTemplate {
        if self.account.reads_zone {
            let status = self.account.zone_status;
            succeeded(&json!({"id": ZONE, "name": ZONE_NAME, "status": status, "paused": false}))
        } else {
            refused(&refusal(
                403,
                9_109,
                "Unauthorized to access requested resource",
            ))
        }
    }

    fn purge(&self, request: &Request) -> Result<(), Box<ResponseTemplate>> {
        let refuse = |refusal: Refusal| Box::new(refused(&refusal));
        let kind = request
            .headers
            .get("content-type")
            .map(http::HeaderValue::as_bytes);
        if kind != Some(b"application/json") {
            return Err(refuse(refusal(
                415,
                6_003,
                "Content-Type must be application/json",
            )));
        }
        let body = serde_json::from_slice::<Map<String, Value>>(&request.body);
        let body =
            body.map_err(|_| refuse(refusal(400, 6_007, "Malformed JSON in request body")))?;
        let count = self.count(&body).map_err(refuse)?;
        let bucket = if body.contains_key("files") {
            self.urls.take(count)
        } else {
            self.requests.take(1)
        };
        bucket.map_err(|wait| Box::new(throttled(wait)))
    }

    /// How many items a body names, if it may name them.
    fn count(&self, body: &Map<String, Value>) -> Result<u32, Refusal> {
        let mut entries = body.iter();
        let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
            return Err(one_kind());
        };
        if !KINDS.contains(&kind.as_str()) {
            return Err(one_kind());
        }
        if kind == "purge_everything" {
            let is_true = *value == true;
            return is_true
                .then_some(1)
                .ok_or_else(|| refusal(400, 1_013, "'purge_everything' must be true"));
        }
        let Some(list) = value.as_array() else {
            return Err(refusal(
                400,
                1_014,
                "\"files\", \"tags\", or \"hosts\" must be an array",
            ));
        };
        let most = if kind == "files" {
            self.account.urls_a_request
        } else {
            MOST_ITEMS
        };
        if list.is_empty() {
            return Err(one_kind());
        }
        if list.len() > most {
            return Err(refusal(
                400,
                1_094,
                &format!("cannot provide more than {most} items"),
            ));
        }
        let mut faults: Vec<(i64, String)> =
            list.iter().filter_map(|item| fault(kind, item)).collect();
        if faults.is_empty() {
            return Ok(u32::try_from(list.len()).unwrap_or(u32::MAX));
        }
        // Such failures come with the status of success.
        faults.push((1_016, "One or more cache purge errors".to_owned()));
        Err((200, faults))
    }
}

/// What is wrong with one item.
fn fault(kind: &str, item: &Value) -> Option<(i64, String)> {
    let text = item.as_str().unwrap_or_default();
    match kind {
        "files" => {
            let url = item["url"].as_str().unwrap_or(text);
            let headers =
                item.is_string() || item["headers"].as_object().is_some_and(|h| !h.is_empty());
            let good = headers && is_file(url);
            (!good).then(|| (1_015, format!("Unable to purge {url}")))
        }
        "tags" if text.chars().count() > LONGEST_TAG => {
            let shown: String = text.chars().take(20).collect();
            Some((
                1_100,
                format!("Tag exceeds maximum length of 1024 characters: {shown}..."),
            ))
        }
        "tags" if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) => Some((
            1_315,
            "Non-printable characters are forbidden in tags".to_owned(),
        )),
        "hosts" if !of_zone(text) => Some((1_016, format!("Unable to purge {text}"))),
        "prefixes" if !is_prefix(text) => Some((1_016, format!("Unable to purge {text}"))),
        _ => None,
    }
}

/// A URL of the zone, percent-encoded, without a fragment.
fn is_file(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let plain = rest.bytes().all(|byte| byte.is_ascii_graphic()) && !rest.contains('#');
        plain && of_zone(host.split(':').next().unwrap_or_default())
    })
}

/// Host and path of the zone: no scheme, query or fragment.
fn is_prefix(prefix: &str) -> bool {
    let host = prefix.split('/').next().unwrap_or_default();
    let separators = prefix.matches('/').count();
    of_zone(host) && separators <= MOST_SEPARATORS && !prefix.contains(['?', '#', ':'])
}

fn of_zone(host: &str) -> bool {
    let beneath = host.strip_suffix(ZONE_NAME);
    beneath.is_some_and(|labels| labels.is_empty() || labels.ends_with('.'))
        && host
            .bytes()
            .all(|byte| !byte.is_ascii_uppercase() && byte.is_ascii_graphic())
}

fn authorised(request: &Request) -> bool {
    let field = request
        .headers
        .get("authorization")
        .map(http::HeaderValue::as_bytes);
    field == Some(format!("Bearer {TOKEN}").as_bytes())
}

fn one_kind() -> Refusal {
    let message = "Request must contain one of \"purge_everything\", \"files\", \"tags\", \"hosts\" \
                   or \"prefixes\"";
    refusal(400, 1_012, message)
}

fn no_route(path: &str) -> Refusal {
    let message = format!("Could not route to {path}, perhaps your object identifier is invalid?");
    refusal(404, 7_003, &message)
}

fn refusal(status: u16, code: i64, message: &str) -> Refusal {
    (status, vec![(code, message.to_owned())])
}

fn succeeded(result: &Value) -> ResponseTemplate {
    let body = json!({"success": true, "errors": [], "messages": [], "result": result});
    ResponseTemplate::new(200).set_body_json(body)
}

fn refused((status, errors): &Refusal) -> ResponseTemplate {
    ResponseTemplate::new(*status).set_body_raw(without_success(errors), "application/json")
}

/// The fields are documented; the code and the message are not.
fn throttled(wait: Duration) -> ResponseTemplate {
    let seconds = wait.as_secs_f64().ceil();
    refused(&refusal(429, 971, "Rate limit enforced for cache purge."))
        .insert_header("retry-after", seconds.to_string())
        .insert_header("ratelimit", format!("\"default\";r=0;t={seconds}"))
}

/// The body of a failure that the model is told to have.
fn failure(status: u16) -> String {
    let status = StatusCode::from_u16(status).ok();
    let message = status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    without_success(&[(10_000, message.to_owned())])
}

fn without_success(errors: &[(i64, String)]) -> String {
    let one = |(code, message): &(i64, String)| json!({"code": code, "message": message});
    let errors: Vec<Value> = errors.iter().map(one).collect();
    json!({"success": false, "errors": errors, "messages": [], "result": null}).to_string()
}
