//! Who may use the API.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, StatusCode};

use super::Admin;
use super::problem::Problem;

/// Lets a request pass that carries the token. Where none is configured, the request has to name this
/// machine as its host: a page in a browser on this machine, whose own host name was made to lead
/// here, then gets nowhere.
pub(super) async fn require_token(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = match &admin.token {
        Some(token) => match bearer(request.headers()) {
            Some(given) if token.matches(given) => None,
            Some(_) => Some("the token is wrong"),
            None => Some("a token is needed: send `Authorization: Bearer …`"),
        },
        None if names_this_machine(request.headers()) => None,
        None => Some("without a token the API answers only to localhost and IP addresses"),
    };
    match refusal {
        None => next.run(request).await,
        Some(detail) => Problem::new(StatusCode::UNAUTHORIZED, detail).into_response(),
    }
}

/// The token of a request (RFC 6750 §2.1); the scheme's case does not count.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return true;
    };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_name_this_machine() {
        let rows = [
            ("127.0.0.1:8081", true),
            ("[::1]:8081", true),
            ("localhost", true),
            ("LocalHost:1", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:8081", false),
            ("", false),
        ];
        for (host, expected) in rows {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            assert_eq!(names_this_machine(&headers), expected, "{host}");
        }
        assert!(names_this_machine(&HeaderMap::new()));
    }

    #[test]
    fn a_token_is_read_from_the_bearer_scheme_alone() {
        let rows = [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
        ];
        for (value, expected) in rows {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(bearer(&headers), expected, "{value}");
        }
    }
}
