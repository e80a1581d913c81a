//! Pages, tags, generations, and those who follow them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use isr_core::{
    Bind, BindOutcome, BoundTag, Collected, Cursor, Epoch, Footprint, Generation, GraphStatistics,
    Heard, Ledger, Marks, Mode, News, PageReason, PageTags, PageUrl, PageWork, Partition, Position,
    RevalidationId, SenderId, SenderReport, SenderState, Standing, Tag, Target, Targets, Timestamp,
    UrlChunk, Verdict, targets_at,
};

#[derive(Clone, Debug)]
struct Page {
    /// When the last copy that shows each tag's data has ended.
    tags: BTreeMap<Tag, Duration>,
    /// When the last copy has ended.
    ends: Duration,
    generation: Generation,
}

#[derive(Clone, Debug)]
pub(super) struct Graph {
    epoch: Epoch,
    number: u64,
    ledger: Ledger,
    /// The newest revalidations, oldest first.
    history: VecDeque<Heard>,
    remembered: usize,
    told_apart: usize,
    pages: BTreeMap<PageUrl, Page>,
    tags: HashMap<Tag, BTreeSet<PageUrl>>,
    senders: BTreeMap<SenderId, (SenderReport, Duration)>,
    /// Where garbage collection goes on.
    collected: Option<PageUrl>,
}

impl Graph {
    pub(super) fn new(remembered: usize, told_apart: usize) -> Self {
        Self {
            epoch: Epoch::new(uuid::Uuid::now_v7().as_u64_pair().1),
            number: 0,
            ledger: Ledger::new(told_apart),
            history: VecDeque::new(),
            remembered: remembered.max(1),
            told_apart,
            pages: BTreeMap::new(),
            tags: HashMap::new(),
            senders: BTreeMap::new(),
            collected: None,
        }
    }

    /// From now on nothing that was made before is known to be current. The number moves too: in a history that
    /// begins, no page has been bound under it.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch = Epoch::new(uuid::Uuid::now_v7().as_u64_pair().1);
        self.number += 1;
        self.ledger = Ledger::new(self.told_apart);
        self.history.clear();
    }

    pub(super) fn raise_floor(&mut self, floor: Marks) {
        self.ledger.raise_floor(floor);
    }

    pub(super) fn position(&self) -> Position {
        Position::new(self.epoch, [self.number])
    }

    fn current(&self) -> Generation {
        Generation {
            epoch: self.epoch,
            number: self.number,
        }
    }

    /// The outcome, and the page to be queued again when it is superseded.
    pub(super) fn bind(&mut self, bind: &Bind, now: Duration) -> (BindOutcome, Option<PageWork>) {
        self.add_tags(bind, now);
        let current = self.current();
        let footprint = Footprint {
            url: bind.url.clone(),
            tags: bind.tags.clone(),
        };
        // A number that was never given out says nothing about what the response has seen.
        let foreign = bind.generation.epoch != self.epoch || bind.generation.number > self.number;
        let verdict = if foreign {
            Verdict::Expired
        } else {
            self.ledger.verdict(&footprint, bind.generation.number)
        };
        let mode = match verdict {
            Verdict::Current => return (BindOutcome::Bound { current }, None),
            Verdict::Stale => Mode::Soft,
            Verdict::Expired => Mode::Hard,
        };
        let again = PageWork::new(footprint.url, current, PageReason::Superseded);
        (BindOutcome::Superseded { current, mode }, Some(again))
    }

    fn add_tags(&mut self, bind: &Bind, now: Duration) {
        let ends = now + bind.lifetime;
        let generation = bind.generation.known_at(self.current());
        let page = self.pages.entry(bind.url.clone()).or_insert_with(|| Page {
            tags: BTreeMap::new(),
            ends,
            generation,
        });
        page.ends = ends.max(page.ends);
        if !page.generation.covers(generation) {
            page.generation = generation;
        }
        for tag in &bind.tags {
            let until = page.tags.entry(tag.clone()).or_insert(ends);
            *until = ends.max(*until);
            self.tags
                .entry(tag.clone())
                .or_default()
                .insert(bind.url.clone());
        }
    }

    pub(super) fn unbind(&mut self, url: &PageUrl) -> bool {
        let Some(page) = self.pages.remove(url) else {
            return false;
        };
        for tag in page.tags.keys() {
            forget_page(&mut self.tags, tag, url);
        }
        true
    }

    pub(super) fn urls_for(
        &self,
        target: &Target,
        after: Option<&Cursor>,
        limit: usize,
        now: Duration,
    ) -> UrlChunk {
        let start = after.and_then(|cursor| PageUrl::from_stored(&cursor.0).ok());
        match target {
            Target::Url(url) => UrlChunk {
                urls: vec![url.clone()],
                next: None,
            },
            Target::Tag(tag) => {
                let Some(pages) = self.tags.get(tag) else {
                    return UrlChunk::default();
                };
                let alive = |url: &&PageUrl| {
                    self.pages
                        .get(*url)
                        .and_then(|page| page.tags.get(tag))
                        .is_some_and(|&ends| ends > now)
                };
                chunk(
                    pages.range::<PageUrl, _>(beyond(start.as_ref())),
                    limit,
                    alive,
                )
            }
            Target::Prefix(_) | Target::Host(_) | Target::Everything => {
                let pages = self.pages.range::<PageUrl, _>(beyond(start.as_ref()));
                chunk(pages.map(|(url, _)| url), limit, |url| {
                    target.concerns(url, std::iter::empty())
                        && self.pages.get(*url).is_some_and(|page| page.ends > now)
                })
            }
            _ => UrlChunk::default(),
        }
    }

    pub(super) fn tags_for(&self, url: &PageUrl, now: Duration) -> Option<PageTags> {
        let page = self.pages.get(url)?;
        let tags = page
            .tags
            .iter()
            .filter(|(_, ends)| **ends > now)
            .map(|(tag, &ends)| BoundTag {
                tag: tag.clone(),
                expires_in: ends.saturating_sub(now),
            })
            .collect();
        Some(PageTags {
            tags,
            generation: page.generation.known_at(self.current()),
        })
    }

    pub(super) fn invalidate(
        &mut self,
        id: RevalidationId,
        targets: &Targets,
        mode: Mode,
    ) -> Position {
        self.number += 1;
        for target in targets {
            self.ledger.mark(target, self.number, mode);
        }
        let targets = targets.as_slice().to_vec();
        self.history.push_back(Heard {
            id,
            partition: Partition(0),
            number: self.number,
            targets,
            mode,
        });
        if self.history.len() > self.remembered {
            self.history.pop_front();
        }
        self.position()
    }

    pub(super) fn news_since(&self, after: &Position, limit: usize) -> News {
        let from = after.number(Partition(0));
        let oldest = self
            .history
            .front()
            .map_or(self.number + 1, |heard| heard.number);
        if after.epoch != self.epoch || from > self.number || from + 1 < oldest {
            return News {
                heard: Vec::new(),
                position: self.position(),
                more: false,
                gap: true,
            };
        }
        let skip = usize::try_from(from + 1 - oldest).unwrap_or(usize::MAX);
        let heard: Vec<Heard> = self
            .history
            .iter()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect();
        let reached = heard.last().map_or(from, |last| last.number);
        let position = Position::new(self.epoch, [reached]);
        News {
            heard,
            position,
            more: reached < self.number,
            gap: false,
        }
    }

    pub(super) fn standing(&self, page: &PageUrl, tags: &[Tag]) -> Standing {
        let targets = targets_at(page, tags.iter());
        let marked = targets.map(|target| {
            let marks = self.ledger.marks(&target);
            (target, marks)
        });
        Standing {
            current: self.current(),
            targets: marked
                .filter(|(_, marks)| *marks != Marks::default())
                .collect(),
            floor: self.ledger.floor(),
        }
    }

    /// Newest first.
    pub(super) fn history(&self, before: Option<u64>, limit: usize) -> Vec<Heard> {
        let newest = self.history.iter().rev();
        let older = newest.skip_while(|heard| before.is_some_and(|before| heard.number >= before));
        older.take(limit.max(1)).cloned().collect()
    }

    pub(super) fn report(&mut self, report: SenderReport, now: Duration) {
        let ends = now + report.lease;
        self.senders.insert(report.id.clone(), (report, ends));
    }

    /// The senders, of a store whose clock began at `begun`.
    pub(super) fn senders(&self, now: Duration, begun: Timestamp) -> Vec<SenderState> {
        let state = |(report, ends): &(SenderReport, Duration)| SenderState {
            report: report.clone(),
            alive: *ends > now,
            lease_ends: begun.after(*ends),
        };
        self.senders.values().map(state).collect()
    }

    pub(super) fn dismiss(&mut self, sender: &SenderId) {
        self.senders.remove(sender);
    }

    pub(super) fn statistics(&self, largest: usize) -> GraphStatistics {
        let count = |len: usize| len as u64;
        let largest_tags = match largest {
            0 => Vec::new(),
            _ => self.largest_tags(largest),
        };
        GraphStatistics {
            pages: count(self.pages.len()),
            tags: count(self.tags.len()),
            edges: self.pages.values().map(|page| count(page.tags.len())).sum(),
            bytes: None,
            generations: vec![self.number],
            largest_tags,
        }
    }

    fn largest_tags(&self, most: usize) -> Vec<(Tag, u64)> {
        let tags = self.tags.iter();
        let mut largest: Vec<(Tag, u64)> = tags
            .map(|(tag, pages)| (tag.clone(), pages.len() as u64))
            .collect();
        largest.sort_by(|(a, pages), (b, more)| more.cmp(pages).then_with(|| a.cmp(b)));
        largest.truncate(most);
        largest
    }

    pub(super) fn collect_garbage(&mut self, limit: usize, now: Duration) -> Collected {
        let mut collected = Collected::default();
        let mut looked_at = 0;
        while looked_at < limit {
            let next = self
                .pages
                .range_mut::<PageUrl, _>(beyond(self.collected.as_ref()))
                .next();
            let Some((url, page)) = next else {
                self.collected = None;
                return collected;
            };
            let url = url.clone();
            looked_at += page.tags.len().max(1);
            let ended: Vec<Tag> = page
                .tags
                .iter()
                .filter(|(_, ends)| **ends <= now)
                .map(|(tag, _)| tag.clone())
                .collect();
            for tag in &ended {
                page.tags.remove(tag);
                forget_page(&mut self.tags, tag, &url);
            }
            collected.edges += ended.len() as u64;
            if page.ends <= now {
                self.pages.remove(&url);
                collected.pages += 1;
            }
            self.collected = Some(url);
        }
        Collected {
            more: true,
            ..collected
        }
    }
}

fn forget_page(tags: &mut HashMap<Tag, BTreeSet<PageUrl>>, tag: &Tag, url: &PageUrl) {
    if let Some(pages) = tags.get_mut(tag) {
        pages.remove(url);
        if pages.is_empty() {
            tags.remove(tag);
        }
    }
}

type UrlRange<'a> = (std::ops::Bound<&'a PageUrl>, std::ops::Bound<&'a PageUrl>);

fn beyond(start: Option<&PageUrl>) -> UrlRange<'_> {
    (start.map_or(Unbounded, Excluded), Unbounded)
}

/// Looks at `limit` pages, and gives those that pass.
fn chunk<'a>(
    pages: impl Iterator<Item = &'a PageUrl>,
    limit: usize,
    passes: impl FnMut(&&'a PageUrl) -> bool,
) -> UrlChunk {
    let looked_at: Vec<&PageUrl> = pages.take(limit).collect();
    let next = (looked_at.len() == limit)
        .then(|| {
            looked_at
                .last()
                .map(|last| Cursor(last.as_str().to_owned()))
        })
        .flatten();
    UrlChunk {
        urls: looked_at.into_iter().filter(passes).cloned().collect(),
        next,
    }
}
