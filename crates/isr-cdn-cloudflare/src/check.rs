//! A look at the zone.
//!
//! Two requests that change nothing, both documented (read on 2026-11-22):
//! - `GET /user/tokens/verify`, at
//!   <https://developers.cloudflare.com/api/resources/user/subresources/tokens/methods/verify/>. Any
//!   token of a user may ask. One that belongs to an account is verified elsewhere, under the account's
//!   ID, so its refusal here says nothing.
//! - `GET /zones/{zone_id}`, at
//!   <https://developers.cloudflare.com/api/resources/zones/methods/get/>. It needs the permission to
//!   read the zone, which purging does not: so its refusal alone says nothing either.

use isr_core::{ConnectorError, Finding};
use serde::Deserialize;

use crate::connector::Cloudflare;

/// What is read of a token.
#[derive(Deserialize)]
struct Token {
    status: String,
}

/// What is read of a zone.
#[derive(Deserialize)]
struct Zone {
    name: String,
    status: String,
}

/// What there is to know about a thing that was asked for.
enum Seen<T> {
    /// What it is.
    It(T),
    /// That there is none.
    Nothing(String),
    /// That it may not be seen.
    Hidden(String),
}

impl Cloudflare {
    pub(crate) async fn look(&self) -> Result<Vec<Finding>, ConnectorError> {
        let token = self.see::<Token>("user/tokens/verify").await?;
        let zone = self
            .see::<Zone>(&format!("zones/{}", self.settings.zone))
            .await?;
        let known = matches!(&token, Seen::It(token) if token.status == "active")
            || matches!(zone, Seen::It(_));
        let of_the_token = match token {
            Seen::It(token) => found_token(&token),
            // Whatever sees the zone is a token that works.
            _ if known => Finding::good("the token is accepted"),
            Seen::Nothing(reason) | Seen::Hidden(reason) => Finding::bad(format!(
                "the token is accepted neither for itself nor for the zone ({reason}): check that \
                 it is whole and current, and has the permission \"Zone, Cache Purge, Purge\" for \
                 zone {}",
                self.settings.zone
            )),
        };
        Ok(vec![of_the_token, self.found_zone(zone, known)])
    }

    fn found_zone(&self, zone: Seen<Zone>, token_is_known: bool) -> Finding {
        let id = &self.settings.zone;
        match zone {
            Seen::It(zone) if zone.status == "active" => {
                Finding::good(format!("zone {id} is {}", zone.name))
            }
            Seen::It(zone) => Finding::bad(format!(
                "zone {id} is {}, which is {} at Cloudflare and not active: nothing is cached there \
                 until it is",
                zone.name, zone.status
            )),
            Seen::Hidden(_) if token_is_known => Finding::good(format!(
                "zone {id} was not looked at, since the token may not read it, which it need not to \
                 purge it"
            )),
            Seen::Nothing(reason) | Seen::Hidden(reason) => Finding::bad(format!(
                "zone {id} cannot be seen ({reason}): check the zone's ID, and that the token is one \
                 of its account"
            )),
        }
    }

    async fn see<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
    ) -> Result<Seen<T>, ConnectorError> {
        let answer = self.get(path).await?;
        match answer.result::<T>(&self.name) {
            Ok(Some(thing)) => Ok(Seen::It(thing)),
            Ok(None) => Ok(Seen::Nothing("it answered with nothing".to_owned())),
            Err(ConnectorError::Refused { reason, .. }) => Ok(match answer.status.as_u16() {
                401 | 403 => Seen::Hidden(reason),
                _ => Seen::Nothing(reason),
            }),
            Err(error) => Err(error),
        }
    }
}

fn found_token(token: &Token) -> Finding {
    if token.status == "active" {
        Finding::good("the token is accepted")
    } else {
        Finding::bad(format!(
            "the token is {}: create another one, with the permission \"Zone, Cache Purge, Purge\"",
            token.status
        ))
    }
}
