//! Whom a trusted proxy names as the one who asked: `Forwarded` (RFC 7239) and `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::fields::X_FORWARDED_FOR;
use crate::options::contains;

/// Who asked, as far as the fields say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// There is no such field.
    Unsaid,
    /// A field cannot be read, or does not give an address.
    Unclear,
    /// One address for each of the fields that are there. A proxy that writes only one of the two
    /// hands the other on as the visitor sent it, so both have to be believed to believe either.
    Addresses(Vec<IpAddr>),
}

/// The stations of a request, the visitor first; `None` stands for one that gives no address.
type Stations = Vec<Option<IpAddr>>;

/// Who asked, given which proxies are believed.
pub(super) fn asker(headers: &HeaderMap, trusted: &[IpNet]) -> Asker {
    let standard = text_of(headers, &FORWARDED).map(|text| forwarded(&text));
    let usual = text_of(headers, &X_FORWARDED_FOR).map(|text| forwarded_for(&text));
    let mut addresses = Vec::new();
    for stations in [standard, usual].into_iter().flatten() {
        match last_untrusted(&stations, trusted) {
            Some(address) => addresses.push(address),
            None => return Asker::Unclear,
        }
    }
    if addresses.is_empty() {
        Asker::Unsaid
    } else {
        Asker::Addresses(addresses)
    }
}

/// All lines of a field, which are one list (RFC 9110 §5.3).
fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines = headers.get_all(name).iter();
    let lines: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// The last station that is no trusted proxy, since those before it are hearsay (RFC 7239 §8.1); the
/// first one where all are trusted.
fn last_untrusted(stations: &[Option<IpAddr>], trusted: &[IpNet]) -> Option<IpAddr> {
    let believed = |station: &Option<IpAddr>| station.is_some_and(|at| contains(trusted, at));
    let last = stations.iter().rfind(|station| !believed(station));
    last.or(stations.first()).copied().flatten()
}

/// The stations in `X-Forwarded-For`, which has no standard: addresses, separated by commas.
fn forwarded_for(text: &str) -> Stations {
    let members = text.split(',').map(str::trim);
    let members = members.filter(|member| !member.is_empty());
    members.map(address).collect()
}

/// The stations in `Forwarded` (RFC 7239 §4); none when a quoted string does not end.
fn forwarded(text: &str) -> Stations {
    let elements = split_outside_quotes(text, ',').unwrap_or_default();
    elements.into_iter().map(station).collect()
}

/// The address in the `for` of one element, if it is well-formed.
fn station(element: &str) -> Option<IpAddr> {
    let mut node = None;
    for pair in split_outside_quotes(element, ';')? {
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value)?;
        // Each parameter occurs once at most.
        if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
            return None;
        }
    }
    address(node?)
}

/// A token, or the text of a quoted string. No address needs escapes, so those are not read.
fn unquoted(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').filter(|text| !text.contains('"')),
        None => (!value.contains('"')).then_some(value),
    }
}

/// The members of a list without those that are empty; `None` when a quoted string does not end.
fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut quoted = false;
    let members = text.split(|at: char| {
        quoted ^= at == '"';
        !quoted && at == separator
    });
    let members: Vec<&str> = members.map(str::trim).collect();
    (!quoted).then(|| {
        members
            .into_iter()
            .filter(|member| !member.is_empty())
            .collect()
    })
}

/// An address with or without a port, IPv6 in brackets or bare (RFC 7239 §6); `None` for `unknown`
/// and identifiers.
fn address(node: &str) -> Option<IpAddr> {
    let bare = node
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(node)
        .parse()
        .or_else(|_| node.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(lines: &[(&'static str, &str)]) -> Asker {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        asker(&headers, &["10.0.0.0/8".parse().unwrap()])
    }

    fn address_of(text: &str) -> Asker {
        Asker::Addresses(vec![text.parse().unwrap()])
    }

    #[test]
    fn the_last_station_that_is_not_trusted_has_asked() {
        let rows = [
            ("x-forwarded-for", "192.0.2.1", "192.0.2.1"),
            (
                "x-forwarded-for",
                "192.0.2.1, 10.0.0.1, 10.0.0.2",
                "192.0.2.1",
            ),
            (
                "x-forwarded-for",
                "10.0.0.1, 192.0.2.1,10.0.0.2",
                "192.0.2.1",
            ),
            ("x-forwarded-for", "10.0.0.9, 10.0.0.1", "10.0.0.9"),
            ("x-forwarded-for", "192.0.2.1:4711", "192.0.2.1"),
            ("x-forwarded-for", "2001:db8::1", "2001:db8::1"),
            ("x-forwarded-for", "[2001:db8::1]:80", "2001:db8::1"),
            (
                "forwarded",
                "for=192.0.2.1;proto=https, For=10.0.0.1",
                "192.0.2.1",
            ),
            ("forwarded", "by=_b; for=\"[2001:db8::1]\"", "2001:db8::1"),
            (
                "forwarded",
                "for=\"192.0.2.1:80\";host=\"a;b,c=d\"",
                "192.0.2.1",
            ),
            ("forwarded", "for=192.0.2.1,, for=10.0.0.1", "192.0.2.1"),
        ];
        for (name, value, expected) in rows {
            assert_eq!(asked(&[(name, value)]), address_of(expected), "{value}");
        }
    }

    #[test]
    fn who_asked_is_unclear_where_a_field_is_broken_or_gives_no_address() {
        let rows = [
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", "192.0.2.1, unknown, 10.0.0.1"),
            ("x-forwarded-for", ""),
            ("forwarded", "for=unknown"),
            ("forwarded", "for=_hidden"),
            ("forwarded", "proto=https"),
            ("forwarded", "for"),
            ("forwarded", "for=192.0.2.1;for=192.0.2.2"),
            // A visitor who leaves a quoted string open hides what the proxy adds.
            ("forwarded", "for=10.0.0.1;x=\", for=192.0.2.1"),
            ("forwarded", "for=10.0.0.1;x=\", for=\"[2001:db8::1]\""),
            ("forwarded", "for=\"10.0.0.1\"x\""),
        ];
        for (name, value) in rows {
            assert_eq!(asked(&[(name, value)]), Asker::Unclear, "{value}");
        }
        assert_eq!(asked(&[]), Asker::Unsaid);
    }

    #[test]
    fn every_line_of_both_fields_counts() {
        let lines = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=192.0.2.2"),
        ];
        let both = ["192.0.2.2", "192.0.2.1"].map(|text| text.parse().unwrap());
        assert_eq!(asked(&lines), Asker::Addresses(both.to_vec()));
    }
}
