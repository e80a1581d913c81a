//! `PURGE` requests, in the conventions of the clients that exist: one URL, or the tags in a header.

use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use isr_core::{
    Event, Mode, Receipt, RevalidateOptions, Source, TagHeader, TagHeaderReport, TagSeparator,
    TagSet, Target, Targets,
};

use crate::body::EdgeBody;
use crate::edge::Inner;
use crate::options::PurgeAccess;
use crate::present::plain;
use crate::visit::{Errand, Peer};

const SOFT_PURGE: HeaderName = HeaderName::from_static("fastly-soft-purge");
const XKEY_SOFT_PURGE: HeaderName = HeaderName::from_static("xkey-softpurge");

/// A refusal: its status, and what to do about it.
type Refusal = (StatusCode, String);

/// Answers `PURGE` and `PURGEKEYS` with the id of the receipt, or says why not.
pub(crate) async fn answer(inner: &Inner, parts: &Parts) -> http::Response<EdgeBody> {
    match purge(inner, parts).await {
        Ok(receipt) => {
            let answer = serde_json::json!({
                "id": receipt.id.to_string(),
                "mode": receipt.options.mode.as_str(),
                "targets": receipt.targets.as_slice().len(),
            });
            plain(StatusCode::OK, "application/json", format!("{answer}\n"))
        }
        Err((status, reason)) => {
            let answer = serde_json::json!({ "error": reason });
            plain(status, "application/json", format!("{answer}\n"))
        }
    }
}

async fn purge(inner: &Inner, parts: &Parts) -> Result<Receipt, Refusal> {
    check_access(inner, parts)?;
    let mode = mode(&parts.headers);
    let targets = match tags(&parts.headers)? {
        Some(tags) => Targets::new(tags.into_iter().map(Target::Tag)),
        None if parts.method.as_str() == "PURGEKEYS" => {
            return Err(refused(
                "no tags given: name them in xkey-purge or xkey-softpurge",
            ));
        }
        None => Targets::new([Target::Url(url(inner, parts)?)]),
    };
    let targets = targets.map_err(|error| refused(&error.to_string()))?;
    let options = RevalidateOptions {
        mode,
        ..inner.options.revalidate.clone()
    };
    let receipt = Receipt::new(targets, options, Source::PurgeRequest);
    inner
        .revalidator
        .revalidate(receipt)
        .await
        .map_err(|error| {
            tracing::warn!(%error, "a purge could not be accepted");
            inner.recorder.record(&Event::StoreFailed {
                operation: "invalidate",
            });
            (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        })
}

fn check_access(inner: &Inner, parts: &Parts) -> Result<(), Refusal> {
    let access = &inner.options.purge_from;
    if *access == PurgeAccess::Disabled {
        return Err((
            StatusCode::METHOD_NOT_ALLOWED,
            "PURGE is switched off here".to_owned(),
        ));
    }
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
    if access.allows(peer) {
        return Ok(());
    }
    let reason = "this address may not purge: add it to those that may".to_owned();
    Err((StatusCode::FORBIDDEN, reason))
}

fn url(inner: &Inner, parts: &Parts) -> Result<isr_core::PageUrl, Refusal> {
    let unknown = || {
        (
            StatusCode::NOT_FOUND,
            "the host is not one of the site's".to_owned(),
        )
    };
    let errand = Errand::of(inner, parts).ok_or_else(unknown)?;
    let page = inner
        .options
        .url_rules
        .page(&errand.site, errand.target.as_str());
    page.map(|page| page.url)
        .map_err(|error| refused(&error.to_string()))
}

/// Soft when the request says so, in the way of Fastly or of Varnish's xkey; hard otherwise, which is
/// what `PURGE` means everywhere.
fn mode(headers: &HeaderMap) -> Mode {
    let fastly = headers
        .get(SOFT_PURGE)
        .is_some_and(|value| value.as_bytes() == b"1");
    if fastly || headers.contains_key(XKEY_SOFT_PURGE) {
        Mode::Soft
    } else {
        Mode::Hard
    }
}

/// The tags that a request names in any of the headers in use; `None` when it has none of them.
fn tags(headers: &HeaderMap) -> Result<Option<TagSet>, Refusal> {
    let custom = |name: &'static str| TagHeader::Custom {
        name: HeaderName::from_static(name),
        separator: TagSeparator::CommaOrSpace,
    };
    let known = [
        TagHeader::SurrogateKey,
        TagHeader::XKey,
        TagHeader::CacheTag,
        custom("cache-tags"),
        custom("xkey-purge"),
        custom("xkey-softpurge"),
    ];
    let mut tags = TagSet::with_limit(Targets::LIMIT);
    let mut report = TagHeaderReport::default();
    let mut named = false;
    for header in known
        .iter()
        .filter(|header| headers.contains_key(header.name()))
    {
        named = true;
        report.absorb(header.parse(headers, &mut tags));
    }
    if let Some(invalid) = report.examples.first() {
        return Err(refused(&invalid.to_string()));
    }
    if !report.is_complete() {
        return Err(refused("too many tags for one purge: split them"));
    }
    Ok(named.then_some(tags))
}

fn refused(reason: &str) -> Refusal {
    (StatusCode::UNPROCESSABLE_ENTITY, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use isr_core::Tag;

    use super::*;

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    type Row = (
        &'static [(&'static str, &'static str)],
        Option<&'static [&'static str]>,
        Mode,
    );

    #[test]
    fn a_purge_is_understood_in_every_clients_convention() {
        let rows: &[Row] = &[
            (&[], None, Mode::Hard),
            (&[("fastly-soft-purge", "1")], None, Mode::Soft),
            (&[("fastly-soft-purge", "0")], None, Mode::Hard),
            (&[("surrogate-key", "a b")], Some(&["a", "b"]), Mode::Hard),
            (
                &[("surrogate-key", "a"), ("fastly-soft-purge", "1")],
                Some(&["a"]),
                Mode::Soft,
            ),
            (&[("xkey", "a b")], Some(&["a", "b"]), Mode::Hard),
            (&[("xkey-purge", "a, b")], Some(&["a", "b"]), Mode::Hard),
            (&[("xkey-softpurge", "a")], Some(&["a"]), Mode::Soft),
            (&[("cache-tag", "a,b")], Some(&["a", "b"]), Mode::Hard),
            (&[("cache-tags", "a,b")], Some(&["a", "b"]), Mode::Hard),
            (&[("cache-tags", "")], Some(&[]), Mode::Hard),
        ];
        for (lines, expected, expected_mode) in rows {
            let headers = map(lines);
            let found = tags(&headers).unwrap();
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|tags| tags.iter().map(Tag::as_str).collect());
            assert_eq!(found.as_deref(), *expected, "{lines:?}");
            assert_eq!(mode(&headers), *expected_mode, "{lines:?}");
        }
    }

    #[test]
    fn a_tag_that_is_none_refuses_the_whole_purge() {
        let refusal = tags(&map(&[("surrogate-key", "a \"b")])).unwrap_err();
        assert_eq!(refusal.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
}
