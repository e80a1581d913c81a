//! The site: data items that have versions, and pages that show some of them.
//!
//! Tags are the names of data items. Each page also shows a datum of its own, which is revalidated by the
//! page's URL.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;
use rand::rngs::StdRng;

use crate::random::{happens, stream};

/// How many tags there are.
pub(crate) const TAGS: usize = 320;
/// How many pages.
pub(crate) const PAGES: usize = 1200;
/// The first tags change all the time.
const HOT_TAGS: usize = 16;
/// And are on the first pages. A change that were lost there would soon be made up for by the next one, so
/// the others change seldom: each page every ten seconds or so.
const HOT_PAGES: usize = 120;

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    /// The data that it shows: two to four tags, and last the datum of its own.
    pub(crate) items: Vec<usize>,
    /// Bytes after the data.
    pub(crate) filler: usize,
    /// Whether its data are read while its body is sent, and not before its head.
    pub(crate) streamed: bool,
}

/// The data and the pages.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) pages: Vec<Page>,
    versions: Vec<AtomicU64>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = stream(seed, "world", 0);
        let pages = (0..PAGES)
            .map(|number| Page {
                items: items(&mut random, number),
                filler: random.random_range(200..12_000),
                streamed: happens(&mut random, 500),
            })
            .collect();
        Self {
            pages,
            versions: (0..TAGS + PAGES).map(|_| AtomicU64::new(1)).collect(),
        }
    }

    /// The newest version of a datum.
    pub(crate) fn version(&self, item: usize) -> u64 {
        self.versions[item].load(Ordering::SeqCst)
    }

    /// Changes a datum; gives its new version.
    pub(crate) fn change(&self, item: usize) -> u64 {
        self.versions[item].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How many data there are.
    pub(crate) fn items(&self) -> usize {
        self.versions.len()
    }

    /// A datum to change: mostly of a tag that often changes, else a page's own or that of another tag.
    pub(crate) fn pick(random: &mut StdRng) -> usize {
        match random.random_range(0..100) {
            0..85 => random.random_range(0..HOT_TAGS),
            85..95 => TAGS + random.random_range(0..PAGES),
            _ => random.random_range(HOT_TAGS..TAGS),
        }
    }

    /// The pages that show a datum which seldom changes.
    pub(crate) fn cold_pages(&self, item: usize) -> Vec<usize> {
        let shows = |&page: &usize| self.pages[page].items.contains(&item);
        (HOT_PAGES..PAGES).filter(shows).collect()
    }
}

fn items(random: &mut StdRng, page: usize) -> Vec<usize> {
    let count = random.random_range(2..=4);
    let mut tags = BTreeSet::new();
    let from = if page < HOT_PAGES {
        0..HOT_TAGS
    } else {
        HOT_TAGS..TAGS
    };
    while tags.len() < count {
        tags.insert(random.random_range(from.clone()));
    }
    tags.into_iter().chain([TAGS + page]).collect()
}

/// The tag of a datum that has one.
pub(crate) fn tag(item: usize) -> Option<String> {
    (item < TAGS).then(|| format!("item-{item}"))
}

/// The path of the page whose own datum this is.
pub(crate) fn own_path(item: usize) -> Option<String> {
    item.checked_sub(TAGS).map(path)
}

/// What a datum is called.
pub(crate) fn name(item: usize) -> String {
    tag(item)
        .or_else(|| own_path(item).map(|path| format!("the datum of {path}")))
        .unwrap_or_default()
}

/// The path of a page.
pub(crate) fn path(page: usize) -> String {
    format!("/p/{page}")
}

/// The number of the page with this path.
pub(crate) fn page_of(path: &str) -> Option<usize> {
    let number = path.strip_prefix("/p/")?.parse().ok()?;
    (number < PAGES).then_some(number)
}

/// The line of a body that shows a datum.
pub(crate) fn line(item: usize, version: u64) -> String {
    let mut text = String::new();
    // A string takes any text.
    let _ = writeln!(text, "item {item} is at {version}");
    text
}

/// What the lines of a body show, also of one that was broken off: every datum with its version.
pub(crate) fn shown(body: &[u8]) -> Vec<(usize, u64)> {
    let text = String::from_utf8_lossy(body);
    // A line without its end may have lost digits.
    let lines = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
    lines
        .filter_map(|line| {
            let rest = line.trim_end().strip_prefix("item ")?;
            let (item, version) = rest.split_once(" is at ")?;
            Some((item.parse().ok()?, version.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_shows_is_read_from_its_lines() {
        let body = [line(3, 17), line(900, 4), "x".repeat(40)].concat();
        assert_eq!(shown(body.as_bytes()), [(3, 17), (900, 4)]);
    }

    #[test]
    fn a_line_that_was_broken_off_shows_nothing() {
        let body = [line(3, 17), line(90, 412)].concat();
        assert_eq!(shown(&body.as_bytes()[..body.len() - 2]), [(3, 17)]);
    }

    #[test]
    fn a_seed_has_one_site_in_which_tags_are_shared() {
        let (one, again) = (World::new(5), World::new(5));
        let items = |world: &World| -> Vec<Vec<usize>> {
            world.pages.iter().map(|page| page.items.clone()).collect()
        };
        assert_eq!(items(&one), items(&again));
        assert_ne!(items(&one), items(&World::new(6)));
        for (number, page) in one.pages.iter().enumerate() {
            assert!((3..=5).contains(&page.items.len()));
            assert_eq!(page.items.last(), Some(&(TAGS + number)));
        }
    }

    #[test]
    fn every_datum_changes_now_and_then() {
        let world = World::new(1);
        let mut random = stream(1, "test", 0);
        let mut seen = BTreeSet::new();
        for _ in 0..400_000 {
            seen.insert(World::pick(&mut random));
        }
        assert_eq!(seen.len(), world.items());
    }
}
