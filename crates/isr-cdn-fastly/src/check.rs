//! A look at the token and the service.

use http::StatusCode;
use isr_core::{ConnectorError, Finding};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::answer;
use crate::api::{Answer, Api};

/// What a token says of itself.
///
/// <https://www.fastly.com/documentation/reference/api/auth-tokens/user/>, read 2026-11-22.
#[derive(Debug, Deserialize)]
struct Token {
    /// Scopes, with spaces between them.
    scope: String,
    /// The services it is for; none means all.
    #[serde(default)]
    services: Vec<String>,
}

impl Token {
    fn has(&self, scope: &str) -> bool {
        self.scope.split_ascii_whitespace().any(|one| one == scope)
    }
}

/// What a service says of itself.
///
/// <https://www.fastly.com/documentation/reference/api/services/service/>, read 2026-11-22.
#[derive(Debug, Deserialize)]
struct Service {
    #[serde(default)]
    name: String,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    #[serde(default)]
    active: bool,
}

/// What is found, without purging anything.
pub(crate) async fn look(name: &str, api: &Api) -> Result<Vec<Finding>, ConnectorError> {
    let service = &api.settings().service;
    let token: Token = match see(name, api, "/tokens/self").await? {
        Seen::As(token) => token,
        Seen::Refused(answer) => return Ok(vec![refused(name, service, &answer)]),
    };
    let mut findings = may_purge(&token, service);
    if token.has("global") || token.has("global:read") {
        let found: Seen<Service> = see(name, api, &format!("/service/{service}")).await?;
        findings.push(match found {
            Seen::As(found) => is_active(service, &found),
            Seen::Refused(answer) => refused(name, service, &answer),
        });
    } else {
        findings.push(Finding::good(format!(
            "whether service {service} exists cannot be seen with this token, which has not the scope \
             global:read; purging does not need it"
        )));
    }
    Ok(findings)
}

/// What a look gave.
enum Seen<T> {
    As(T),
    Refused(Answer),
}

async fn see<T: DeserializeOwned>(
    name: &str,
    api: &Api,
    path: &str,
) -> Result<Seen<T>, ConnectorError> {
    let answer = api
        .get(path)
        .await
        .map_err(|error| ConnectorError::unreachable(name, error))?;
    let body: &[u8] = &answer.body;
    if answer.status.is_success() {
        let seen = serde_json::from_slice(body)
            .map_err(|error| ConnectorError::unreachable(name, error))?;
        return Ok(Seen::As(seen));
    }
    match answer::error(name, &api.settings().service, &answer) {
        ConnectorError::Refused { .. } => Ok(Seen::Refused(answer)),
        error => Err(error),
    }
}

fn refused(name: &str, service: &str, answer: &Answer) -> Finding {
    let finding = match answer.status {
        StatusCode::UNAUTHORIZED => "the token is not valid".to_owned(),
        StatusCode::NOT_FOUND => format!("there is no service {service}"),
        _ => answer::error(name, service, answer).to_string(),
    };
    match answer::advice(answer.status, service) {
        Some(advice) if matches!(answer.status.as_u16(), 401 | 404) => {
            Finding::bad(format!("{finding}: {advice}"))
        }
        _ => Finding::bad(finding),
    }
}

/// Whether the token may purge keys and URLs of the service. That it may not purge everything is no fault:
/// many are made so on purpose.
fn may_purge(token: &Token, service: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if token.has("global") {
        findings.push(Finding::good(
            "the token has the scope global, with which everything can be done; purge_select is enough to \
             purge keys and URLs",
        ));
    } else if !token.has("purge_select") {
        findings.push(Finding::bad(
            "the token has not the scope purge_select: make one that has, or no key and no URL is purged",
        ));
    } else if token.has("purge_all") {
        findings.push(Finding::good(
            "the token may purge keys, URLs and everything",
        ));
    } else {
        findings.push(Finding::good(
            "the token may purge keys and URLs, and not everything, for which it would need the scope \
             purge_all",
        ));
    }
    if !token.services.is_empty() && !token.services.iter().any(|one| one == service) {
        findings.push(Finding::bad(format!(
            "the token is for other services than {service}: make one for this service"
        )));
    }
    findings
}

fn is_active(id: &str, service: &Service) -> Finding {
    if service.versions.iter().any(|version| version.active) {
        Finding::good(format!("service {id} ({}) is active", service.name))
    } else {
        Finding::bad(format!(
            "service {id} ({}) has no active version: activate one",
            service.name
        ))
    }
}
