//! What has happened to a page: why it is, or is not, what visitors should see.

use isr_core::{
    Cursor, Generation, Heard, Mode, PageJob, PageTags, PageUrl, Phase, Position, Receipt,
    ReceiptFilter, RevalidationId, Standing, Store, StoreError, Tag, Target, Timestamp, Verdict,
};

/// Calls for the history of one page, of so many revalidations each: a store that remembers more is not
/// looked through to its end.
const CALLS: usize = 16;
const A_CALL: usize = 256;

/// What has happened to a page.
#[derive(Clone, Debug)]
pub struct PageHistory {
    /// The page.
    pub url: PageUrl,
    /// What the store's clock showed.
    pub now: Timestamp,
    /// What the page is bound to; `None` when the store does not know it.
    pub bound: Option<PageTags>,
    /// When the render began that was bound last: not before the first, when the last revalidation that it
    /// has seen was made, and hardly later than the second, when the next one was. `None` where that is
    /// not known any more, or there is none.
    pub rendered: (Option<Timestamp>, Option<Timestamp>),
    /// What becomes of that render, by everything that was revalidated since.
    pub verdict: Option<Verdict>,
    /// The revalidations that concerned the page, newest first.
    pub concerning: Vec<Concerning>,
    /// Whether these are all that the store remembers, or as many as were asked for.
    pub is_whole: bool,
    /// Those that will concern it when their time comes, as far as they were found.
    pub scheduled: Vec<Receipt>,
    /// What is to be done for the page by itself.
    pub job: Option<PageJob>,
}

/// A revalidation that concerned a page.
#[derive(Clone, Debug)]
pub struct Concerning {
    /// Its name.
    pub id: RevalidationId,
    /// What it is among those of the page's partition.
    pub number: u64,
    /// How it treated copies.
    pub mode: Mode,
    /// What of it was aimed at the page.
    pub targets: Vec<Target>,
    /// Whether the render that was bound last is older: it has been made from data read before.
    pub is_missed: bool,
    /// What has been seen to happen; `None` where the receipt is kept no longer.
    pub receipt: Option<Receipt>,
}

/// What has happened to a page, with the newest `most` revalidations that concerned it. All of it is worked
/// out from what the store keeps anyway; nothing is written down for it when a page is rendered.
///
/// # Errors
///
/// Whatever the store answers.
pub async fn page_history(
    store: &dyn Store,
    url: &PageUrl,
    most: usize,
) -> Result<PageHistory, StoreError> {
    let bound = store.tags_for(url).await?;
    let tags: Vec<Tag> = bound
        .iter()
        .flat_map(|known| &known.tags)
        .map(|it| it.tag.clone())
        .collect();
    let standing = store.standing(url, &tags).await?;
    let position = store.position().await?;
    let generation = bound.as_ref().map(|known| known.generation);
    let walk = Walk {
        store,
        url,
        tags: &tags,
        standing: &standing,
        generation,
    };
    let (concerning, is_whole) = walk.concerning(most).await?;
    Ok(PageHistory {
        url: url.clone(),
        now: store.time().await?,
        rendered: walk.rendered(&position).await?,
        verdict: generation.map(|generation| standing.verdict(generation)),
        concerning,
        is_whole,
        scheduled: walk.scheduled().await?,
        job: store.page_job(url).await?,
        bound,
    })
}

struct Walk<'w> {
    store: &'w dyn Store,
    url: &'w PageUrl,
    tags: &'w [Tag],
    standing: &'w Standing,
    generation: Option<Generation>,
}

impl Walk<'_> {
    /// The newest revalidations that concerned the page, and whether there are no more.
    async fn concerning(&self, most: usize) -> Result<(Vec<Concerning>, bool), StoreError> {
        // Nothing that concerned it is newer than that, so the walk begins there.
        let marks = self.standing.targets.iter().map(|(_, marks)| *marks);
        let newest = marks.map(|marks| marks.stale.max(marks.expired)).max();
        let mut before = newest.map(|newest| newest + 1);
        let (mut found, mut is_whole) = (Vec::new(), newest.is_none());
        for _ in 0..CALLS {
            if is_whole || found.len() >= most {
                break;
            }
            let some = self.store.history(self.url, before, A_CALL).await?;
            is_whole = some.is_empty();
            before = some.last().map(|heard| heard.number);
            for heard in some {
                let targets = self.aimed_at(&heard.targets);
                if !targets.is_empty() && found.len() < most {
                    found.push(self.look_up(heard, targets).await?);
                }
            }
        }
        let is_whole = is_whole || found.len() >= most;
        Ok((found, is_whole))
    }

    fn aimed_at(&self, targets: &[Target]) -> Vec<Target> {
        let concerns = |target: &&Target| target.concerns(self.url, self.tags.iter());
        targets.iter().filter(concerns).cloned().collect()
    }

    async fn look_up(&self, heard: Heard, targets: Vec<Target>) -> Result<Concerning, StoreError> {
        let made = Generation {
            epoch: self.standing.current.epoch,
            number: heard.number,
        };
        Ok(Concerning {
            id: heard.id,
            number: heard.number,
            mode: heard.mode,
            targets,
            is_missed: self.generation.is_some_and(|it| !it.covers(made)),
            receipt: self.store.receipt(&heard.id).await?,
        })
    }

    async fn rendered(
        &self,
        position: &Position,
    ) -> Result<(Option<Timestamp>, Option<Timestamp>), StoreError> {
        let Some(generation) = self.generation else {
            return Ok((None, None));
        };
        if generation.epoch != position.epoch {
            return Ok((None, None));
        }
        let after = self.moved(generation.number).await?;
        let before = self.moved(generation.number + 1).await?;
        Ok((after, before))
    }

    /// When the generation moved to a number, where that is still known.
    async fn moved(&self, number: u64) -> Result<Option<Timestamp>, StoreError> {
        let some = self.store.history(self.url, Some(number + 1), 1).await?;
        let Some(heard) = some.first().filter(|heard| heard.number == number) else {
            return Ok(None);
        };
        let receipt = self.store.receipt(&heard.id).await?;
        Ok(receipt.and_then(|receipt| moved_at(&receipt)))
    }

    async fn scheduled(&self) -> Result<Vec<Receipt>, StoreError> {
        if self.store.depth().await?.scheduled == 0 {
            return Ok(Vec::new());
        }
        let wanted = ReceiptFilter {
            phases: vec![Phase::Scheduled],
            ..ReceiptFilter::default()
        };
        let (mut found, mut next) = (Vec::new(), None::<Cursor>);
        for _ in 0..CALLS {
            let chunk = self.store.receipts(&wanted, next.as_ref(), A_CALL).await?;
            found.extend(chunk.receipts);
            next = chunk.next;
            if next.is_none() {
                break;
            }
        }
        found.retain(|receipt| !self.aimed_at(receipt.targets.as_slice()).is_empty());
        found.sort_by_key(|receipt| receipt.options.at);
        Ok(found)
    }
}

/// When a revalidation moved the generations: when it was accepted, or at the time it had waited for.
#[must_use]
pub fn moved_at(receipt: &Receipt) -> Option<Timestamp> {
    receipt
        .made
        .max(receipt.options.at.filter(|_| receipt.made.is_some()))
}
