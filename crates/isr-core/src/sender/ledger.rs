//! What has been revalidated, target by target.

use std::collections::HashMap;

use crate::{Footprint, Mode, PageUrl, Tag, Target};

/// Whether a response may still be served, by what has been revalidated since its data was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nothing it was made from has been revalidated since.
    Current,
    /// It may be served only while it is revalidated, or when the origin fails.
    Stale,
    /// It may not be served at all.
    Expired,
}

/// The numbers of the newest soft and the newest hard revalidation of something; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Of the newest soft one.
    pub stale: u64,
    /// Of the newest hard one.
    pub expired: u64,
}

impl Marks {
    fn mark(&mut self, number: u64, mode: Mode) {
        let newest = match mode {
            Mode::Soft => &mut self.stale,
            Mode::Hard => &mut self.expired,
        };
        *newest = number.max(*newest);
    }

    /// Takes the newer of each.
    pub fn merge(&mut self, other: Self) {
        self.stale = self.stale.max(other.stale);
        self.expired = self.expired.max(other.expired);
    }

    fn newest(self) -> u64 {
        self.stale.max(self.expired)
    }

    /// What becomes of a response of this number.
    #[must_use]
    pub const fn verdict(self, number: u64) -> Verdict {
        if number < self.expired {
            Verdict::Expired
        } else if number < self.stale {
            Verdict::Stale
        } else {
            Verdict::Current
        }
    }
}

/// The newest revalidation of every target in one partition, and a floor behind which targets are
/// no longer told apart.
#[derive(Clone, Debug)]
pub struct Ledger {
    tags: HashMap<Tag, Marks>,
    urls: HashMap<PageUrl, Marks>,
    /// By the URL that heads the prefix, without a trailing query.
    prefixes: HashMap<String, Marks>,
    hosts: HashMap<String, Marks>,
    everything: Marks,
    floor: Marks,
    limit: usize,
}

impl Ledger {
    /// A ledger of nothing, that tells at most `limit` targets apart.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            tags: HashMap::new(),
            urls: HashMap::new(),
            prefixes: HashMap::new(),
            hosts: HashMap::new(),
            everything: Marks::default(),
            floor: Marks::default(),
            limit: limit.max(1),
        }
    }

    /// A ledger to which every response older than `number` is expired, since nobody can say what
    /// was revalidated before.
    #[must_use]
    pub fn with_floor(limit: usize, number: u64) -> Self {
        let mut ledger = Self::new(limit);
        ledger.floor.mark(number, Mode::Hard);
        ledger
    }

    /// The newest revalidations of a target, as far as it is told apart from others.
    #[must_use]
    pub fn marks(&self, target: &Target) -> Marks {
        let found = match target {
            Target::Tag(tag) => self.tags.get(tag),
            Target::Url(url) => self.urls.get(url),
            Target::Prefix(url) => self.prefixes.get(url.as_str()),
            Target::Host(host) => self.hosts.get(host),
            Target::Everything => Some(&self.everything),
        };
        found.copied().unwrap_or_default()
    }

    /// The newest revalidations of the targets that are not told apart any more.
    #[must_use]
    pub const fn floor(&self) -> Marks {
        self.floor
    }

    /// Takes every target for revalidated at `floor`, as where no more of them are told apart than up to there.
    pub fn raise_floor(&mut self, floor: Marks) {
        self.floor.merge(floor);
    }

    /// Notes that a target was revalidated.
    pub fn mark(&mut self, target: &Target, number: u64, mode: Mode) {
        let marks = match target {
            Target::Tag(tag) => self.tags.entry(tag.clone()).or_default(),
            Target::Url(url) => self.urls.entry(url.clone()).or_default(),
            Target::Prefix(url) => self.prefixes.entry(url.as_str().to_owned()).or_default(),
            Target::Host(host) => self.hosts.entry(host.clone()).or_default(),
            Target::Everything => &mut self.everything,
        };
        marks.mark(number, mode);
        if self.len() > self.limit {
            self.trim();
        }
    }

    /// What became of a response that took `number` before its data was read.
    #[must_use]
    pub fn verdict(&self, footprint: &Footprint, number: u64) -> Verdict {
        let mut marks = self.floor;
        marks.merge(self.everything);
        for tag in &footprint.tags {
            merge_found(&mut marks, self.tags.get(tag));
        }
        merge_found(&mut marks, self.urls.get(&footprint.url));
        if !self.hosts.is_empty() {
            merge_found(&mut marks, self.hosts.get(footprint.url.host()));
        }
        if !self.prefixes.is_empty() {
            for ancestor in footprint.url.ancestors() {
                merge_found(&mut marks, self.prefixes.get(ancestor));
            }
        }
        marks.verdict(number)
    }

    /// How many targets are told apart.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tags.len() + self.urls.len() + self.prefixes.len() + self.hosts.len()
    }

    /// Whether no target has been noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the older half of the targets; the floor rises to the newest one forgotten.
    fn trim(&mut self) {
        let mut numbers: Vec<u64> = self
            .tags
            .values()
            .chain(self.urls.values())
            .chain(self.prefixes.values())
            .chain(self.hosts.values())
            .map(|marks| marks.newest())
            .collect();
        let middle = numbers.len() / 2;
        let (_, &mut cut, _) = numbers.select_nth_unstable(middle);
        let mut floor = self.floor;
        let mut keep = |marks: &Marks| {
            let kept = marks.newest() > cut;
            if !kept {
                floor.merge(*marks);
            }
            kept
        };
        self.tags.retain(|_, marks| keep(marks));
        self.urls.retain(|_, marks| keep(marks));
        self.prefixes.retain(|_, marks| keep(marks));
        self.hosts.retain(|_, marks| keep(marks));
        self.floor = floor;
    }
}

fn merge_found(marks: &mut Marks, found: Option<&Marks>) {
    if let Some(found) = found {
        marks.merge(*found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TagSet, tag};

    fn footprint(url: &str, tags: &[Tag]) -> Footprint {
        Footprint {
            url: PageUrl::parse(url).unwrap(),
            tags: TagSet::try_from_iter(tags.iter().cloned()).unwrap(),
        }
    }

    #[test]
    fn a_response_is_judged_by_the_newest_revalidation_of_anything_it_shows() {
        let mut ledger = Ledger::new(100);
        ledger.mark(&Target::Tag(tag("post", 1)), 3, Mode::Soft);
        ledger.mark(&Target::Tag(tag("post", 2)), 5, Mode::Hard);
        ledger.mark(&Target::Tag(tag("post", 2)), 7, Mode::Soft);
        let one = footprint("https://a.example/1", &[tag("post", 1)]);
        let both = footprint("https://a.example/2", &[tag("post", 1), tag("post", 2)]);
        let none = footprint("https://a.example/3", &[]);
        let cases = [
            (&one, 2, Verdict::Stale),
            (&one, 3, Verdict::Current),
            (&both, 4, Verdict::Expired),
            (&both, 5, Verdict::Stale),
            (&both, 7, Verdict::Current),
            (&none, 0, Verdict::Current),
        ];
        for (footprint, number, expected) in cases {
            assert_eq!(
                ledger.verdict(footprint, number),
                expected,
                "{footprint:?} of {number}"
            );
        }
    }

    #[test]
    fn every_kind_of_target_reaches_its_pages() {
        let page = footprint("https://a.example/blog/1", &[]);
        let url = |text: &str| PageUrl::parse(text).unwrap();
        let targets = [
            Target::Url(url("https://a.example/blog/1")),
            Target::Prefix(url("https://a.example/blog")),
            Target::Host("a.example".into()),
            Target::Everything,
        ];
        for target in targets {
            let mut ledger = Ledger::new(100);
            ledger.mark(&target, 2, Mode::Soft);
            assert_eq!(ledger.verdict(&page, 1), Verdict::Stale, "{target}");
        }
    }

    #[test]
    fn what_is_older_than_the_floor_counts_as_superseded() {
        let mut ledger = Ledger::new(4);
        for number in 1..=10 {
            ledger.mark(&Target::Tag(tag("post", number)), number, Mode::Soft);
        }
        assert!(ledger.len() <= 4);
        let other = footprint("https://a.example/", &[tag("page", 1)]);
        assert_eq!(ledger.verdict(&other, 1), Verdict::Stale);
        assert_eq!(ledger.verdict(&other, 10), Verdict::Current);
        for number in 1..=10 {
            let post = footprint("https://a.example/", &[tag("post", number)]);
            assert_eq!(
                ledger.verdict(&post, number - 1),
                Verdict::Stale,
                "post:{number}"
            );
        }
    }

    #[test]
    fn behind_an_unknown_history_everything_is_expired() {
        let ledger = Ledger::with_floor(4, 9);
        let page = footprint("https://a.example/", &[]);
        assert_eq!(ledger.verdict(&page, 8), Verdict::Expired);
        assert_eq!(ledger.verdict(&page, 9), Verdict::Current);
    }
}
