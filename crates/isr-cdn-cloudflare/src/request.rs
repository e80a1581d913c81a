//! From a batch to the body of a request.

use std::collections::BTreeMap;

use isr_core::{PageUrl, PurgeBatch, Target};
use serde::Serialize;

/// The most slashes of a prefix, host included:
/// <https://developers.cloudflare.com/cache/how-to/purge-cache/purge_by_prefix/>, read on 2026-11-22.
const MOST_SEPARATORS: usize = 31;

/// The body of a request. It has one of its fields, as the API demands.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Body<'b> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<File<'b>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'b str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prefixes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<&'b str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    purge_everything: bool,
}

/// A URL, as whoever visits it has it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum File<'b> {
    /// In the variant of requests without any of the headers that the cache key has.
    Plain(&'b str),
    /// In one variant.
    Variant {
        url: &'b str,
        headers: &'b BTreeMap<String, String>,
    },
}

/// What becomes of a batch.
#[derive(Debug, Default)]
pub(crate) struct Request<'b> {
    /// What to send, unless nothing is.
    pub(crate) body: Body<'b>,
    /// Targets in the body.
    pub(crate) sent: u64,
    /// Targets that cannot be purged there, and why.
    pub(crate) rejected: Vec<(Target, String)>,
}

/// Writes a batch; the error is why it cannot be one call.
pub(crate) fn request<'b>(
    batch: &'b PurgeBatch,
    variants: &'b [BTreeMap<String, String>],
) -> Result<Request<'b>, &'static str> {
    let kind = batch.targets()[0].kind();
    let mut request = Request::default();
    for target in batch.targets() {
        if target.kind() != kind {
            return Err("a call has targets of one kind at Cloudflare: divide them by kind");
        }
        if let Some(why) = unfit(target) {
            request.rejected.push((target.clone(), why.to_owned()));
            continue;
        }
        let body = &mut request.body;
        match target {
            Target::Url(url) => body.files.extend(files(url, variants)),
            Target::Tag(tag) => body.tags.push(tag.as_str()),
            Target::Prefix(prefix) => body.prefixes.push(written(prefix)),
            Target::Host(host) => body.hosts.push(host),
            Target::Everything => body.purge_everything = true,
            _ => return Err("this kind of target cannot be purged at Cloudflare"),
        }
        request.sent += 1;
    }
    Ok(request)
}

fn files<'b>(
    url: &'b PageUrl,
    variants: &'b [BTreeMap<String, String>],
) -> impl Iterator<Item = File<'b>> {
    let url = url.as_str();
    let variants = variants
        .iter()
        .map(move |headers| File::Variant { url, headers });
    std::iter::once(File::Plain(url)).chain(variants)
}

/// Host and path. To Cloudflare a prefix is a mere beginning, so that `/blog` would take `/blogroll`
/// with it: it is sent with a slash at its end, and the page at the path itself is purged by URL.
fn written(prefix: &PageUrl) -> String {
    let (host, path) = (prefix.host(), prefix.path());
    let slash = if path.ends_with('/') { "" } else { "/" };
    format!("{host}{path}{slash}")
}

/// Why Cloudflare would not purge a target, where that is known beforehand.
fn unfit(target: &Target) -> Option<&'static str> {
    match target {
        Target::Prefix(prefix) if prefix.query().is_some() => {
            Some("a prefix has no query: leave out what begins with `?`")
        }
        Target::Prefix(prefix) if written(prefix).matches('/').count() > MOST_SEPARATORS => {
            Some("a prefix has at most 31 slashes at Cloudflare: purge a shorter one, or a tag")
        }
        Target::Host(host) if host.contains(':') => {
            Some("a host has no port at Cloudflare: purge it without, or by URL or tag")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use isr_core::{Epoch, Mode, Position, tag};
    use serde_json::{Value, json};

    use super::*;

    fn page(url: &str) -> PageUrl {
        PageUrl::parse(url).unwrap()
    }

    fn batch(targets: &[Target]) -> PurgeBatch {
        let position = Position::new(Epoch::new(1), [1]);
        PurgeBatch::new(targets.to_vec(), Mode::Hard, position).unwrap()
    }

    /// What is sent for some targets, and how many are not.
    fn sent(targets: &[Target], variants: Value) -> (Value, usize) {
        let (batch, variants) = (batch(targets), serde_json::from_value(variants).unwrap());
        let variants: Vec<BTreeMap<String, String>> = variants;
        let request = request(&batch, &variants).unwrap();
        (
            serde_json::to_value(&request.body).unwrap(),
            request.rejected.len(),
        )
    }

    #[test]
    fn each_kind_is_written_as_the_api_wants_it() {
        let post = page("https://a.example/blog/1?b=2");
        let blog = |end| Target::Prefix(page(&format!("https://a.example/blog{end}")));
        let rows = [
            (
                Target::Url(post),
                json!({"files": ["https://a.example/blog/1?b=2"]}),
            ),
            (Target::Tag(tag("post", 1)), json!({"tags": ["post:1"]})),
            (blog(""), json!({"prefixes": ["a.example/blog/"]})),
            (blog("/"), json!({"prefixes": ["a.example/blog/"]})),
            (
                Target::Host("a.example".into()),
                json!({"hosts": ["a.example"]}),
            ),
            (Target::Everything, json!({"purge_everything": true})),
        ];
        for (target, expected) in rows {
            assert_eq!(sent(&[target], json!([])), (expected, 0));
        }
    }

    #[test]
    fn a_url_is_purged_in_every_variant_that_is_named() {
        let variants = json!([{"Accept-Language": "de"}, {"CF-Device-Type": "mobile"}]);
        let url = "https://a.example/";
        let expected = json!({"files": [
            url,
            {"url": url, "headers": {"Accept-Language": "de"}},
            {"url": url, "headers": {"CF-Device-Type": "mobile"}},
        ]});
        assert_eq!(sent(&[Target::Url(page(url))], variants), (expected, 0));
    }

    #[test]
    fn what_cloudflare_would_not_purge_is_left_out_and_named() {
        let deep = |slashes: usize| {
            Target::Prefix(page(&format!("https://a.example{}", "/a".repeat(slashes))))
        };
        let (body, rejected) = sent(&[deep(30), deep(31)], json!([]));
        assert_eq!(body["prefixes"].as_array().unwrap().len(), 1);
        assert_eq!(rejected, 1);
        let alone = [
            deep(31),
            Target::Prefix(page("https://a.example/a?b")),
            Target::Host("a.example:8080".into()),
        ];
        for target in alone {
            assert_eq!(sent(&[target], json!([])), (json!({}), 1));
        }
    }

    #[test]
    fn kinds_are_not_mixed() {
        let targets = [Target::Tag(tag("post", 1)), Target::Everything];
        assert!(request(&batch(&targets), &[]).is_err());
    }
}
