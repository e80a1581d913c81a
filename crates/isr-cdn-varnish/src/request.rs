//! From targets to the requests that purge them.

use http::{HeaderMap, HeaderValue, Method, header};
use isr_core::{PageUrl, Tag, Target};

use crate::options::{Headers, Settings};

/// One request, and what it purges.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query, as they stand in the request line.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) targets: Vec<Target>,
}

/// The requests for some targets, and the targets that Varnish cannot be asked to purge, each with the
/// reason.
pub(crate) fn calls(
    targets: &[Target],
    soft: bool,
    settings: &Settings,
) -> (Vec<Call>, Vec<(Target, String)>) {
    let (mut calls, mut refused, mut tags) = (Vec::new(), Vec::new(), Vec::new());
    let soft = soft && settings.soft;
    for target in targets {
        let call = match target {
            Target::Tag(tag) if settings.xkey => {
                tags.push(tag);
                continue;
            }
            Target::Url(page) => url(page, soft, &settings.headers),
            Target::Prefix(_) | Target::Host(_) | Target::Everything if settings.ban => {
                ban(target, &settings.headers)
            }
            _ => None,
        };
        match call {
            Some(call) => calls.push(call),
            None => refused.push((target.clone(), reason(target))),
        }
    }
    calls.extend(by_tag(&tags, soft, settings));
    (calls, refused)
}

/// A request that purges tags, and nothing where it is about one that no page has.
pub(crate) fn keys(keys: &[&str], soft: bool, names: &Headers) -> Option<Call> {
    let field = if soft {
        &names.xkey_softpurge
    } else {
        &names.xkey_purge
    };
    let value = HeaderValue::from_str(&keys.join(" ")).ok()?;
    let headers = HeaderMap::from_iter([(field.clone(), value)]);
    Some(call(b"PURGEKEYS", "/", headers))
}

/// A request that purges a page.
pub(crate) fn url(page: &PageUrl, soft: bool, names: &Headers) -> Option<Call> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_str(page.host()).ok()?);
    if soft {
        headers.insert(names.mode.clone(), HeaderValue::from_static("soft"));
    }
    Some(Call {
        targets: vec![Target::Url(page.clone())],
        ..call(b"PURGE", page.path_and_query(), headers)
    })
}

/// A request that bans what a prefix, a host or everything covers.
pub(crate) fn ban(target: &Target, names: &Headers) -> Option<Call> {
    let mut headers = HeaderMap::new();
    match target {
        Target::Prefix(prefix) => {
            headers.insert(names.ban_host.clone(), host(prefix.host())?);
            let pattern = HeaderValue::from_str(&pattern(prefix.path())).ok()?;
            headers.insert(names.ban_url.clone(), pattern);
        }
        Target::Host(name) => {
            headers.insert(names.ban_host.clone(), host(name)?);
        }
        Target::Everything => {
            let yes = HeaderValue::from_static("yes");
            headers.insert(names.ban_everything.clone(), yes);
        }
        _ => return None,
    }
    Some(Call {
        targets: vec![target.clone()],
        ..call(b"BAN", "/", headers)
    })
}

fn call(method: &'static [u8], path: &str, headers: HeaderMap) -> Call {
    Call {
        method: Method::from_bytes(method).expect("its letters are those of a method"),
        path: path.to_owned(),
        headers,
        targets: Vec::new(),
    }
}

/// As few requests as have room for the tags.
fn by_tag(tags: &[&Tag], soft: bool, settings: &Settings) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut rest = tags;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|tag| {
            bytes += tag.as_str().len() + 1;
            bytes <= settings.key_bytes.get()
        });
        let (these, others) = rest.split_at(fits.count().max(1));
        let names: Vec<&str> = these.iter().map(|tag| tag.as_str()).collect();
        let call = keys(&names, soft, &settings.headers).expect("tags are printable ASCII");
        calls.push(Call {
            targets: these.iter().map(|&tag| Target::Tag(tag.clone())).collect(),
            ..call
        });
        rest = others;
    }
    calls
}

/// A host that can stand in a ban: one that is a host and nothing else, since a ban is read as a line of
/// words.
fn host(name: &str) -> Option<HeaderValue> {
    let page = PageUrl::parse(&format!("http://{name}/")).ok()?;
    let is_host = page.path_and_query() == "/" && page.host() == name;
    is_host.then(|| HeaderValue::from_str(name).ok())?
}

/// The regular expression for a path and what is beneath it, by whole segments.
///
/// Letters and digits stand for themselves and so does `/`; whatever else a path can hold is escaped. None
/// of it is a space or a quotation mark, which end a word in a ban.
fn pattern(path: &str) -> String {
    let mut pattern = String::from("^");
    for letter in path.chars() {
        if !letter.is_ascii_alphanumeric() && letter != '/' {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    if !path.ends_with('/') {
        pattern.push_str("(?:[/?]|$)");
    }
    pattern
}

fn reason(target: &Target) -> String {
    match target {
        Target::Tag(_) => "this Varnish has no xkey, as it is configured: set `xkey`".to_owned(),
        Target::Host(_) => "this is no host, or `ban` is off".to_owned(),
        Target::Prefix(_) | Target::Everything => {
            "this Varnish does not ban, as it is configured: set `ban`".to_owned()
        }
        other => format!(
            "Varnish has no way to purge a target of kind {}",
            other.kind()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_holds_whole_segments_and_nothing_special() {
        let rows = [
            ("/", "^/"),
            ("/blog", "^/blog(?:[/?]|$)"),
            ("/blog/", "^/blog/"),
            ("/a.b|c", r"^/a\.b\|c(?:[/?]|$)"),
            ("/(.*)+$", r"^/\(\.\*\)\+\$(?:[/?]|$)"),
            ("/caf%C3%A9", r"^/caf\%C3\%A9(?:[/?]|$)"),
        ];
        for (path, expected) in rows {
            assert_eq!(pattern(path), expected);
        }
    }

    #[test]
    fn only_a_host_is_a_host() {
        for name in ["www.example.com", "a:8080", "[::1]:80", "127.0.0.1"] {
            // `http://[::1]:80` is written without its port.
            assert_eq!(host(name).is_some(), name != "[::1]:80", "{name}");
        }
        for name in [
            "",
            "a b",
            "a || obj.status != 0",
            "a/b",
            "A",
            "a?",
            "a\"",
            "*",
            ".*\n",
        ] {
            assert_eq!(host(name), None, "{name:?}");
        }
    }
}
