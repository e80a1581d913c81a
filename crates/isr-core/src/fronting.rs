//! What a response says to the tiers in front of the process that sends it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use http::HeaderMap;
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
    /// What [`Tier::group`] is; empty for a tier that somebody else purges.
    pub group: String,
    /// The hosts whose pages it keeps.
    pub hosts: HostPatterns,
    /// How it is told lifetimes, where that is known.
    pub dialect: Option<Dialect>,
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

impl Labels {
    /// The tags to bind the page to: its own, and the unlisted ones.
    #[must_use]
    pub fn to_bind(&self, tags: TagSet) -> TagSet {
        if self.unlisted.is_empty() {
            return tags;
        }
        let mut all = TagSet::with_limit(tags.len() + self.unlisted.len());
        all.try_extend(tags.into_iter().chain(self.unlisted.iter().cloned()))
            .expect("that many have room");
        all
    }
}

impl Front {
    /// A tier that somebody else purges, and that is told lifetimes like this.
    #[must_use]
    pub fn speaking(dialect: Dialect) -> Self {
        Self {
            group: String::new(),
            hosts: HostPatterns::default(),
            dialect: Some(dialect),
            tags: None,
            purged_by_url: false,
        }
    }

    /// A tier that somebody else purges by the tags in this field, as far as the field takes them.
    #[must_use]
    pub fn reading(header: TagHeader, limits: TagHeaderLimits) -> Self {
        Self {
            dialect: None,
            tags: Some(TagSupport {
                header,
                limits,
                case_sensitive: true,
                stripped: false,
            }),
            ..Self::speaking(Dialect::Standard)
        }
    }
}

impl Fronting {
    /// Every tier that keeps copies which are told of lifetimes and tags by header fields.
    #[must_use]
    pub fn of<'t>(tiers: impl IntoIterator<Item = &'t Tier>) -> Self {
        let foreign = tiers.into_iter().filter(|tier| tier.capabilities().foreign);
        Self::new(foreign.map(|tier| {
            let can = tier.capabilities();
            Front {
                group: tier.group.clone(),
                hosts: tier.hosts.clone(),
                dialect: Some(can.dialect),
                tags: can.tags.clone(),
                purged_by_url: can.url.is_some(),
            }
        }))
    }

    /// The same, and others before them.
    #[must_use]
    pub fn and(mut self, others: impl IntoIterator<Item = Front>) -> Self {
        self.tiers.extend(others);
        self
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

    /// How the tiers that serve a page are told lifetimes, each dialect once; those of all tiers where
    /// the page is not known.
    #[must_use]
    pub fn dialects(&self, page: Option<&PageUrl>) -> SmallVec<[Dialect; 2]> {
        let mut dialects = SmallVec::new();
        let serves = |tier: &&Front| page.is_none_or(|page| tier.hosts.serve_page(page));
        let tiers = self.tiers.iter().filter(serves);
        for dialect in tiers.filter_map(|tier| tier.dialect) {
            if !dialects.contains(&dialect) {
                dialects.push(dialect);
            }
        }
        dialects
    }

    /// Writes a page's tags for every tier that serves it, as many as each takes. Tags that say of the
    /// page itself where its tags were not listed are no tags of its data, and are not written.
    ///
    /// # Errors
    ///
    /// When some do not fit, or there are none, and a tier can be purged in no other way. The page must
    /// then not be kept by it.
    pub fn label(&self, page: &PageUrl, tags: &TagSet) -> Result<Labels, TagsDoNotFit> {
        let mut labels = Labels::default();
        let tags = &of_data(tags);
        for header in self.headers(page) {
            let tiers = || self.reading(page, &header);
            let (value, left_out) = header.write_what_fits(tags, tightest(tiers()));
            let only_by_tag = || tiers().find(|tier| !tier.purged_by_url);
            if tags.is_empty() && only_by_tag().is_some() {
                let header = header.name();
                return Err(TagsDoNotFit::None { header });
            }
            if left_out.is_empty() {
                labels
                    .fields
                    .extend(value.map(|value| (header.name(), value)));
                continue;
            }
            if let Some(only_by_tag) = only_by_tag() {
                let limits = only_by_tag.tags.as_ref().map(|tags| tags.limits);
                header.write(tags, limits.unwrap_or(header.limits()))?;
            }
            labels
                .fields
                .extend(value.map(|value| (header.name(), value)));
            let groups: BTreeSet<&str> = tiers().map(|tier| tier.group.as_str()).collect();
            for group in groups {
                labels
                    .unlisted
                    .extend(left_out.iter().map(|tag| unlisted(group, tag)));
            }
        }
        Ok(labels)
    }

    /// The fields in which some tier looks for tags; one may come twice.
    pub fn tag_headers(&self) -> impl Iterator<Item = &TagHeader> {
        let tags = self.tiers.iter().filter_map(|tier| tier.tags.as_ref());
        tags.map(|tags| &tags.header)
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

/// The tag of the pages that the tiers of a group keep without knowing that they show `of`, because their header had
/// no room for it. Purging one by `of` purges these pages by their URLs.
#[must_use]
pub fn unlisted(group: &str, of: &Tag) -> Tag {
    tag(UNLISTED, format_args!("{group}/{of}"))
}

/// The namespace of [`unlisted`] tags.
const UNLISTED: &str = "~unlisted";

/// The tags that are not [`unlisted`] ones, to which there may be no limit here.
fn of_data(tags: &TagSet) -> Cow<'_, TagSet> {
    let is_of_data = |tag: &&Tag| {
        let rest = tag.as_str().strip_prefix(UNLISTED);
        rest.is_none_or(|rest| !rest.starts_with(':'))
    };
    if tags.iter().all(|tag| is_of_data(&tag)) {
        return Cow::Borrowed(tags);
    }
    let mut of_data = TagSet::with_limit(tags.len());
    of_data
        .try_extend(tags.iter().filter(is_of_data).cloned())
        .expect("no more than there were");
    Cow::Owned(of_data)
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
            group: name.into(),
            hosts: HostPatterns::default(),
            dialect: Some(Dialect::Standard),
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
        let bound = labels.to_bind(some_tags(3));
        assert_eq!(bound.len(), 5);
        assert_eq!(
            fronting.label(&page(), &bound),
            Ok(labels),
            "it is no tag itself"
        );
    }

    #[test]
    fn the_machines_of_one_connector_share_what_they_are_not_told() {
        let machines = [(); 3].map(|()| front("one", TagHeader::CacheTag, 2));
        let labels = Fronting::new(machines)
            .label(&page(), &some_tags(3))
            .unwrap();
        assert_eq!(labels.unlisted, [unlisted("one", &tag("t", 2))]);
    }

    #[test]
    fn a_tier_that_is_purged_by_nothing_but_tags_does_not_get_the_page() {
        let mut only_by_tag = front("one", TagHeader::CacheTag, 2);
        only_by_tag.purged_by_url = false;
        let fronting = Fronting::new([only_by_tag]);
        assert!(fronting.label(&page(), &some_tags(2)).is_ok());
        assert!(fronting.label(&page(), &some_tags(3)).is_err());
        let without = fronting.label(&page(), &TagSet::default());
        assert!(matches!(without, Err(TagsDoNotFit::None { .. })));
    }

    #[test]
    fn a_tier_is_told_only_of_the_hosts_it_serves() {
        let mut elsewhere = front("one", TagHeader::CacheTag, 9);
        elsewhere.hosts = HostPatterns::new(["b.example".parse().unwrap()]);
        elsewhere.dialect = Some(Dialect::Cloudflare);
        let fronting = Fronting::new([elsewhere]);
        assert_eq!(
            fronting.label(&page(), &some_tags(2)),
            Ok(Labels::default())
        );
        assert!(fronting.dialects(Some(&page())).is_empty());
        let there = PageUrl::parse("https://b.example/").unwrap();
        assert_eq!(
            fronting.dialects(Some(&there)).as_slice(),
            [Dialect::Cloudflare]
        );
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
