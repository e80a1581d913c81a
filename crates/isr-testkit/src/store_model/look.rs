//! What a store answers to questions, in words that all stores have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use isr_core::{
    Beginning, Cursor, Epoch, Generation, Marks, PageWork, Partition, Position, Receipt,
    ReceiptFilter, RevalidateOptions, SenderState, Standing, StoreError, Tag, Target,
};

use super::operation::{Aim, Look, PAGES, TAGS, Wanted, When};
use super::side::{Side, id, page, targets};
use crate::store_suite::make;

/// More than anything of a case needs to come to its end.
const ROUNDS: usize = 1_000;

/// A store may forget a sender that has been dead for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

impl Side {
    pub(super) async fn look(&self, look: &Look) -> Result<String, StoreError> {
        match look {
            Look::Position => {
                let position = self.store.position().await?;
                Ok(self.show_position(&position))
            }
            Look::Beginning => {
                let beginning = self.store.beginning().await?;
                let shown = beginning.map(|Beginning { epoch, lost }| {
                    let which = self.show_epoch(epoch);
                    format!("history {which}, something is lost: {lost}")
                });
                Ok(format!("{shown:?}"))
            }
            Look::Depth => Ok(format!("{:?}", self.store.depth().await?)),
            Look::Statistics => self.statistics().await,
            Look::Senders => self.senders().await,
            Look::DeadLetters { limit } => self.dead_letters(*limit).await,
            Look::Receipts { wanted, limit } => self.receipts(wanted, *limit).await,
            Look::Receipt(name) => {
                let receipt = self.store.receipt(&id(*name)).await?;
                Ok(self.show_known(receipt.as_ref()))
            }
            Look::TagsFor(url) => self.tags_for(url).await,
            Look::UrlsFor { target, limit } => self.urls_for(target, *limit).await,
            Look::Standing(url) => self.standing(url).await,
            Look::History { page, limit } => self.history(page, *limit).await,
            Look::PageJob(url) => {
                let job = self.store.page_job(&page(url)).await?;
                let Some(job) = job else {
                    return Ok("nothing to do".to_owned());
                };
                let work = self.show_work(&job.work);
                Ok(format!(
                    "{work}, {:?}, tried {}, again: {}",
                    job.state, job.attempts, job.again
                ))
            }
            Look::News { after, limit } => self.news(*after, *limit).await,
            Look::Outstanding { at } => {
                let position = self.position(*at).await?;
                let count = self.store.pages_outstanding(&position).await?;
                // In another history, the store may count what it likes.
                if position.epoch != self.epoch() {
                    return Ok(String::new());
                }
                Ok(count.to_string())
            }
        }
    }

    async fn statistics(&self) -> Result<String, StoreError> {
        let found = self.store.statistics(20).await?;
        Ok(format!(
            "{} pages, {} tags, {} pairs, at {}, largest {:?}",
            found.pages,
            found.tags,
            found.edges,
            alike(&found.generations),
            found.largest_tags
        ))
    }

    async fn senders(&self) -> Result<String, StoreError> {
        let mut senders = self.store.senders().await?;
        senders.retain(|sender| !self.is_long_dead(sender));
        senders.sort_by(|one, other| one.report.id.cmp(&other.report.id));
        let shown = senders.iter().map(|sender| {
            let SenderState {
                report,
                alive,
                lease_ends,
            } = sender;
            let clean = self.show_position(&report.clean);
            let ends = lease_ends.since(self.begun).as_millis();
            format!(
                "{} is clean up to {clean}, alive: {alive}, until {ends}",
                report.id
            )
        });
        Ok(shown.collect::<Vec<_>>().join("\n"))
    }

    fn is_long_dead(&self, sender: &SenderState) -> bool {
        let ends = self.leases.get(&sender.report.id);
        ends.is_none_or(|&ends| ends + FORGOTTEN_AFTER <= self.now)
    }

    async fn receipts(&self, wanted: &Wanted, limit: usize) -> Result<String, StoreError> {
        let filter = ReceiptFilter {
            phases: wanted.phases.clone(),
            settled: None,
            target: wanted.tag.map(|text| Target::Tag(make::tag(text))),
            source: None,
            since: wanted.since.map(|time| self.begun.after(time)),
            until: wanted.until.map(|time| self.begun.after(time)),
        };
        let (mut shown, mut cursor) = (Vec::new(), None);
        for _ in 0..ROUNDS {
            let chunk = self.store.receipts(&filter, cursor.as_ref(), limit).await?;
            if chunk.receipts.len() > limit {
                return Ok("more than were asked for".to_owned());
            }
            let receipts = chunk.receipts.iter();
            shown.extend(receipts.map(|receipt| self.show_receipt(receipt)));
            cursor = chunk.next;
            if cursor.is_none() {
                return Ok(shown.join("\n"));
            }
        }
        Ok("the walk does not end".to_owned())
    }

    async fn dead_letters(&self, limit: usize) -> Result<String, StoreError> {
        let (mut shown, mut cursor) = (Vec::new(), None);
        for _ in 0..ROUNDS {
            let chunk = self.store.dead_letters(cursor.as_ref(), limit).await?;
            let letters = chunk.letters.iter();
            shown.extend(letters.map(|letter| format!("{letter:?}")));
            cursor = chunk.next;
            if cursor.is_none() {
                shown.sort();
                return Ok(shown.join("\n"));
            }
        }
        Ok("the walk does not end".to_owned())
    }

    async fn tags_for(&self, url: &str) -> Result<String, StoreError> {
        let Some(known) = self.store.tags_for(&page(url)).await? else {
            return Ok("unknown".to_owned());
        };
        let ends: BTreeMap<_, _> = known
            .tags
            .iter()
            .map(|bound| (bound.tag.as_str(), coarse(bound.expires_in)))
            .collect();
        Ok(format!("{ends:?} at {}", self.show(known.generation)))
    }

    async fn urls_for(&self, aim: &Aim, limit: usize) -> Result<String, StoreError> {
        let mut shown = Vec::new();
        for target in targets(aim) {
            shown.push(self.walk(&target, limit).await?);
        }
        Ok(shown.join("\n"))
    }

    async fn walk(&self, target: &Target, limit: usize) -> Result<String, StoreError> {
        let (mut found, mut cursor) = (BTreeSet::new(), None::<Cursor>);
        for _ in 0..ROUNDS {
            let chunk = self.store.urls_for(target, cursor.as_ref(), limit).await?;
            found.extend(chunk.urls.iter().map(ToString::to_string));
            cursor = chunk.next;
            if cursor.is_none() {
                return Ok(format!("{found:?}"));
            }
        }
        Ok("the walk does not end".to_owned())
    }

    async fn standing(&self, url: &str) -> Result<String, StoreError> {
        let tags: Vec<Tag> = TAGS.iter().map(|text| make::tag(text)).collect();
        let found = self.store.standing(&page(url), &tags).await?;
        let Standing {
            current,
            targets,
            floor,
        } = found;
        // What is behind the floor may be gone already.
        let ahead = |mut marks: Marks| {
            marks.stale = if marks.stale > floor.stale {
                marks.stale
            } else {
                0
            };
            marks.expired = if marks.expired > floor.expired {
                marks.expired
            } else {
                0
            };
            marks
        };
        let mut targets: Vec<(Target, Marks)> = targets;
        for (_, marks) in &mut targets {
            *marks = ahead(*marks);
        }
        targets.retain(|(_, marks)| *marks != Marks::default());
        Ok(format!(
            "{targets:?} behind {floor:?} at {}",
            self.show(current)
        ))
    }

    /// Up to where targets are not told apart any more.
    pub(super) async fn floor(&self) -> Marks {
        let standing = self.store.standing(&page(PAGES[0]), &[]).await;
        standing.expect("the store answers").floor
    }

    /// How many targets were revalidated at `number` or after it.
    pub(super) async fn targets_since(&self, number: u64) -> usize {
        let tags: Vec<Tag> = TAGS.iter().map(|text| make::tag(text)).collect();
        let mut found = BTreeSet::new();
        for url in PAGES {
            let standing = self.store.standing(&page(url), &tags).await;
            let targets = standing.expect("the store answers").targets;
            let newer = targets
                .iter()
                .filter(|(_, marks)| marks.stale.max(marks.expired) >= number);
            found.extend(newer.map(|(target, _)| target.key()));
        }
        // One host has no page that could be asked about.
        found.len() + 1
    }

    async fn history(&self, url: &str, limit: usize) -> Result<String, StoreError> {
        let (mut shown, mut before) = (Vec::new(), None);
        for _ in 0..ROUNDS {
            let some = self.store.history(&page(url), before, limit).await?;
            if some.is_empty() {
                return Ok(shown.join("\n"));
            }
            if some.len() > limit {
                return Ok("more than were asked for".to_owned());
            }
            before = some.last().map(|heard| heard.number);
            shown.extend(some.iter().map(|one| {
                format!(
                    "{} is {} of {:?}, {}",
                    one.id,
                    one.number,
                    one.targets,
                    one.mode.as_str()
                )
            }));
        }
        Ok("the history does not end".to_owned())
    }

    async fn news(&self, after: When, limit: usize) -> Result<String, StoreError> {
        let mut at = self.position(after).await?;
        let partitions = at.partitions();
        let mut heard: BTreeMap<Partition, Vec<String>> = (0..partitions)
            .map(|partition| (Partition(partition), Vec::new()))
            .collect();
        for _ in 0..ROUNDS {
            let news = self.store.news_since(&at, limit).await?;
            if news.gap {
                return Ok(format!(
                    "a gap up to {}",
                    self.show_position(&news.position)
                ));
            }
            for one in &news.heard {
                let shown = format!(
                    "{} is {} of {:?}, {}",
                    one.id,
                    one.number,
                    one.targets,
                    one.mode.as_str()
                );
                heard.entry(one.partition).or_default().push(shown);
            }
            at = news.position;
            if !news.more {
                let all: Vec<_> = heard.into_values().collect();
                return Ok(format!(
                    "{}, up to {}",
                    alike(&all),
                    self.show_position(&at)
                ));
            }
        }
        Ok("the news do not end".to_owned())
    }

    pub(super) fn show(&self, generation: Generation) -> String {
        let Generation { epoch, number } = generation;
        format!("{number} of history {}", self.show_epoch(epoch))
    }

    fn show_epoch(&self, epoch: Epoch) -> String {
        let which = self.history_of(epoch);
        which.map_or_else(|| "elsewhere".to_owned(), |number| number.to_string())
    }

    pub(super) fn show_position(&self, position: &Position) -> String {
        let which = self.show_epoch(position.epoch);
        format!("{} of history {which}", alike(position.numbers()))
    }

    pub(super) fn show_known(&self, receipt: Option<&Receipt>) -> String {
        receipt.map_or_else(|| "none".to_owned(), |receipt| self.show_receipt(receipt))
    }

    /// Shortly, unless there is more in it than a case puts there.
    pub(super) fn show_receipt(&self, receipt: &Receipt) -> String {
        let position = receipt.position.as_ref();
        let position = position.map(|position| self.show_position(position));
        let Receipt {
            id,
            targets,
            options,
            source,
            failures,
            error,
            progress,
            phase,
            held,
            ..
        } = receipt;
        let mut plain = Receipt::new(targets.clone(), options.clone(), *source).with_id(*id);
        plain.position.clone_from(&receipt.position);
        (plain.made, plain.phase, plain.held) = (receipt.made, *phase, *held);
        (plain.failures, plain.error) = (*failures, error.clone());
        plain.progress.looks = progress.looks;
        let looks = progress.looks;
        let rest = (plain != *receipt).then_some(receipt);
        let [made, at] =
            [receipt.made, options.at].map(|time| time.map(|time| self.show_time(time)));
        let RevalidateOptions {
            mode,
            warm,
            second_purge,
            ..
        } = options;
        format!(
            "{id} at {position:?}, {phase:?}, {held:?}, made {made:?} for {at:?}: {targets:?}, {mode:?}, {warm}, \
             {second_purge:?}, {failures} failures, {error:?}, {looks} looks, {rest:?}"
        )
    }

    pub(super) fn show_work(&self, work: &PageWork) -> String {
        format!(
            "{}, {:?}, at {}, for those from {}",
            work.url,
            work.reason,
            self.show(work.generation),
            self.show(work.oldest)
        )
    }
}

/// What all partitions say alike: they all count the same revalidations.
fn alike<T: PartialEq + std::fmt::Debug>(each: &[T]) -> String {
    match each {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => format!("{first:?}"),
        _ => format!("{each:?}"),
    }
}

/// How long something lives, as coarsely as every store keeps it.
fn coarse(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..60 => format!("{} to {} s", seconds / 10 * 10, seconds / 10 * 10 + 10),
        _ => "long".to_owned(),
    }
}
