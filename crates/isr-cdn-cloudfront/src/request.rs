//! From a batch to the items of an invalidation.

use std::collections::HashSet;

use isr_core::{PageUrl, PurgeBatch, Tag, Target};

use crate::capabilities::LONGEST_PATH;

/// The path that stands for everything.
const EVERYTHING: &str = "/*";

/// What is asked of CloudFront, and what cannot be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Paths, and tags behind a `#`, each once: one that is named twice is billed twice.
    pub(crate) items: Vec<String>,
    /// How many of the items end in a wildcard.
    pub(crate) wildcards: usize,
    /// How many targets the items stand for.
    pub(crate) targets: u64,
    /// Targets that CloudFront cannot be told exactly, and why.
    pub(crate) rejected: Vec<(Target, String)>,
}

impl Request {
    /// The items without a wildcard.
    pub(crate) fn paths(&self) -> usize {
        self.items.len() - self.wildcards
    }

    /// The request that a batch is, where `tags` says whether tags can be purged.
    ///
    /// An error names what is outside the connector's capabilities.
    pub(crate) fn of(batch: &PurgeBatch, tags: bool) -> Result<Self, String> {
        let mut request = Self::default();
        let mut named = HashSet::new();
        for target in batch.targets() {
            match items(target, tags)?.and_then(not_too_long) {
                Ok(items) => {
                    request.targets += 1;
                    request.take(items, &mut named);
                }
                Err(reason) => request.rejected.push((target.clone(), reason)),
            }
        }
        Ok(request)
    }

    fn take(&mut self, items: Vec<Item>, named: &mut HashSet<String>) {
        for item in items {
            if named.insert(item.text.clone()) {
                self.wildcards += usize::from(item.is_wildcard);
                self.items.push(item.text);
            }
        }
    }
}

/// One path or tag.
struct Item {
    text: String,
    is_wildcard: bool,
}

impl Item {
    fn exact(text: String) -> Self {
        Self {
            text,
            is_wildcard: false,
        }
    }

    fn wildcard(text: String) -> Self {
        Self {
            text,
            is_wildcard: true,
        }
    }
}

/// The items of one target, or why CloudFront cannot be told of it; an error where it is of a kind that
/// is not purged here.
fn items(target: &Target, tags: bool) -> Result<Result<Vec<Item>, String>, String> {
    match target {
        Target::Url(page) => Ok(path(page.path_and_query()).map(|path| vec![Item::exact(path)])),
        Target::Prefix(prefix) => Ok(beneath(prefix)),
        Target::Tag(tag) if tags => Ok(of_tag(tag)),
        Target::Tag(_) => Err(
            "it purges no tags, since no tag_header is configured: purge the pages by their paths"
                .to_owned(),
        ),
        Target::Everything => Ok(Ok(vec![Item::wildcard(EVERYTHING.to_owned())])),
        other => Err(format!("it cannot purge by {}", other.kind())),
    }
}

/// A tag. One with an asterisk is none to CloudFront, and fails the whole call: the capabilities say so,
/// and what comes all the same is left out
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-tags.html>,
/// read 2026-11-22).
fn of_tag(tag: &Tag) -> Result<Vec<Item>, String> {
    if tag.as_str().contains('*') {
        return Err("CloudFront takes no * in a tag: purge its pages by their paths".to_owned());
    }
    Ok(vec![Item::exact(format!("#{tag}"))])
}

/// A path and all that is beneath it: `/p`, `/p?*` and `/p/*`, since `/p*` would be `/people` too. What
/// ends in a slash has nothing beside it.
fn beneath(prefix: &PageUrl) -> Result<Vec<Item>, String> {
    let path = path(prefix.path())?;
    if path.ends_with('/') {
        return Ok(vec![Item::wildcard(format!("{path}*"))]);
    }
    Ok(vec![
        Item::wildcard(format!("{path}?*")),
        Item::wildcard(format!("{path}/*")),
        Item::exact(path),
    ])
}

/// A path, with its query if it has one, as CloudFront takes it: what RFC 1738 §2.2 calls unsafe is
/// percent-encoded, and nothing else is.
///
/// Page URLs are encoded that way already, except for the tilde, which that RFC still has among the
/// unsafe and CloudFront refuses when it comes as it is
/// (<https://github.com/aws/aws-sdk-js-v3/issues/4042>, read 2026-11-22).
///
/// An asterisk cannot be written at all: at the end it is a wildcard, elsewhere it is not allowed, and
/// `%2A` is another path to CloudFront
/// (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html>,
/// read 2026-11-22). One path that is not allowed fails the whole call, so it is left out.
fn path(path: &str) -> Result<String, String> {
    if path.contains('*') {
        return Err(
            "CloudFront takes no * in a path but as a wildcard: purge this page by a tag, or what is \
             above it"
                .to_owned(),
        );
    }
    Ok(path.replace('~', "%7E"))
}

fn not_too_long(items: Vec<Item>) -> Result<Vec<Item>, String> {
    match items.iter().map(|item| item.text.len()).max() {
        Some(length) if length > LONGEST_PATH => Err(format!(
            "CloudFront takes paths of up to {LONGEST_PATH} characters, and this one has {length}: purge \
             it by a tag, or what is above it"
        )),
        _ => Ok(items),
    }
}

#[cfg(test)]
mod tests {
    use isr_core::{Epoch, Mode, Position, tag};

    use super::*;

    fn request(targets: Vec<Target>) -> Request {
        let position = Position::new(Epoch::new(1), [1]);
        let batch = PurgeBatch::new(targets, Mode::Soft, position).unwrap();
        Request::of(&batch, true).unwrap()
    }

    fn page(path: &str) -> PageUrl {
        PageUrl::parse(&format!("https://a.example{path}")).unwrap()
    }

    fn sent(target: Target) -> Vec<String> {
        request(vec![target]).items
    }

    #[test]
    fn a_url_is_its_path_and_query() {
        let rows = [
            ("", "/"),
            ("/a?b=2&a=1", "/a?a=1&b=2"),
            ("/a/", "/a/"),
            ("/A", "/A"),
            ("/caf\u{e9}/a b", "/caf%C3%A9/a%20b"),
            ("/%41%2f%7e~", "/A%2F%7E%7E"),
            ("/(a)+b!$&',;=:@", "/(a)+b!$&',;=:@"),
            ("/[1].html", "/%5B1%5D.html"),
        ];
        for (written, path) in rows {
            assert_eq!(sent(Target::Url(page(written))), [path], "{written:?}");
        }
    }

    #[test]
    fn a_prefix_covers_whole_segments() {
        assert_eq!(sent(Target::Prefix(page("/p"))), ["/p?*", "/p/*", "/p"]);
        assert_eq!(sent(Target::Prefix(page("/p/"))), ["/p/*"]);
        let request = request(vec![Target::Prefix(page("/p")), Target::Url(page("/p"))]);
        assert_eq!(
            (request.paths(), request.wildcards, request.targets),
            (1, 2, 2)
        );
    }

    #[test]
    fn tags_and_everything_are_written_as_cloudfront_has_them() {
        assert_eq!(sent(Target::Tag(tag("post", 1))), ["#post:1"]);
        assert_eq!(sent(Target::Everything), ["/*"]);
    }

    #[test]
    fn pages_of_two_hosts_at_one_path_are_one_item() {
        let other = PageUrl::parse("https://b.example/a").unwrap();
        let request = request(vec![Target::Url(page("/a")), Target::Url(other)]);
        assert_eq!((request.items, request.targets), (vec!["/a".to_owned()], 2));
    }

    #[test]
    fn what_cannot_be_written_exactly_is_rejected_alone() {
        let long = format!("/{}", "a".repeat(4_000));
        for path in ["/*", "/a*", "/a/*/b", "/?q=*", &long] {
            let bad = Target::Url(page(path));
            let request = request(vec![bad.clone(), Target::Url(page("/good"))]);
            assert_eq!(request.items, ["/good"], "{path}");
            assert_eq!(request.targets, 1);
            assert_eq!(request.rejected.len(), 1);
            assert_eq!(request.rejected[0].0, bad);
        }
        for tag in ["*", "post:*"] {
            let bad = Target::Tag(tag.parse().unwrap());
            let request = request(vec![bad.clone(), Target::Url(page("/good"))]);
            assert_eq!(request.items, ["/good"], "{tag}");
            assert_eq!(request.rejected[0].0, bad);
        }
        for path in ["/*", "/a*", "/*/", "/a*/b"] {
            let request = request(vec![Target::Prefix(page(path))]);
            assert_eq!(
                (request.items.len(), request.rejected.len()),
                (0, 1),
                "{path}"
            );
        }
    }

    #[test]
    fn kinds_that_are_not_purged_here_fail_the_call() {
        let position = Position::new(Epoch::new(1), [1]);
        for target in [
            Target::Host("a.example".into()),
            Target::Tag(tag("post", 1)),
        ] {
            let batch = PurgeBatch::new(vec![target], Mode::Hard, position.clone()).unwrap();
            assert!(Request::of(&batch, false).is_err());
        }
    }
}
