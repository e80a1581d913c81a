//! What a revalidation is aimed at.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{PageUrl, Tag};

/// One thing that a revalidation is aimed at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// Every page bound to the tag.
    Tag(Tag),
    /// One page in all its variants.
    Url(PageUrl),
    /// Every page at or beneath a path, by whole path segments; see [`PageUrl::ancestors`].
    Prefix(PageUrl),
    /// Every page of a host, written as [`PageUrl::host`] gives it.
    Host(String),
    /// Every page of the site. Only ever alone, and only by [`Targets::everything`].
    Everything,
}

/// The key that everything under a site shares.
const EVERYTHING: &str = "*";

impl Target {
    /// The name under which generations of this target are kept: one letter for the kind, a colon,
    /// and the target. Part of the stored layout.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Tag(tag) => tag_key(tag),
            Self::Url(url) => format!("u:{url}"),
            Self::Prefix(url) => prefix_key(url.as_str()),
            Self::Host(host) => host_key(host),
            Self::Everything => EVERYTHING.to_owned(),
        }
    }

    /// The kind of target, as a metric label and a word for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tag(_) => "tag",
            Self::Url(_) => "url",
            Self::Prefix(_) => "prefix",
            Self::Host(_) => "host",
            Self::Everything => "everything",
        }
    }

    /// Whether the target is aimed at this page, given the tags the page is bound to.
    #[must_use]
    pub fn concerns<'a>(&self, page: &PageUrl, mut tags: impl Iterator<Item = &'a Tag>) -> bool {
        match self {
            Self::Tag(tag) => tags.any(|bound| bound == tag),
            Self::Url(url) => url == page,
            Self::Prefix(prefix) => page.ancestors().any(|ancestor| ancestor == prefix.as_str()),
            Self::Host(host) => host == page.host(),
            Self::Everything => true,
        }
    }
}

/// Every target that could be aimed at a page bound to `tags`.
pub fn targets_at<'a>(
    page: &'a PageUrl,
    tags: impl Iterator<Item = &'a Tag> + 'a,
) -> impl Iterator<Item = Target> + 'a {
    let prefix = |ancestor: &str| Target::Prefix(PageUrl::from_canonical(ancestor));
    tags.map(|tag| Target::Tag(tag.clone()))
        .chain([Target::Url(page.clone())])
        .chain(page.ancestors().map(prefix))
        .chain([Target::Host(page.host().to_owned()), Target::Everything])
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "{tag}"),
            Self::Url(url) => write!(f, "{url}"),
            Self::Prefix(url) => write!(f, "{url} and beneath"),
            Self::Host(host) => write!(f, "host {host}"),
            Self::Everything => f.write_str("everything"),
        }
    }
}

fn tag_key(tag: &Tag) -> String {
    format!("t:{tag}")
}

fn prefix_key(prefix: &str) -> String {
    format!("p:{prefix}")
}

fn host_key(host: &str) -> String {
    format!("h:{host}")
}

/// The keys of every target but tags that could be aimed at a page: the page itself, its path's
/// ancestors, its host, and everything. Generations of these are compared beside those of its tags.
pub fn pseudo_tag_keys(page: &PageUrl) -> impl Iterator<Item = String> + '_ {
    std::iter::once(format!("u:{page}"))
        .chain(page.ancestors().map(prefix_key))
        .chain([host_key(page.host()), EVERYTHING.to_owned()])
}

/// The keys of every target that could be aimed at a page bound to `tags`.
pub fn guard_keys<'a>(
    page: &'a PageUrl,
    tags: impl Iterator<Item = &'a Tag> + 'a,
) -> impl Iterator<Item = String> + 'a {
    tags.map(tag_key).chain(pseudo_tag_keys(page))
}

/// How a revalidation treats the copies that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Copies become stale: they may be served while, and only while, they are revalidated
    /// (RFC 5861). Tiers that know no stale copies are purged. The default.
    #[default]
    Soft,
    /// Copies expire: they are never served again, not even when the origin fails.
    Hard,
}

impl Mode {
    /// The word for it, in receipts and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// The targets of one revalidation: at least one, each once, and everything only alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Target>", into = "Vec<Target>")]
pub struct Targets(Vec<Target>);

/// Why a list of targets was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTargets {
    /// An empty list, which several CDNs would read as "everything".
    #[error("no targets given: name at least one tag or URL")]
    Empty,
    /// More targets than one revalidation carries.
    #[error(
        "{count} targets given, and one revalidation takes at most {}: split it",
        Targets::LIMIT
    )]
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// Everything, hidden in a list.
    #[error("everything cannot be one target among others: ask for it alone")]
    EverythingInList,
}

impl Targets {
    /// The most targets that one revalidation carries.
    pub const LIMIT: usize = 10_000;

    /// Targets from a list, without repetitions, in a fixed order.
    ///
    /// # Errors
    ///
    /// An empty list, one longer than [`Targets::LIMIT`], and one that holds
    /// [`Target::Everything`] are refused.
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Result<Self, InvalidTargets> {
        let mut list: Vec<Target> = targets.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        match list.len() {
            0 => Err(InvalidTargets::Empty),
            _ if list.contains(&Target::Everything) => Err(InvalidTargets::EverythingInList),
            count if count > Self::LIMIT => Err(InvalidTargets::TooMany { count }),
            _ => Ok(Self(list)),
        }
    }

    /// Every page of the site.
    #[must_use]
    pub fn everything() -> Self {
        Self(vec![Target::Everything])
    }

    /// The targets, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Target> {
        self.0.iter()
    }

    /// The targets as a slice; never empty.
    #[must_use]
    pub fn as_slice(&self) -> &[Target] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Targets {
    type Item = &'a Target;
    type IntoIter = std::slice::Iter<'a, Target>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl TryFrom<Vec<Target>> for Targets {
    type Error = InvalidTargets;

    fn try_from(list: Vec<Target>) -> Result<Self, Self::Error> {
        if list == [Target::Everything] {
            Ok(Self(list))
        } else {
            Self::new(list)
        }
    }
}

impl From<Targets> for Vec<Target> {
    fn from(targets: Targets) -> Self {
        targets.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag;

    fn page(url: &str) -> PageUrl {
        PageUrl::parse(url).unwrap()
    }

    #[test]
    fn an_empty_list_never_means_everything() {
        assert_eq!(Targets::new([]), Err(InvalidTargets::Empty));
        assert!(serde_json::from_str::<Targets>("[]").is_err());
    }

    #[test]
    fn everything_is_only_ever_alone() {
        let both = [Target::Everything, Target::Tag(tag("post", 1))];
        assert_eq!(Targets::new(both), Err(InvalidTargets::EverythingInList));
        assert_eq!(
            Targets::new([Target::Everything]),
            Err(InvalidTargets::EverythingInList)
        );
        let json = serde_json::to_string(&Targets::everything()).unwrap();
        assert_eq!(
            serde_json::from_str::<Targets>(&json).unwrap(),
            Targets::everything()
        );
    }

    #[test]
    fn repeated_targets_count_once() {
        let targets = Targets::new([
            Target::Tag(tag("b", 1)),
            Target::Tag(tag("a", 1)),
            Target::Tag(tag("b", 1)),
        ]);
        assert_eq!(targets.unwrap().as_slice().len(), 2);
    }

    #[test]
    fn a_target_concerns_exactly_its_pages() {
        let tags = [tag("post", 42)];
        let concerned = |target: Target, url: &str| target.concerns(&page(url), tags.iter());
        assert!(concerned(
            Target::Tag(tag("post", 42)),
            "https://a.example/x"
        ));
        assert!(!concerned(
            Target::Tag(tag("post", 4)),
            "https://a.example/x"
        ));
        assert!(concerned(
            Target::Prefix(page("https://a.example/blog")),
            "https://a.example/blog/1"
        ));
        assert!(!concerned(
            Target::Prefix(page("https://a.example/blog")),
            "https://a.example/blogs"
        ));
        assert!(concerned(
            Target::Host("a.example".into()),
            "https://a.example/x"
        ));
        assert!(!concerned(
            Target::Host("a.example".into()),
            "https://b.example/x"
        ));
        assert!(concerned(Target::Everything, "https://b.example/x"));
    }

    #[test]
    fn the_guard_keys_of_a_page_are_the_keys_of_the_targets_that_concern_it() {
        let url = page("https://a.example/blog/1");
        let tags = [tag("post", 1)];
        let keys: Vec<String> = guard_keys(&url, tags.iter()).collect();
        let targets = [
            Target::Tag(tag("post", 1)),
            Target::Url(url.clone()),
            Target::Prefix(page("https://a.example/blog")),
            Target::Prefix(page("https://a.example/")),
            Target::Host("a.example".into()),
            Target::Everything,
        ];
        let all: Vec<String> = targets_at(&url, tags.iter()).map(|it| it.key()).collect();
        assert_eq!(all, keys);
        for target in targets {
            assert!(
                keys.contains(&target.key()),
                "{target} is not among {keys:?}"
            );
        }
        assert!(!keys.contains(&Target::Prefix(page("https://a.example/blo")).key()));
    }
}
