//! Header fields that a proxy adds, removes and changes on the way.

use std::net::IpAddr;

use http::header::{
    CONNECTION, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use isr_core::{GENERATION_HEADER, SiteOrigin, WARMUP_HEADER};
use smallvec::SmallVec;

use crate::admission::tag_headers;
use crate::options::{EdgeOptions, contains};

/// The targeted field that speaks to this cache alone (RFC 9213 §2).
pub const EDGE_CDN_CACHE_CONTROL: HeaderName =
    HeaderName::from_static("edge-isr-cdn-cache-control");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What proxies tell applications of a request under no standard's name, besides `X-Forwarded-*`.
/// Applications build URLs and links from these, so that a visitor's own could end up on pages that
/// others get.
const TOLD_BY_PROXIES: [HeaderName; 3] = [
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-real-ip"),
];

/// The beginning of the names of all fields of that kind.
const X_FORWARDED: &str = "x-forwarded-";

/// What a request says about its connection that still matters once those fields are gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct HopByHop {
    /// The protocol that the visitor wants to change to, if he does.
    pub(crate) upgrade: Option<HeaderValue>,
    /// Whether the request has a body of unknown length.
    pub(crate) chunked: bool,
}

impl HopByHop {
    /// Takes the fields about the connection out of a visitor's request (RFC 9110 §7.6.1), before
    /// anything is made of the others: what `Connection` lists never reaches the origin, so it must
    /// neither select a variant nor count as a credential. `TE: trailers` stays, as it is passed on.
    pub(crate) fn take(headers: &mut HeaderMap) -> Self {
        let upgrade = wants_upgrade(headers).then(|| headers.get(UPGRADE).cloned());
        let chunked = headers.contains_key(TRANSFER_ENCODING);
        let trailers = accepts_trailers(headers);
        remove_hop_by_hop(headers);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        Self {
            upgrade: upgrade.flatten(),
            chunked,
        }
    }
}

/// Removes the fields that are about one connection: those that `Connection` lists, and those known
/// to be (RFC 9110 §7.6.1). `Host` stays, whatever `Connection` says.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| *name != HOST)
        .collect();
    let known = [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in listed.iter().chain(&known) {
        headers.remove(name);
    }
}

/// Whether a request wants to change the protocol of its connection (RFC 9110 §7.8). A wish for
/// HTTP/2, which RFC 9113 §3.1 has withdrawn, is not taken up: it would keep pages from the cache.
fn wants_upgrade(headers: &HeaderMap) -> bool {
    let listed = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    let protocol = headers.get(UPGRADE).map(HeaderValue::as_bytes);
    listed && protocol.is_some_and(|protocol| !protocol.eq_ignore_ascii_case(b"h2c"))
}

/// Makes a visitor's fields, as they are kept of a visit, fit to be sent to the origin: nothing that only
/// this system may say, and who asked for which host.
pub(crate) fn prepare_request(headers: &mut HeaderMap, site: &SiteOrigin, peer: Option<IpAddr>) {
    headers.remove(GENERATION_HEADER);
    headers.remove(WARMUP_HEADER);
    if headers.contains_key(TE) {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let host = HeaderValue::from_str(site.host()).expect("a host name is visible ASCII");
    headers.insert(HOST, host.clone());
    headers.insert(X_FORWARDED_HOST, host);
    let scheme = if site.scheme() == "https" {
        "https"
    } else {
        "http"
    };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    if let Some(peer) = peer.map(|peer| peer.to_canonical()) {
        append_member(headers, X_FORWARDED_FOR, &peer.to_string());
        append_member(headers, FORWARDED, &forwarded(peer, site));
    }
    append_member(headers, VIA, "1.1 edge-isr");
}

/// Takes out of a visitor's request what only a proxy could know, unless it comes from a trusted one.
pub(crate) fn believe_only_proxies(
    headers: &mut HeaderMap,
    peer: Option<IpAddr>,
    options: &EdgeOptions,
) {
    if peer.is_some_and(|peer| contains(&options.trusted_proxies, peer)) {
        return;
    }
    headers.remove(FORWARDED);
    let told: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(X_FORWARDED) || TOLD_BY_PROXIES.contains(name))
        .cloned()
        .collect();
    for name in told {
        headers.remove(name);
    }
}

/// Whether a request has been through a proxy, by the fields that proxies add.
pub(crate) fn names_a_proxy(headers: &HeaderMap) -> bool {
    const OF_CDNS: [HeaderName; 3] = [
        HeaderName::from_static("cf-connecting-ip"),
        HeaderName::from_static("true-client-ip"),
        HeaderName::from_static("x-client-ip"),
    ];
    headers.keys().any(|name| {
        name.as_str().starts_with(X_FORWARDED)
            || [FORWARDED, VIA].contains(name)
            || TOLD_BY_PROXIES.contains(name)
            || OF_CDNS.contains(name)
    })
}

/// One element of `Forwarded` (RFC 7239 §4); an IPv6 address stands in quotes and brackets (§6).
fn forwarded(peer: IpAddr, site: &SiteOrigin) -> String {
    let (host, proto) = (site.host(), site.scheme());
    match peer {
        IpAddr::V4(peer) => format!("for={peer};host=\"{host}\";proto={proto}"),
        IpAddr::V6(peer) => format!("for=\"[{peer}]\";host=\"{host}\";proto={proto}"),
    }
}

/// Whether a request lets the response have trailers (RFC 9110 §10.1.4).
fn accepts_trailers(headers: &HeaderMap) -> bool {
    let mut members = headers
        .get_all(TE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members.any(|member| member.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Adds a member to a list field, on the same line as those it has.
fn append_member(headers: &mut HeaderMap, name: HeaderName, member: &str) {
    let mut text: Vec<u8> = Vec::new();
    for line in headers.get_all(&name) {
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(member.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(name, value);
    }
}

/// Makes an origin's fields fit to leave: nothing about the origin's connection, and no tags unless
/// a tier in front is purged by them.
pub(crate) fn prepare_response(headers: &mut HeaderMap, options: &EdgeOptions) {
    remove_hop_by_hop(headers);
    headers.remove(EDGE_CDN_CACHE_CONTROL);
    headers.remove(GENERATION_HEADER);
    if !options.downstream.keep_tags {
        for header in tag_headers() {
            headers.remove(header.name());
        }
    }
    append_member(headers, VIA, "1.1 edge-isr");
}

/// Removes `Trailer` from a response whose trailers are not kept (RFC 9110 §6.6.2).
pub(crate) fn forget_trailers(headers: &mut HeaderMap) {
    headers.remove(TRAILER);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn options(trusted: &[&str]) -> EdgeOptions {
        let hosts = vec![SiteOrigin::parse("https://a.example").unwrap()];
        let mut options = EdgeOptions::new(hosts).unwrap();
        options.trusted_proxies = trusted.iter().map(|net| net.parse().unwrap()).collect();
        options
    }

    #[test]
    fn what_is_about_one_connection_goes_no_further() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Private, host"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "a.example"),
            ("accept", "*/*"),
        ]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("host", "a.example"), ("accept", "*/*")]));
    }

    #[test]
    fn what_a_connection_is_about_is_known_once_its_fields_are_gone() {
        let mut headers = map(&[
            ("connection", "Upgrade, Cookie, transfer-encoding, te"),
            ("upgrade", "websocket"),
            ("te", "trailers;q=0.5, gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("cookie", "session=1"),
            ("accept", "*/*"),
        ]);
        let hop = HopByHop::take(&mut headers);
        assert_eq!(hop.upgrade, Some(HeaderValue::from_static("websocket")));
        assert!(hop.chunked);
        assert_eq!(headers, map(&[("te", "trailers"), ("accept", "*/*")]));
        let hop = HopByHop::take(&mut headers);
        assert!(hop.upgrade.is_none() && !hop.chunked);
    }

    #[test]
    fn the_origin_is_told_who_asked_for_what_and_visitors_cannot_lie_about_it() {
        let sent = [
            ("host", "evil.example"),
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-prefix", "/app"),
            ("x-original-url", "/app"),
            ("x-edge-isr-generation", "0000000000000001-9"),
            ("x-edge-isr-warmup", "v1"),
            ("te", "trailers, gzip"),
        ];
        let peer: IpAddr = "10.0.0.7".parse().unwrap();
        let rows = [
            (
                options(&[]),
                "10.0.0.7",
                "for=10.0.0.7;host=\"a.example\";proto=https",
            ),
            (
                options(&["10.0.0.0/8"]),
                "1.2.3.4, 10.0.0.7",
                "for=1.2.3.4, for=10.0.0.7;host=\"a.example\";proto=https",
            ),
        ];
        for (options, for_field, forwarded) in rows {
            let mut headers = map(&sent);
            HopByHop::take(&mut headers);
            believe_only_proxies(&mut headers, Some(peer), &options);
            prepare_request(&mut headers, &options.hosts()[0], Some(peer));
            let mut expected = map(&[
                ("te", "trailers"),
                ("connection", "te"),
                ("host", "a.example"),
                ("x-forwarded-host", "a.example"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-for", for_field),
                ("forwarded", forwarded),
                ("via", "1.1 edge-isr"),
            ]);
            if !options.trusted_proxies.is_empty() {
                expected.extend(map(&[
                    ("x-forwarded-prefix", "/app"),
                    ("x-original-url", "/app"),
                ]));
            }
            assert_eq!(headers, expected);
        }
    }

    #[test]
    fn tags_leave_only_when_a_tier_in_front_is_purged_by_them() {
        let sent = [
            ("surrogate-key", "a b"),
            ("edge-isr-cdn-cache-control", "max-age=9"),
        ];
        let mut options = options(&[]);
        let mut headers = map(&sent);
        prepare_response(&mut headers, &options);
        assert_eq!(headers, map(&[("via", "1.1 edge-isr")]));
        options.downstream.keep_tags = true;
        let mut headers = map(&sent);
        prepare_response(&mut headers, &options);
        assert_eq!(
            headers,
            map(&[("surrogate-key", "a b"), ("via", "1.1 edge-isr")])
        );
    }

    #[test]
    fn an_upgrade_needs_both_fields() {
        assert!(wants_upgrade(&map(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "x")
        ])));
        assert!(!wants_upgrade(&map(&[
            ("connection", "upgrade"),
            ("upgrade", "h2c")
        ])));
        assert!(!wants_upgrade(&map(&[("upgrade", "x")])));
        assert!(!wants_upgrade(&map(&[("connection", "upgrade")])));
    }
}
