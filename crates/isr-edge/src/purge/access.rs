//! Who may purge.

use std::net::IpAddr;

use http::StatusCode;
use http::request::Parts;

use super::Refusal;
use super::forwarding_fields::{Asker, asker};
use crate::edge::Inner;
use crate::fields::names_a_proxy;
use crate::options::{PurgeAccess, contains};
use crate::visit::Peer;

/// Why nobody who came through a proxy is believed to be the proxy.
const THROUGH_A_PROXY: &str = "the request came through a proxy that is not trusted, so nobody knows \
    who sent it: send it to this address directly, or name the proxy in edge.trusted_proxies";

/// Checks that whoever sent a request may purge. Where the sender is a proxy it is not the proxy that
/// counts, which hands on everybody's requests, but the visitor.
pub(super) fn check(inner: &Inner, parts: &Parts) -> Result<(), Refusal> {
    let access = &inner.options.purge_from;
    if *access == PurgeAccess::Disabled {
        let reason = "PURGE is switched off here: name who may send it in edge.purge_from";
        return Err((StatusCode::METHOD_NOT_ALLOWED, reason.to_owned()));
    }
    let forbidden = |reason: &str| Err((StatusCode::FORBIDDEN, reason.to_owned()));
    let Some(peer) = parts.extensions.get::<Peer>().map(|peer| peer.0.ip()) else {
        return forbidden("nobody knows which address this comes from, so it may not purge");
    };
    let allowed = |address: IpAddr| access.allows(Some(address));
    let may = if contains(&inner.options.trusted_proxies, peer) {
        match asker(&parts.headers, &inner.options.trusted_proxies) {
            Asker::Addresses(addresses) => addresses.into_iter().all(allowed),
            // The proxy speaks for itself, or another program on its machine does.
            Asker::Unsaid => allowed(peer) && !names_a_proxy(&parts.headers),
            Asker::Unclear => false,
        }
    } else if names_a_proxy(&parts.headers) {
        return forbidden(THROUGH_A_PROXY);
    } else {
        allowed(peer)
    };
    if may {
        Ok(())
    } else {
        forbidden("this address may not purge: name it in edge.purge_from")
    }
}
