//! What is found after a loss of power, and whether that is what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use isr_core::{
    Epoch, Generation, JobStore, PageUrl, Partition, Phase, Position, RateBudget, ReceiptFilter,
    RevalidationId, SenderId, StoreError, TagGraph, Taken, Target,
};
use isr_graph::{Durability, SqliteStore};
use isr_testkit::HandClock;
use isr_testkit::store_suite::make::{HOUR, bind, page, receipt_for, tag, worker};

use super::life::{ALL_ROUNDS, limit, options, store_in};
use crate::support::trouble;

/// The boot after the loss, which is none of those before it.
const NEXT_BOOT: u128 = 3;

/// More than there is of anything.
const MANY: usize = 1_000;

/// What a store had acknowledged when power was lost.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// `None` until it was known to anybody.
    pub(crate) epoch: Option<Epoch>,
    number: u64,
    secret: Option<String>,
    bound: BTreeSet<String>,
    /// With the numbers they made.
    revalidated: BTreeMap<RevalidationId, u64>,
    saved: BTreeSet<RevalidationId>,
    finished: BTreeSet<RevalidationId>,
    queued: BTreeSet<String>,
    taken: BTreeSet<u64>,
    reported: BTreeSet<SenderId>,
    /// The newest claim's.
    token: u64,
}

impl Acknowledged {
    pub(crate) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let id = || words[1].parse::<RevalidationId>().unwrap();
        match words[0] {
            "epoch" => self.epoch = Some(Epoch::new(number(1))),
            "secret" => self.secret = Some(words[1].to_owned()),
            "bound" => drop(self.bound.insert(format!("/{}", number(1)))),
            "revalidated" => {
                self.number = number(2);
                self.revalidated.insert(id(), number(2));
            }
            "saved" => drop(self.saved.insert(id())),
            "finished" => drop(self.finished.insert(id())),
            "queued" => drop(self.queued.insert(format!("/queued/{}", number(1)))),
            "took" => drop(self.taken.insert(number(1))),
            "reported" => drop(
                self.reported
                    .insert(SenderId(format!("sender:{}", number(1)))),
            ),
            "claimed" => self.token = number(1),
            other => panic!("{other:?}"),
        }
    }
}

/// What a store holds after a loss of power.
#[derive(Debug)]
pub(crate) struct Found(Result<Contents, String>);

#[derive(Debug)]
struct Contents {
    position: Position,
    secret: String,
    bound: BTreeSet<String>,
    receipts: BTreeMap<RevalidationId, (u64, Phase)>,
    /// Revalidations and pages that may be worked on.
    claimable: BTreeSet<RevalidationId>,
    queued: BTreeSet<String>,
    /// The lowest of a new claim's.
    token: Option<u64>,
    taken: BTreeSet<u64>,
    reported: BTreeSet<SenderId>,
    /// Why what is of the old epoch might be taken for current.
    believes: Option<&'static str>,
    /// What in the file does not agree, after all this.
    trouble: Option<String>,
}

impl Found {
    pub(crate) fn has_new_epoch(&self, acknowledged: &Acknowledged) -> bool {
        let epoch = self.0.as_ref().map(|found| found.position.epoch);
        acknowledged
            .epoch
            .is_some_and(|known| epoch.is_ok_and(|found| found != known))
    }

    /// What is not as it was promised.
    pub(crate) fn wrong(&self, acknowledged: &Acknowledged) -> Option<String> {
        let found = match &self.0 {
            Ok(found) => found,
            Err(error) => return Some(error.clone()),
        };
        if let Some(trouble) = &found.trouble {
            return Some(trouble.clone());
        }
        if self.has_new_epoch(acknowledged) {
            return found.believes.map(str::to_owned);
        }
        acknowledged.epoch.and_then(|_| found.lacks(acknowledged))
    }
}

impl Contents {
    /// What was acknowledged and is not there, in the same history.
    fn lacks(&self, acknowledged: &Acknowledged) -> Option<String> {
        let Acknowledged {
            number,
            secret,
            bound,
            revalidated,
            saved,
            finished,
            queued,
            taken,
            reported,
            token,
            ..
        } = acknowledged;
        let numbered = |(id, number): &(&RevalidationId, &u64)| {
            self.receipts
                .get(id)
                .is_some_and(|(found, _)| found == *number)
        };
        let phase_of = |id: &RevalidationId| self.receipts.get(id).map(|(_, phase)| *phase);
        let open = |id: &&RevalidationId| !finished.contains(id);
        let holds = [
            ("number", *number <= self.position.number(Partition(0))),
            (
                "secret",
                secret.as_ref().is_none_or(|it| *it == self.secret),
            ),
            ("bind", bound.is_subset(&self.bound)),
            ("receipt", revalidated.iter().all(|it| numbered(&it))),
            (
                "job",
                revalidated
                    .keys()
                    .filter(open)
                    .all(|id| self.claimable.contains(id) || self.is_finished(id)),
            ),
            (
                "progress",
                saved.iter().all(|id| phase_of(id) != Some(Phase::Queued)),
            ),
            (
                "end",
                finished
                    .iter()
                    .all(|id| self.is_finished(id) && !self.claimable.contains(id)),
            ),
            ("page", queued.is_subset(&self.queued)),
            ("rate", taken.is_subset(&self.taken)),
            ("report", reported.is_subset(&self.reported)),
            ("claim", self.token.is_none_or(|new| new > *token)),
        ];
        let lacking: Vec<&str> = holds
            .iter()
            .filter(|(_, holds)| !holds)
            .map(|(what, _)| *what)
            .collect();
        (!lacking.is_empty()).then(|| format!("acknowledged and not there: {}", lacking.join(", ")))
    }

    fn is_finished(&self, id: &RevalidationId) -> bool {
        self.receipts
            .get(id)
            .is_some_and(|(_, phase)| *phase == Phase::Done)
    }
}

/// Opens the store as the machine does that lost power, once it is up again.
pub(crate) fn open_after_a_reboot(
    directory: &Path,
    durability: Durability,
    before: &Acknowledged,
) -> Found {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clock = HandClock::new();
    // Every lease has ended.
    clock.advance(2 * HOUR);
    let options = options(durability, NEXT_BOOT, &clock);
    let path = store_in(directory);
    let contents = runtime.block_on(async {
        let store = SqliteStore::open(&path, options).await?;
        contents(&store, before).await
    });
    let contents = contents.map(|contents| Contents {
        trouble: trouble(&path),
        ..contents
    });
    Found(contents.map_err(|error| format!("the store fails: {error:?}")))
}

async fn contents(store: &SqliteStore, before: &Acknowledged) -> Result<Contents, StoreError> {
    let position = store.position().await?;
    let secret = store.secret().await?;
    let believes = match before.epoch {
        Some(epoch) if epoch != position.epoch => believes(store, epoch, before.number).await?,
        _ => None,
    };
    let any = ReceiptFilter::default();
    let receipts = store.receipts(&any, None, MANY).await?.receipts;
    let known = receipts.iter().map(|receipt| {
        let number = receipt.position.as_ref().map(|it| it.number(Partition(0)));
        (receipt.id, (number.unwrap_or_default(), receipt.phase))
    });
    let attempts = (0..ALL_ROUNDS).map(|round| async move {
        let taken = store.take(&limit(round), 1, Duration::ZERO).await?;
        Ok::<_, StoreError>(matches!(taken, Taken::TooLong(_)).then_some(round))
    });
    let taken_before = futures_util::future::try_join_all(attempts).await?;
    let senders = store.senders().await?;
    let next = worker("next");
    let claimed = store.claim_revalidations(&next, MANY, HOUR).await?;
    let pages = store.claim_pages(&next, MANY, HOUR).await?;
    let bound = store
        .urls_for(&Target::Tag(tag("shared")), None, MANY)
        .await?;
    let tokens = claimed.iter().map(|it| it.claim.token);
    let tokens = tokens.chain(pages.iter().map(|it| it.claim.token));
    let path = |url: &PageUrl| url.path_and_query().to_owned();
    Ok(Contents {
        token: tokens.min(),
        bound: bound.urls.iter().map(path).collect(),
        receipts: known.collect(),
        claimable: claimed.iter().map(|it| it.work.id).collect(),
        queued: pages.iter().map(|it| path(&it.work.url)).collect(),
        reported: senders.into_iter().map(|it| it.report.id).collect(),
        secret: secret.expose().to_owned(),
        position,
        taken: taken_before.into_iter().flatten().collect(),
        believes,
        trouble: None,
    })
}

/// In what way something of an old history is taken for current.
async fn believes(
    store: &SqliteStore,
    epoch: Epoch,
    number: u64,
) -> Result<Option<&'static str>, StoreError> {
    let old = Generation { epoch, number };
    let outcome = store.bind(&[bind("/old", &["old"], old)]).await?;
    if outcome[0].is_bound() {
        return Ok(Some("a response of the old epoch is bound"));
    }
    store.unbind(&[page("/old")]).await?;
    let news = store
        .news_since(&Position::new(epoch, [number]), MANY)
        .await?;
    if !news.gap {
        return Ok(Some("who follows the old epoch hears of no gap"));
    }
    let receipt = store.invalidate(receipt_for(&["next"])).await?;
    Ok((receipt.position != Some(store.position().await?))
        .then_some("revalidations are not counted"))
}
