//! What a purge request asks for, in the conventions of the clients that exist.
//!
//! Most of them were written for Varnish, where the site's own configuration says what a request does.
//! What cannot be mapped exactly is refused, and the refusal says what to send instead: a client that
//! hears 200 believes that its pages are gone.

mod magento;
mod path;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use isr_core::{Mode, TagHeader, TagHeaderReport, TagSeparator, TagSet, Targets};

use self::path::Reading;
use super::{Refusal, refused, unsupported};

/// What is purged, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) aim: Aim,
    pub(super) mode: Mode,
}

/// What is purged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Aim {
    Tags(TagSet),
    /// The page at the request's target.
    Page,
    /// Every page beneath a path that ends with a slash.
    Beneath(String),
    /// Every page of the request's host.
    Host,
    Everything,
}

const SOFT_PURGE: HeaderName = HeaderName::from_static("fastly-soft-purge");
const XKEY_PURGE: HeaderName = HeaderName::from_static("xkey-purge");
const XKEY_SOFT_PURGE: HeaderName = HeaderName::from_static("xkey-softpurge");
const CACHE_TAGS: HeaderName = HeaderName::from_static("cache-tags");
const X_CACHE_TAGS: HeaderName = HeaderName::from_static("x-cache-tags");
const PURGE_METHOD: HeaderName = HeaderName::from_static("x-purge-method");
const CLEAR_CACHE: HeaderName = HeaderName::from_static("clear-cache");
const MAGENTO_TAGS: HeaderName = HeaderName::from_static("x-magento-tags-pattern");

/// What to send in place of an expression.
const TAGS_INSTEAD: &str = "send PURGE with whole tags in Surrogate-Key or Cache-Tag";

/// Fields in which tags are named, beside those of responses.
static TAGS: [TagHeader; 4] = [
    listed(CACHE_TAGS),
    listed(X_CACHE_TAGS),
    listed(XKEY_PURGE),
    listed(XKEY_SOFT_PURGE),
];

const fn listed(name: HeaderName) -> TagHeader {
    let separator = TagSeparator::CommaOrSpace;
    TagHeader::Custom { name, separator }
}

/// Reads what a request asks for, from whoever may ask for it.
pub(super) fn read(parts: &Parts) -> Result<Wish, Refusal> {
    let headers = &parts.headers;
    let needed: &[HeaderName] = match parts.method.as_str() {
        "PURGE" => &[],
        "PURGEKEYS" => &[XKEY_PURGE, XKEY_SOFT_PURGE],
        "PURGETAGS" => &[X_CACHE_TAGS],
        other => {
            return Err(unsupported(
                &format!("the method {other} is"),
                OTHER_METHODS,
            ));
        }
    };
    if !needed.is_empty() && !needed.iter().any(|name| headers.contains_key(name)) {
        let (method, name) = (&parts.method, &needed[0]);
        return Err(refused(&format!(
            "{method} names no tags: send them in {name}"
        )));
    }
    check_fields(headers)?;
    let reading = reading(headers)?;
    let mut named = [tags(headers)?, magento(headers)?, cleared(headers)?]
        .into_iter()
        .flatten();
    let aim = match (named.next(), named.next()) {
        (None, _) => path::aim(&target(parts), reading)?,
        (Some(_), Some(_)) => {
            return Err(refused(
                "the request says in two ways what to purge: send one",
            ));
        }
        (Some(_), None) if reading == Reading::Expression => {
            return Err(unsupported("an expression beside tags is", TAGS_INSTEAD));
        }
        (Some(aim), None) => aim,
    };
    let mode = mode(headers)?;
    Ok(Wish { aim, mode })
}

const OTHER_METHODS: &str =
    "send PURGE to the page's URL, or to / with whole tags in Surrogate-Key or Cache-Tag";

fn target(parts: &Parts) -> String {
    let target = parts.uri.path_and_query();
    target.map_or_else(|| "/".to_owned(), ToString::to_string)
}

/// Refuses fields that look as if they said what to purge and that nobody here knows.
fn check_fields(headers: &HeaderMap) -> Result<(), Refusal> {
    const WORDS: [&str; 10] = [
        "purge",
        "softpurge",
        "ban",
        "tag",
        "tags",
        "regex",
        "pattern",
        "clear",
        "clears",
        "invalidate",
    ];
    const NAMES: [HeaderName; 4] = [
        HeaderName::from_static("x-url"),
        HeaderName::from_static("x-host"),
        HeaderName::from_static("x-content-type"),
        HeaderName::from_static("x-pool"),
    ];
    let known = |name: &HeaderName| {
        [SOFT_PURGE, PURGE_METHOD, CLEAR_CACHE, MAGENTO_TAGS].contains(name)
            || tag_fields().any(|field| field.name() == *name)
    };
    let speaks = |name: &HeaderName| {
        NAMES.contains(name) || name.as_str().split('-').any(|word| WORDS.contains(&word))
    };
    match headers.keys().find(|name| speaks(name) && !known(name)) {
        Some(name) => Err(unsupported(&format!("the field {name} is"), OTHER_METHODS)),
        None => Ok(()),
    }
}

/// How the target is meant, by the field of the plugins of `WordPress`.
fn reading(headers: &HeaderMap) -> Result<Reading, Refusal> {
    let Some(value) = headers.get(PURGE_METHOD) else {
        return Ok(Reading::Unsaid);
    };
    match value.as_bytes().to_ascii_lowercase().as_slice() {
        b"default" => Ok(Reading::Unsaid),
        b"exact" => Ok(Reading::Exact),
        b"regex" => Ok(Reading::Expression),
        _ => Err(unsupported(
            "this value of X-Purge-Method is",
            "send default, exact or regex",
        )),
    }
}

/// Soft when the request says so, in the way of Fastly or of Varnish's xkey; hard otherwise, which is
/// what `PURGE` means everywhere.
fn mode(headers: &HeaderMap) -> Result<Mode, Refusal> {
    let fastly = match headers.get(SOFT_PURGE).map(HeaderValue::as_bytes) {
        None | Some(b"0") => false,
        Some(b"1") => true,
        Some(_) => {
            let instead = "send 1 for a soft purge";
            return Err(unsupported("this value of Fastly-Soft-Purge is", instead));
        }
    };
    let xkey = headers.contains_key(XKEY_SOFT_PURGE);
    if xkey && headers.contains_key(XKEY_PURGE) {
        return Err(refused(
            "the request asks for a soft purge and a hard one: send two",
        ));
    }
    Ok(if fastly || xkey {
        Mode::Soft
    } else {
        Mode::Hard
    })
}

fn tag_fields() -> impl Iterator<Item = &'static TagHeader> {
    static KNOWN: [TagHeader; 5] = TagHeader::KNOWN;
    KNOWN.iter().chain(&TAGS)
}

/// The tags that a request names in any of the fields in use; `None` when it has none of them.
fn tags(headers: &HeaderMap) -> Result<Option<Aim>, Refusal> {
    for name in [CACHE_TAGS, X_CACHE_TAGS] {
        let mut bytes = headers
            .get_all(&name)
            .iter()
            .flat_map(HeaderValue::as_bytes);
        if bytes.any(|byte| b"|()^$*\\".contains(byte)) {
            return Err(unsupported(
                &format!("an expression in {name} is"),
                TAGS_INSTEAD,
            ));
        }
    }
    let mut tags = TagSet::with_limit(Targets::LIMIT);
    let mut report = TagHeaderReport::default();
    let mut named = false;
    for header in tag_fields().filter(|header| headers.contains_key(header.name())) {
        named = true;
        report.absorb(header.parse(headers, &mut tags));
    }
    if let Some(invalid) = report.examples.first() {
        return Err(refused(&invalid.to_string()));
    }
    if report.malformed > 0 {
        return Err(refused(
            "the tags cannot be read: Cache-Groups is a list of strings in quotes",
        ));
    }
    if !report.is_complete() {
        return Err(refused("too many tags for one purge: split them"));
    }
    Ok(named.then_some(Aim::Tags(tags)))
}

/// What Magento asks for.
fn magento(headers: &HeaderMap) -> Result<Option<Aim>, Refusal> {
    let Some(value) = headers.get(MAGENTO_TAGS) else {
        return Ok(None);
    };
    let pattern = value.to_str().unwrap_or_default();
    magento::aim(pattern).map(Some)
}

/// What Symfony's `HttpCache` is asked for when all of it is to be cleared.
fn cleared(headers: &HeaderMap) -> Result<Option<Aim>, Refusal> {
    match headers.get(CLEAR_CACHE).map(HeaderValue::as_bytes) {
        None => Ok(None),
        Some(b"true") => Ok(Some(Aim::Everything)),
        Some(_) => Err(unsupported("this value of Clear-Cache is", "send true")),
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request, StatusCode};
    use isr_core::Tag;

    use super::*;

    fn asked(method: &str, target: &str, lines: &[(&'static str, &str)]) -> Result<Wish, Refusal> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        read(&request.body(()).unwrap().into_parts().0)
    }

    fn tags_of(wish: &Wish) -> Vec<&str> {
        match &wish.aim {
            Aim::Tags(tags) => tags.iter().map(Tag::as_str).collect(),
            other => panic!("{other:?}"),
        }
    }

    type Row = (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
        Mode,
    );

    #[test]
    fn tags_are_understood_in_every_clients_convention() {
        let rows: &[Row] = &[
            (&[("surrogate-key", "a b")], &["a", "b"], Mode::Hard),
            (
                &[("surrogate-key", "a"), ("fastly-soft-purge", "1")],
                &["a"],
                Mode::Soft,
            ),
            (&[("xkey", "a b")], &["a", "b"], Mode::Hard),
            (&[("xkey-purge", "a, b")], &["a", "b"], Mode::Hard),
            (&[("xkey-softpurge", "a")], &["a"], Mode::Soft),
            (&[("cache-tag", "a,b")], &["a", "b"], Mode::Hard),
            (&[("cache-tags", "a,b")], &["a", "b"], Mode::Hard),
            (&[("cache-tags", "")], &[], Mode::Hard),
            (&[("x-cache-tags", "a,b")], &["a", "b"], Mode::Hard),
            (&[("edge-cache-tag", "post~3a1")], &["post:1"], Mode::Hard),
            (&[("cache-groups", "\"a\", \"b\"")], &["a", "b"], Mode::Hard),
            (&[("surrogate-key", "a|b")], &["a|b"], Mode::Hard),
            (
                &[("cache-tag", "a"), ("x-purge-method", "default")],
                &["a"],
                Mode::Hard,
            ),
        ];
        for (lines, expected, mode) in rows {
            let wish = asked("PURGE", "/", lines).unwrap();
            assert_eq!(tags_of(&wish), *expected, "{lines:?}");
            assert_eq!(wish.mode, *mode, "{lines:?}");
        }
    }

    #[test]
    fn a_page_is_purged_softly_where_fastly_s_clients_ask_for_it() {
        for (value, mode) in [("1", Mode::Soft), ("0", Mode::Hard)] {
            let wish = asked("PURGE", "/a", &[("fastly-soft-purge", value)]).unwrap();
            assert_eq!(
                wish,
                Wish {
                    aim: Aim::Page,
                    mode
                }
            );
        }
    }

    #[test]
    fn fields_that_have_nothing_to_do_with_purges_do_no_harm() {
        let lines = [
            ("host", "a.example"),
            ("user-agent", "purger"),
            ("if-none-match", "\"etag\""),
            ("x-api-key", "k"),
            ("content-type", "text/plain"),
            ("sec-purpose", "x"),
        ];
        assert_eq!(asked("PURGE", "/a", &lines).unwrap().aim, Aim::Page);
    }

    #[test]
    fn a_tag_that_is_none_refuses_the_whole_purge() {
        for line in [
            ("surrogate-key", "a \"b"),
            ("cache-groups", "a b"),
            ("x-magento-tags-pattern", "((^|,)a b(,|$))"),
        ] {
            let (status, reason) = asked("PURGE", "/", &[line]).unwrap_err();
            assert_eq!(
                status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{line:?}: {reason}"
            );
        }
    }
}
