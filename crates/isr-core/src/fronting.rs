//! What a response says to the tiers in front of the process that sends it.

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use crate::{
    Dialect, HostPatterns, PageUrl, Tag, TagHeader, TagHeaderLimits, TagSet, TagSupport,
    TagsDoNotFit, Tier, tag,
};

/// The tiers in front of a process, as its responses have to know them.
#[derive(Clone, Debug, Default)]
pub struct Fronting {
    tiers: Vec<Front>,
}

/// One tier in front.
#[derive(Clone, Debug)]
pub struct Front {
    /// The connector's name.
    pub connector: String,
    /// The hosts whose pages it keeps.
    pub hosts: HostPatterns,
    /// How it is told lifetimes.
    pub dialect: Dialect,
    /// How it is told tags, where it looks for any.
    pub tags: Option<TagSupport>,
    /// Whether it can be purged by URL, and so keep pages whose tags it does not know.
    pub purged_by_url: bool,
}

/// By what the tiers find a page again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    /// The tag headers to send.
    pub fields: HeaderMap,
    /// Tags to bind the page to besides its own, since not all of its own could be sent; see
    /// [`unlisted`].
    pub unlisted: Vec<Tag>,
}

impl Fronting {
    /// Every tier that keeps copies which are told of lifetimes and tags by header fields.
    #[must_use]
    pub fn of<'t>(tiers: impl IntoIterator<Item = &'t Tier>) -> Self {
        let foreign = tiers.into_iter().filter(|tier| tier.capabilities().foreign);
        Self::new(foreign.map(|tier| {
            let can = tier.capabilities();
            Front {
                connector: tier.name().to_owned(),
                hosts: tier.hosts.clone(),
                dialect: can.dialect,
                tags: can.tags.clone(),
                purged_by_url: can.url.is_some(),
            }
        }))
    }

    /// These tiers.
    #[must_use]
    pub fn new(tiers: impl IntoIterator<Item = Front>) -> Self {
        Self {
            tiers: tiers.into_iter().collect(),
        }
    }

    /// Whether there is no tier in front.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// How the tiers that serve a page are told lifetimes, each dialect once.
    #[must_use]
    pub fn dialects(&self, page: &PageUrl) -> SmallVec<[Dialect; 2]> {
        let mut dialects = SmallVec::new();
        for tier in self.serving(page) {
            if !dialects.contains(&tier.dialect) {
                dialects.push(tier.dialect);
            }
        }
        dialects
    }

    /// Writes a page's tags for every tier that serves it, as many as each takes.
    ///
    /// # Errors
    ///
    /// When some do not fit and a tier can be purged in no other way. The page must then not be kept by
    /// it.
    pub fn label(&self, page: &PageUrl, tags: &TagSet) -> Result<Labels, TagsDoNotFit> {
        let mut labels = Labels::default();
        for header in self.headers(page) {
            let tiers = || self.reading(page, &header);
            let (value, left_out) = header.write_what_fits(tags, tightest(tiers()));
            if left_out.is_empty() {
                labels
                    .fields
                    .extend(value.map(|value| (header.name(), value)));
                continue;
            }
            if let Some(only_by_tag) = tiers().find(|tier| !tier.purged_by_url) {
                let limits = only_by_tag.tags.as_ref().map(|tags| tags.limits);
                header.write(tags, limits.unwrap_or(header.limits()))?;
            }
            labels
                .fields
                .extend(value.map(|value| (header.name(), value)));
            for tier in tiers() {
                labels
                    .unlisted
                    .extend(left_out.iter().map(|tag| unlisted(&tier.connector, tag)));
            }
        }
        Ok(labels)
    }

    /// The names of the fields in which some tier looks for tags.
    pub fn tag_fields(&self) -> impl Iterator<Item = HeaderName> + '_ {
        let headers = self.tiers.iter().filter_map(|tier| tier.tags.as_ref());
        headers.map(|tags| tags.header.name())
    }

    fn serving(&self, page: &PageUrl) -> impl Iterator<Item = &Front> {
        self.tiers
            .iter()
            .filter(move |tier| tier.hosts.serve_page(page))
    }

    /// The fields that some tier reads, each once.
    fn headers(&self, page: &PageUrl) -> SmallVec<[TagHeader; 2]> {
        let mut headers: SmallVec<[TagHeader; 2]> = SmallVec::new();
        for tags in self.serving(page).filter_map(|tier| tier.tags.as_ref()) {
            if !headers
                .iter()
                .any(|known| known.name() == tags.header.name())
            {
                headers.push(tags.header.clone());
            }
        }
        headers
    }

    /// The tiers that read a field.
    fn reading(&self, page: &PageUrl, header: &TagHeader) -> impl Iterator<Item = &Front> {
        let name = header.name();
        self.serving(page).filter(move |tier| {
            tier.tags
                .as_ref()
                .is_some_and(|tags| tags.header.name() == name)
        })
    }
}

/// What every one of some tiers takes of a field.
fn tightest<'t>(tiers: impl Iterator<Item = &'t Front>) -> TagHeaderLimits {
    let limits = tiers.filter_map(|tier| tier.tags.as_ref().map(|tags| tags.limits));
    let unlimited = TagHeaderLimits {
        bytes: usize::MAX,
        tags: usize::MAX,
        tag_bytes: usize::MAX,
    };
    limits.fold(unlimited, |least, limits| TagHeaderLimits {
        bytes: least.bytes.min(limits.bytes),
        tags: least.tags.min(limits.tags),
        tag_bytes: least.tag_bytes.min(limits.tag_bytes),
    })
}

/// The tag of the pages that a tier keeps without knowing that they show `of`, because their header had
/// no room for it. Purging the tier by `of` purges these pages by their URLs.
#[must_use]
pub fn unlisted(connector: &str, of: &Tag) -> Tag {
    tag("~unlisted", format_args!("{connector}/{of}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(name: &str, header: TagHeader, tags: usize) -> Front {
        let limits = TagHeaderLimits {
            tags,
            ..header.limits()
        };
        Front {
            connector: name.into(),
            hosts: HostPatterns::default(),
            dialect: Dialect::Standard,
            tags: Some(TagSupport {
                header,
                limits,
                case_sensitive: false,
                stripped: true,
            }),
            purged_by_url: true,
        }
    }

    fn some_tags(count: usize) -> TagSet {
        TagSet::try_from_iter((0..count).map(|n| tag("t", n))).unwrap()
    }

    fn page() -> PageUrl {
        PageUrl::parse("https://a.example/").unwrap()
    }

    fn field<'l>(labels: &'l Labels, name: &str) -> Option<&'l str> {
        labels.fields.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn every_tier_is_told_the_tags_in_its_own_field() {
        let fronting = Fronting::new([
            front("one", TagHeader::CacheTag, 9),
            front("other", TagHeader::SurrogateKey, 9),
        ]);
        let labels = fronting.label(&page(), &some_tags(2)).unwrap();
        assert_eq!(field(&labels, "cache-tag"), Some("t:0,t:1"));
        assert_eq!(field(&labels, "surrogate-key"), Some("t:0 t:1"));
        assert_eq!(labels.unlisted, []);
    }

    #[test]
    fn what_has_no_room_is_found_by_url() {
        let fronting = Fronting::new([
            front("one", TagHeader::CacheTag, 9),
            front("other", TagHeader::CacheTag, 2),
        ]);
        let labels = fronting.label(&page(), &some_tags(3)).unwrap();
        assert_eq!(field(&labels, "cache-tag"), Some("t:0,t:1"));
        let left_out = tag("t", 2);
        assert_eq!(
            labels.unlisted,
            [unlisted("one", &left_out), unlisted("other", &left_out)]
        );
    }

    #[test]
    fn a_tier_that_is_purged_by_nothing_but_tags_does_not_get_the_page() {
        let mut only_by_tag = front("one", TagHeader::CacheTag, 2);
        only_by_tag.purged_by_url = false;
        let fronting = Fronting::new([only_by_tag]);
        assert!(fronting.label(&page(), &some_tags(2)).is_ok());
        assert!(fronting.label(&page(), &some_tags(3)).is_err());
    }

    #[test]
    fn a_tier_is_told_only_of_the_hosts_it_serves() {
        let mut elsewhere = front("one", TagHeader::CacheTag, 9);
        elsewhere.hosts = HostPatterns::new(["b.example".parse().unwrap()]);
        elsewhere.dialect = Dialect::Cloudflare;
        let fronting = Fronting::new([elsewhere]);
        assert_eq!(
            fronting.label(&page(), &some_tags(2)),
            Ok(Labels::default())
        );
        assert!(fronting.dialects(&page()).is_empty());
        let there = PageUrl::parse("https://b.example/").unwrap();
        assert_eq!(fronting.dialects(&there).as_slice(), [Dialect::Cloudflare]);
    }

    #[test]
    fn unlisted_tags_differ_by_tier_and_tag() {
        let tags = [tag("a", "b"), tag("a", "c")];
        let all: std::collections::BTreeSet<Tag> = ["x", "y"]
            .into_iter()
            .flat_map(|tier| tags.iter().map(move |tag| unlisted(tier, tag)))
            .collect();
        assert_eq!(all.len(), 4);
    }
}
