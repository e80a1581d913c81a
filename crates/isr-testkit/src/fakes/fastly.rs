//! A model of Fastly's API, as far as purging needs it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use wiremock::{Request, Respond, ResponseTemplate};

use super::{Front, TokenBucket};
use crate::connector_suite::Call;

/// The most keys of one call, and the longest key.
const KEYS: usize = 256;
const LONGEST_KEY: usize = 1_024;

/// Fastly with one service, and a [`Front`] before it.
#[derive(Debug)]
pub struct Fastly {
    front: Front,
}

/// A service, and the token it is called with.
#[derive(Debug)]
pub struct FastlyService {
    /// Its ID.
    pub id: String,
    /// Whether one of its versions is active.
    pub active: bool,
    /// The token.
    pub token: String,
    /// The token's scopes, with spaces between them.
    pub scope: String,
    /// The services that the token is for; none means all.
    pub services: Vec<String>,
    /// How many keys and URLs may be purged, where that is limited.
    pub purges: Option<TokenBucket>,
    /// How often all may be purged, where that is limited.
    pub writes: Option<TokenBucket>,
}

impl FastlyService {
    /// An active service, whose token may do what purging needs, as often as one likes.
    #[must_use]
    pub fn new(id: &str, token: &str) -> Self {
        Self {
            id: id.to_owned(),
            active: true,
            token: token.to_owned(),
            scope: "global:read purge_select purge_all".to_owned(),
            services: Vec::new(),
            purges: None,
            writes: None,
        }
    }
}

impl Fastly {
    /// Starts it.
    pub async fn start(service: FastlyService) -> Self {
        let api = Api {
            service,
            purges_done: Mutex::new(0),
        };
        Self {
            front: Front::before_model(api, failure).await,
        }
    }

    /// What stands in front of it, where the API is, to be told how requests end.
    #[must_use]
    pub const fn front(&self) -> &Front {
        &self.front
    }

    /// Every request to purge so far. Items are `key KEY`, `url HOST/PATH?QUERY` and `everything`.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let exchanges = self.front.exchanges();
        let purges = exchanges.iter().filter(|one| one.method == Method::POST);
        purges
            .map(|exchange| Call {
                items: items(&exchange.target, &exchange.body),
                soft: exchange.headers.contains_key("fastly-soft-purge"),
                carried_out: matches!(exchange.answer, Some((StatusCode::OK, _))),
            })
            .collect()
    }
}

fn items(target: &str, body: &[u8]) -> Vec<String> {
    if let Some(url) = target.strip_prefix("/purge/") {
        return vec![format!("url {url}")];
    }
    if target.ends_with("/purge_all") {
        return vec!["everything".to_owned()];
    }
    let keys = keys(body).unwrap_or_default();
    keys.iter().map(|key| format!("key {key}")).collect()
}

/// The keys that a body names, if it has the form that Fastly knows.
fn keys(body: &[u8]) -> Option<Vec<String>> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    serde_json::from_value(body.get("surrogate_keys")?.clone()).ok()
}

/// How Fastly says that it does not do what it was asked.
fn failure(status: u16) -> String {
    json!({ "msg": "As the test wants it", "details": format!("status {status}") }).to_string()
}

struct Api {
    service: FastlyService,
    purges_done: Mutex<u64>,
}

impl Respond for Api {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        match self.answer(request) {
            Ok(body) => ResponseTemplate::new(200).set_body_json(body),
            Err(refusal) => refusal.response(),
        }
    }
}

impl Api {
    fn answer(&self, request: &Request) -> Result<Value, Refusal> {
        let field = |name: &str| {
            request
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        if field("fastly-key") != Some(self.service.token.as_str()) {
            let msg = "Provided credentials are missing or invalid";
            return Err(Refusal::new(401, msg, ""));
        }
        let path: Vec<&str> = request.url.path().split('/').skip(1).collect();
        match (&request.method, path.as_slice()) {
            (&Method::GET, ["tokens", "self"]) => Ok(json!({
                "id": "5Yo3XXnrQpjc20u0ybrf2g",
                "scope": self.service.scope,
                "services": self.service.services,
                "expires_at": null,
            })),
            (&Method::GET, ["service", id]) => {
                self.may(&["global", "global:read"])?;
                self.is_known(id)?;
                Ok(json!({
                    "id": id,
                    "name": "test",
                    "type": "vcl",
                    "versions": [{ "number": 1, "active": self.service.active }],
                }))
            }
            (&Method::POST, ["service", id, "purge"]) => {
                self.may(&["global", "purge_select"])?;
                self.is_known(id)?;
                self.purge_keys(field("content-type"), &request.body)
            }
            (&Method::POST, ["service", id, "purge_all"]) => {
                self.may(&["global", "purge_all"])?;
                self.is_known(id)?;
                within(self.service.writes.as_ref(), 1)?;
                Ok(json!({ "status": "ok" }))
            }
            (&Method::POST, ["purge", host, ..]) if !host.is_empty() && path.len() > 2 => {
                self.may(&["global", "purge_select"])?;
                within(self.service.purges.as_ref(), 1)?;
                Ok(json!({ "status": "ok", "id": self.purge_id() }))
            }
            _ => Err(Refusal::new(
                404,
                "Record not found",
                "There is no such address",
            )),
        }
    }

    fn purge_keys(&self, content_type: Option<&str>, body: &[u8]) -> Result<Value, Refusal> {
        if content_type != Some("application/json") {
            return Err(Refusal::new(415, "Unsupported media type", ""));
        }
        let keys = keys(body).filter(|keys| !keys.is_empty());
        let keys =
            keys.ok_or_else(|| Refusal::new(400, "Bad request", "Missing surrogate keys"))?;
        let is_key = |key: &String| {
            (1..=LONGEST_KEY).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if keys.len() > KEYS || !keys.iter().all(is_key) {
            return Err(Refusal::new(
                400,
                "Bad request",
                "Too many or malformed surrogate keys",
            ));
        }
        within(
            self.service.purges.as_ref(),
            u32::try_from(keys.len()).unwrap(),
        )?;
        let ids: Map<String, Value> = keys
            .into_iter()
            .map(|key| (key, Value::from(self.purge_id())))
            .collect();
        Ok(Value::from(ids))
    }

    fn may(&self, one_of: &[&str]) -> Result<(), Refusal> {
        let mut scopes = self.service.scope.split(' ');
        if scopes.any(|scope| one_of.contains(&scope)) {
            return Ok(());
        }
        let details = "You are not authorized to perform this action";
        Err(Refusal::new(403, "You are not authorized", details))
    }

    fn is_known(&self, id: &str) -> Result<(), Refusal> {
        if id == self.service.id {
            return Ok(());
        }
        Err(Refusal::new(404, "Record not found", "Cannot find service"))
    }

    fn purge_id(&self) -> String {
        let mut done = self.purges_done.lock();
        *done += 1;
        format!("108-1391560174-{done:06}")
    }
}

/// Refuses what is beyond a limit, and says when it would not be.
fn within(limit: Option<&TokenBucket>, tokens: u32) -> Result<(), Refusal> {
    let Some(Err(wait)) = limit.map(|bucket| bucket.take(tokens)) else {
        return Ok(());
    };
    // The moment is told in whole seconds, and none before it will do.
    let reset = SystemTime::now() + wait + Duration::from_secs(1);
    Err(Refusal {
        reset: Some(reset.duration_since(UNIX_EPOCH).unwrap().as_secs()),
        ..Refusal::new(429, "Too many requests", "")
    })
}

/// How Fastly says no.
struct Refusal {
    status: u16,
    msg: &'static str,
    details: &'static str,
    reset: Option<u64>,
}

impl Refusal {
    const fn new(status: u16, msg: &'static str, details: &'static str) -> Self {
        Self {
            status,
            msg,
            details,
            reset: None,
        }
    }

    fn response(self) -> ResponseTemplate {
        let mut body = json!({ "msg": self.msg });
        if !self.details.is_empty() {
            body["details"] = self.details.into();
        }
        let response = ResponseTemplate::new(self.status).set_body_json(body);
        match self.reset {
            None => response,
            Some(reset) => response
                .insert_header("fastly-ratelimit-remaining", "0")
                .insert_header("fastly-ratelimit-reset", reset.to_string()),
        }
    }
}
