//! A receiver of the calls of a webhook, as careful as its documentation asks receivers to be.

use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use wiremock::{Request, Respond, ResponseTemplate};

use super::{Exchange, Front};
use crate::connector_suite::Call;

/// The secret that calls are signed with.
pub const SECRET: &str = "c2VjcmV0LW9mLXRoZS1yZWNlaXZlcg-4f1d";
/// The path that calls are posted to, which is a secret too.
pub const PATH: &str = "/hooks/T02A-9f8e7d6c5b4a";
/// The beginning of tags that the receiver rejects.
pub const REJECTED: &str = "rejected:";

/// How far a call's time may be from the receiver's.
const WINDOW: Duration = Duration::from_mins(5);

/// What the receiver takes.
#[derive(Clone, Copy, Debug)]
pub struct WebhookLimits {
    /// The kinds of targets that it knows.
    pub kinds: &'static [&'static str],
    /// The most targets of one call.
    pub items: usize,
    /// The most bytes of a body.
    pub bytes: usize,
    /// Whether it says what it accepted and rejected, rather than 204.
    pub talks: bool,
}

impl WebhookLimits {
    /// One that takes everything there is, and says what it did.
    pub const WIDE: Self = Self {
        kinds: &["tag", "url", "prefix", "host", "everything"],
        items: 100,
        bytes: 64 * 1024,
        talks: true,
    };
}

/// The receiver, which ends when it is dropped.
#[derive(Debug)]
pub struct Webhook {
    front: Front,
}

struct Receiver {
    limits: WebhookLimits,
}

impl Webhook {
    /// Starts a receiver.
    pub async fn start(limits: WebhookLimits) -> Self {
        let front = Front::before_model(Receiver { limits }, |_| "no way".to_owned()).await;
        Self { front }
    }

    /// What stands in front of it, to be told how requests end.
    #[must_use]
    pub const fn front(&self) -> &Front {
        &self.front
    }

    /// Where calls are posted to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.front.uri())
    }

    /// Every call so far. An item is its kind, a space, and what it is.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let exchanges = self.front.exchanges();
        let posts = exchanges
            .iter()
            .filter(|exchange| exchange.method == Method::POST);
        posts.map(call).collect()
    }
}

fn call(exchange: &Exchange) -> Call {
    let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
    let targets = body["targets"].as_array().cloned().unwrap_or_default();
    Call {
        items: targets.iter().filter_map(named).collect(),
        soft: body["mode"] == "soft",
        carried_out: exchange
            .answer
            .as_ref()
            .is_some_and(|(status, _)| status.is_success()),
    }
}

fn named(target: &Value) -> Option<String> {
    let (kind, value) = target.as_object()?.iter().next()?;
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    Some(format!("{kind} {text}"))
}

impl Respond for Receiver {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        match self.take(request) {
            Ok(answer) => answer,
            Err(status) => ResponseTemplate::new(status).set_body_string("no way"),
        }
    }
}

impl Receiver {
    /// The answer to a call that it takes, or the status of the refusal.
    fn take(&self, request: &Request) -> Result<ResponseTemplate, u16> {
        let refuse_unless = |holds: bool, status: u16| holds.then_some(()).ok_or(status);
        let field = |name: &str| {
            request
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        refuse_unless(
            request.url.path() == PATH && request.url.query().is_none(),
            404,
        )?;
        refuse_unless(request.method.as_str() == "POST", 405)?;
        refuse_unless(field("content-type") == Some("application/json"), 415)?;
        refuse_unless(request.body.len() <= self.limits.bytes, 413)?;
        let signed = field("x-edge-isr-signature").and_then(|field| verify(field, &request.body));
        refuse_unless(signed.is_some(), 401)?;

        let body: Value = serde_json::from_slice(&request.body).map_err(|_| 400_u16)?;
        let keys = body
            .as_object()
            .map(|body| body.keys().map(String::as_str).collect());
        refuse_unless(keys == Some(vec!["id", "mode", "targets"]), 400)?;
        let id = body["id"].as_str().filter(|id| id.len() == 36);
        refuse_unless(
            id.is_some() && (body["mode"] == "soft" || body["mode"] == "hard"),
            400,
        )?;
        let targets = body["targets"].as_array().ok_or(400_u16)?;
        refuse_unless(!targets.is_empty(), 400)?;
        refuse_unless(targets.len() <= self.limits.items, 413)?;
        refuse_unless(targets.iter().all(|target| self.knows(target)), 422)?;
        Ok(self.answer(targets))
    }

    fn knows(&self, target: &Value) -> bool {
        let Some(target) = target.as_object().filter(|target| target.len() == 1) else {
            return false;
        };
        target.iter().all(|(kind, value)| {
            let whole = match kind.as_str() {
                "everything" => *value == true,
                _ => value.as_str().is_some_and(|text| !text.is_empty()),
            };
            whole && self.limits.kinds.contains(&kind.as_str())
        })
    }

    fn answer(&self, targets: &[Value]) -> ResponseTemplate {
        if !self.limits.talks {
            return ResponseTemplate::new(204);
        }
        let unwanted = |target: &&Value| {
            target["tag"]
                .as_str()
                .is_some_and(|tag| tag.starts_with(REJECTED))
        };
        let rejected: Vec<Value> = targets
            .iter()
            .filter(unwanted)
            .map(|target| json!({"target": target, "reason": "it is not wanted"}))
            .collect();
        let accepted = targets.len() - rejected.len();
        ResponseTemplate::new(202)
            .set_body_json(json!({"accepted": accepted, "rejected": rejected}))
    }
}

/// Whether a signature is that of the body, and new.
fn verify(field: &str, body: &[u8]) -> Option<()> {
    let (time, digest) = field.strip_prefix("t=")?.split_once(",v1=")?;
    let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(time.parse().ok()?);
    let now = SystemTime::now();
    let apart = now
        .duration_since(sent)
        .or_else(|_| sent.duration_since(now))
        .ok()?;
    if apart > WINDOW || digest.len() != 64 {
        return None;
    }
    let digits = (0..32).map(|at| u8::from_str_radix(digest.get(2 * at..2 * at + 2)?, 16).ok());
    let digest: Vec<u8> = digits.collect::<Option<_>>()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).ok()?;
    mac.update(&[time.as_bytes(), b".", body].concat());
    mac.verify_slice(&digest).ok()
}
