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

/// The revalidations as one partition counts them.
#[derive(Clone, Debug)]
struct Counted {
    number: u64,
    ledger: Ledger,
    /// The newest revalidations, oldest first.
    history: VecDeque<Heard>,
}

impl Counted {
    fn new(told_apart: usize) -> Self {
        Self {
            number: 0,
            ledger: Ledger::new(told_apart),
            history: VecDeque::new(),
        }
    }

    /// The number before that of the oldest one remembered.
    fn forgotten(&self) -> u64 {
        let oldest = self.history.front();
        oldest.map_or(self.number, |heard| heard.number - 1)
    }

    /// Whether all that came after a number is known.
    fn knows_since(&self, number: u64) -> bool {
        (self.forgotten()..=self.number).contains(&number)
    }

    fn since(&self, number: u64) -> impl Iterator<Item = &Heard> {
        let skip = usize::try_from(number - self.forgotten()).unwrap_or(usize::MAX);
        self.history.iter().skip(skip)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Graph {
    epoch: Epoch,
    /// By partition; at least one.
    counted: Vec<Counted>,
    remembered: usize,
    told_apart: usize,
    pages: BTreeMap<PageUrl, Page>,
    tags: HashMap<Tag, BTreeSet<PageUrl>>,
    senders: BTreeMap<SenderId, (SenderReport, Duration)>,
    /// Where garbage collection goes on.
    collected: Option<PageUrl>,
}

impl Graph {
    pub(super) fn new(partitions: u16, remembered: usize, told_apart: usize) -> Self {
        let counted = Counted::new(told_apart);
        Self {
            epoch: Epoch::new(uuid::Uuid::now_v7().as_u64_pair().1),
            counted: vec![counted; usize::from(partitions.max(1))],
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
        for counted in &mut self.counted {
            counted.number += 1;
            counted.ledger = Ledger::new(self.told_apart);
            counted.history.clear();
        }
    }

    pub(super) fn raise_floor(&mut self, floor: Marks) {
        for counted in &mut self.counted {
            counted.ledger.raise_floor(floor);
        }
    }

    pub(super) fn position(&self) -> Position {
        Position::new(self.epoch, self.numbers())
    }

    pub(super) fn partitions(&self) -> u16 {
        u16::try_from(self.counted.len()).expect("made from a u16")
    }

    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.counted.iter().map(|counted| counted.number)
    }

    /// What counts for a page.
    fn of(&self, url: &PageUrl) -> &Counted {
        &self.counted[Partition::of(url, self.partitions()).index()]
    }

    fn current(&self, counted: &Counted) -> Generation {
        Generation {
            epoch: self.epoch,
            number: counted.number,
        }
    }

    /// The outcome, and the page to be queued again when it is superseded.
    pub(super) fn bind(&mut self, bind: &Bind, now: Duration) -> (BindOutcome, Option<PageWork>) {
        self.add_tags(bind, now);
        let counted = self.of(&bind.url);
        let current = self.current(counted);
        let footprint = Footprint {
            url: bind.url.clone(),
            tags: bind.tags.clone(),
        };
        // A number that was never given out says nothing about what the response has seen.
        let foreign = !current.covers(bind.generation);
        let verdict = if foreign {
            Verdict::Expired
        } else {
            counted.ledger.verdict(&footprint, bind.generation.number)
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
        let current = self.current(self.of(&bind.url));
        let generation = bind.generation.known_at(current);
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
            generation: page.generation.known_at(self.current(self.of(url))),
        })
    }

    /// Counts a revalidation in one partition; gives its number there.
    pub(super) fn invalidate(
        &mut self,
        partition: Partition,
        id: RevalidationId,
        targets: &Targets,
        mode: Mode,
    ) -> u64 {
        let counted = &mut self.counted[partition.index()];
        counted.number += 1;
        let number = counted.number;
        for target in targets {
            counted.ledger.mark(target, number, mode);
        }
        let targets = targets.as_slice().to_vec();
        counted.history.push_back(Heard {
            id,
            partition,
            number,
            targets,
            mode,
        });
        if counted.history.len() > self.remembered {
            counted.history.pop_front();
        }
        number
    }

    /// At most `limit` of each partition.
    pub(super) fn news_since(&self, after: &Position, limit: usize) -> News {
        let newest = self.position();
        let mut all = self.counted.iter().zip(after.numbers());
        if after.epoch != self.epoch
            || after.partitions() != self.partitions()
            || !all.all(|(counted, &number)| counted.knows_since(number))
        {
            return News {
                heard: Vec::new(),
                position: newest,
                more: false,
                gap: true,
            };
        }
        let all = self.counted.iter().zip(after.numbers());
        let heard: Vec<Heard> = all
            .flat_map(|(counted, &number)| counted.since(number).take(limit))
            .cloned()
            .collect();
        let mut position = after.clone();
        for heard in &heard {
            position.advance(heard.partition, heard.number);
        }
        News {
            heard,
            more: !position.covers(&newest),
            position,
            gap: false,
        }
    }

    pub(super) fn standing(&self, page: &PageUrl, tags: &[Tag]) -> Standing {
        let counted = self.of(page);
        let targets = targets_at(page, tags.iter());
        let marked = targets.map(|target| {
            let marks = counted.ledger.marks(&target);
            (target, marks)
        });
        Standing {
            current: self.current(counted),
            targets: marked
                .filter(|(_, marks)| *marks != Marks::default())
                .collect(),
            floor: counted.ledger.floor(),
        }
    }

    /// Those that count for a page, newest first.
    pub(super) fn history(&self, page: &PageUrl, before: Option<u64>, limit: usize) -> Vec<Heard> {
        let newest = self.of(page).history.iter().rev();
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
            generations: self.numbers().collect(),
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
