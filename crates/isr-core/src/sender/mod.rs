//! What a process that sends responses knows of revalidations, and what it owes for those it has sent.
//!
//! Some cache may keep whatever leaves here, and may store it after the purge that should have
//! removed it has run. So a sender follows the revalidations of the store, judges what it sends by
//! them, remembers what is on its way and what left a moment ago, and reports how far it is *clean*:
//! every response that a revalidation concerned has ended, and its page is queued to be purged again.
//!
//! [`Sender`] is the state of that and does no I/O. Somebody asks the store for [`News`], hands it to
//! [`Sender::learn`], queues what [`Sender::owed`] lists, and stores [`Sender::report`].

mod flights;
mod ledger;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

pub use self::ledger::{Ledger, Marks, Verdict};

use self::flights::{Concern, Flights};
use crate::{
    Clock, Generation, News, PageUrl, PageWork, Partition, Position, SenderId, SenderReport,
    SenderRole, TagSet, Targets,
};

/// Targets that a sender tells apart in each partition, before the older half shares one floor.
const TARGETS_TOLD_APART: usize = 200_000;

/// What a response shows: the page, and the tags of the data it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The page.
    pub url: PageUrl,
    /// Its tags.
    pub tags: TagSet,
}

/// How a sender behaves.
#[derive(Clone, Debug)]
pub struct SenderOptions {
    /// What it is.
    pub role: SenderRole,
    /// Where warm-up requests for it go; only edges have such an address.
    pub address: Option<String>,
    /// Whether some tier beyond this process keeps what it sends, so that flights must be tracked.
    pub tracks: bool,
    /// The longest settling time of those tiers.
    pub settling_time: Duration,
    /// How long after it last knew itself up to date a sender may still call anything fresh.
    pub max_lag: Duration,
    /// How long after its last report others count it as dead.
    pub lease: Duration,
}

impl SenderOptions {
    /// How long after its last report others count a sender as dead, unless it is told otherwise: 5 s. So much later
    /// every sender that may still share has reported to a store that had forgotten it.
    pub const LEASE: Duration = Duration::from_secs(5);
}

impl Default for SenderOptions {
    /// An application behind no foreign tier, a quarter of a second behind at most, dead after 5 s.
    fn default() -> Self {
        Self {
            role: SenderRole::Application,
            address: None,
            tracks: false,
            settling_time: Duration::from_secs(2),
            max_lag: Duration::from_millis(250),
            lease: Self::LEASE,
        }
    }
}

/// What is known of the store's history.
#[derive(Debug)]
struct Known {
    position: Position,
    /// One for each partition.
    ledgers: Vec<Ledger>,
}

impl Known {
    /// A history of which nothing before `position` is known.
    fn from(position: Position) -> Self {
        let ledgers = position
            .numbers()
            .iter()
            .map(|&number| Ledger::with_floor(TARGETS_TOLD_APART, number))
            .collect();
        Self { position, ledgers }
    }
}

/// Who a sender is to the store; a new identity leaves what the old one owed to be dealt with as if
/// it had died.
#[derive(Debug)]
struct Identity {
    base: String,
    renewals: u64,
}

impl Identity {
    fn id(&self) -> SenderId {
        SenderId(format!("{}.{}", self.base, self.renewals))
    }
}

/// The state of a sender. Shared by everything in a process that sends responses.
#[derive(Debug)]
pub struct Sender {
    options: SenderOptions,
    clock: Arc<dyn Clock>,
    identity: Mutex<Identity>,
    known: RwLock<Option<Known>>,
    flights: Mutex<Flights>,
    /// Counts what has been learnt, so that a judgement can be remembered until something new is.
    lessons: AtomicU64,
    /// When the last news that were answered had been asked for, in microseconds; 0 for never.
    synced: AtomicU64,
    /// When the last report that was stored had been made, in microseconds; 0 for never.
    reported: AtomicU64,
    /// How often its lease has run out.
    lapses: AtomicU64,
}

/// A verdict remembered beside a stored response, good until the sender learns something new.
#[derive(Debug, Default)]
pub struct Memo(AtomicU64);

impl Sender {
    /// A sender that knows nothing yet. `name` is unique among all processes of the site.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        options: SenderOptions,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            options,
            clock,
            identity: Mutex::new(Identity {
                base: name.into(),
                renewals: 0,
            }),
            known: RwLock::new(None),
            flights: Mutex::default(),
            lessons: AtomicU64::new(1),
            synced: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            lapses: AtomicU64::new(0),
        })
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &SenderOptions {
        &self.options
    }

    /// The generation that a response for `url` starts from: take it *before* its data is read.
    /// `None` until the store has been heard from once.
    #[must_use]
    pub fn generation(&self, url: &PageUrl) -> Option<Generation> {
        self.known
            .read()
            .as_ref()
            .map(|known| known.position.generation_of(url))
    }

    /// The position that is known; `None` until the store has been heard from once.
    #[must_use]
    pub fn known(&self) -> Option<Position> {
        self.known
            .read()
            .as_ref()
            .map(|known| known.position.clone())
    }

    /// Judges a response by everything learnt so far. `memo` belongs to that response and generation.
    ///
    /// While nothing has been learnt since the last call this is two atomic loads.
    #[must_use]
    pub fn verdict(&self, footprint: &Footprint, generation: Generation, memo: &Memo) -> Verdict {
        let lessons = self.lessons.load(Ordering::Acquire);
        let remembered = memo.0.load(Ordering::Relaxed);
        if remembered >> 2 == lessons {
            return match remembered & 3 {
                0 => Verdict::Current,
                1 => Verdict::Stale,
                _ => Verdict::Expired,
            };
        }
        let verdict = self.judge(footprint, generation);
        memo.0
            .store(lessons << 2 | verdict as u64, Ordering::Relaxed);
        verdict
    }

    fn judge(&self, footprint: &Footprint, generation: Generation) -> Verdict {
        let known = self.known.read();
        let Some(known) = known.as_ref() else {
            return Verdict::Stale;
        };
        if known.position.epoch != generation.epoch {
            return Verdict::Expired;
        }
        let partition = Partition::of(&footprint.url, known.position.partitions());
        known.ledgers[partition.index()].verdict(footprint, generation.number)
    }

    /// How long ago this sender last knew itself up to date; `None` if it never did.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        self.since(&self.synced)
    }

    /// Whether it last knew itself up to date too long ago to call anything fresh.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.lag().is_none_or(|lag| lag > self.options.max_lag)
    }

    /// Whether what leaves now may be kept by tiers beyond this process. It may not when such tiers
    /// exist and the store has not heard of this sender for most of its lease: others are about to
    /// count it as dead, so unfinished bodies must be broken off too.
    #[must_use]
    pub fn may_share(&self) -> bool {
        !self.options.tracks
            || self
                .since(&self.reported)
                .is_some_and(|since| since < self.options.lease * 3 / 4)
    }

    /// Notes that a response is leaving. Call it *before* the response is judged or bound, and keep
    /// what it returns until the last byte has left.
    #[must_use = "the response counts as gone when this is dropped"]
    pub fn depart(self: &Arc<Self>, footprint: &Arc<Footprint>, generation: Generation) -> Flight {
        if !self.options.tracks {
            return Flight(None);
        }
        let lapses = self.lapses.load(Ordering::Acquire);
        let number = self
            .flights
            .lock()
            .depart(Arc::clone(footprint), generation);
        Flight(Some(Aboard {
            sender: Arc::clone(self),
            number,
            lapses,
        }))
    }

    /// Takes in what the store answered to a question asked at `asked` by this sender's clock.
    pub fn learn(&self, news: &News, asked: Duration) {
        let mut known = self.known.write();
        let mut flights = self.flights.lock();
        match known.as_mut() {
            Some(known) if !news.gap && known.position.epoch == news.position.epoch => {
                apply(known, &mut flights, news);
            }
            _ => {
                start_over(&mut flights, &news.position);
                *known = Some(Known::from(news.position.clone()));
            }
        }
        if !news.heard.is_empty() || news.gap || self.lessons.load(Ordering::Relaxed) == 1 {
            self.lessons.fetch_add(1, Ordering::Release);
        }
        if !news.more {
            flights.forget_before(asked.saturating_sub(self.options.settling_time));
            self.synced.store(micros(asked), Ordering::Release);
        }
    }

    /// The pages that must be queued to be purged again, after the settling time: each once, and once
    /// more when it is owed anew after it was listed.
    #[must_use]
    pub fn owed(&self) -> Vec<PageWork> {
        self.flights.lock().owed()
    }

    /// The first `count` of the pages last listed by [`Sender::owed`] have been queued.
    pub fn queued(&self, count: usize) {
        self.flights.lock().queued(count);
    }

    /// What to tell the store of this sender; `None` until the store has been heard from once.
    #[must_use]
    pub fn report(&self) -> Option<SenderReport> {
        let known = self.known()?;
        let clean = self.flights.lock().clean(&known, known.partitions());
        Some(SenderReport {
            id: self.id(),
            role: self.options.role,
            address: self.options.address.clone(),
            known,
            clean,
            lease: self.options.lease,
        })
    }

    /// A report made at `made` by this sender's clock has been stored.
    pub fn reported(&self, made: Duration) {
        self.reported.store(micros(made), Ordering::Release);
    }

    /// Its name as the store knows it now.
    #[must_use]
    pub fn id(&self) -> SenderId {
        self.identity.lock().id()
    }

    /// Takes a new name when the old one can no longer answer for what was sent under it: the lease
    /// ran out, or more was sent than is remembered. Workers then treat the old one as dead.
    /// Call it before each report.
    pub fn renew_if_needed(&self) {
        let lapsed = self.has_lapsed();
        let forgot = std::mem::take(&mut self.flights.lock().forgot);
        if self.options.tracks && (lapsed || forgot) {
            self.identity.lock().renewals += 1;
        }
        if lapsed {
            self.lapses.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether its last report has run out, so that others may count it as dead.
    #[must_use]
    pub fn has_lapsed(&self) -> bool {
        self.since(&self.reported)
            .is_some_and(|since| since >= self.options.lease)
    }

    /// Stops sharing for good, if nothing that was sent can be concerned by a revalidation that is
    /// still to come; says whether that is so. Only then may the store forget this sender: what has
    /// just left would be nobody's otherwise.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        let flights = self.flights.lock();
        let nothing_left = flights.is_empty();
        if nothing_left {
            self.reported.store(0, Ordering::Release);
        }
        nothing_left
    }

    /// The clock it goes by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn since(&self, moment: &AtomicU64) -> Option<Duration> {
        match moment.load(Ordering::Acquire) {
            0 => None,
            moment => Some(
                self.clock
                    .now()
                    .saturating_sub(Duration::from_micros(moment)),
            ),
        }
    }

    fn partitions(&self) -> u16 {
        self.known
            .read()
            .as_ref()
            .map_or(1, |known| known.position.partitions())
    }
}

/// Follows news without a gap.
fn apply(known: &mut Known, flights: &mut Flights, news: &News) {
    let partitions = known.position.partitions();
    for heard in &news.heard {
        let Some(ledger) = known.ledgers.get_mut(heard.partition.index()) else {
            continue;
        };
        // Looked up rather than compared one by one: there may be thousands of targets, and as many
        // responses, and nothing departs meanwhile.
        let mut made = Ledger::new(Targets::LIMIT);
        for target in &heard.targets {
            ledger.mark(target, heard.number, heard.mode);
            made.mark(target, heard.number, heard.mode);
        }
        let least = Generation {
            epoch: known.position.epoch,
            number: heard.number,
        };
        let before = heard.number.saturating_sub(1);
        let concerns = |footprint: &Footprint, generation: Generation| {
            !generation.covers(least) && made.verdict(footprint, before) != Verdict::Current
        };
        let concern = Concern {
            partition: heard.partition,
            number: heard.number,
            least,
            concerns: &concerns,
        };
        flights.concern(&concern, partitions);
    }
    known.position = news.position.clone();
}

/// Nobody can say what was revalidated up to `position`, so it concerns everything older.
fn start_over(flights: &mut Flights, position: &Position) {
    for (index, &number) in position.numbers().iter().enumerate() {
        let partition = Partition(u16::try_from(index).expect("partitions are counted in u16"));
        let least = Generation {
            epoch: position.epoch,
            number,
        };
        let concerns = |_: &Footprint, generation: Generation| !generation.covers(least);
        // From number 1 on: any revalidation that was missed may have concerned it.
        flights.concern(
            &Concern {
                partition,
                number: 1,
                least,
                concerns: &concerns,
            },
            position.partitions(),
        );
    }
}

fn micros(moment: Duration) -> u64 {
    u64::try_from(moment.as_micros()).unwrap_or(u64::MAX).max(1) // 0 stands for never
}

/// A response on its way. Dropping it says that its last byte has left, or that it was broken off.
#[derive(Debug)]
#[must_use = "the response counts as gone when this is dropped"]
pub struct Flight(Option<Aboard>);

#[derive(Debug)]
struct Aboard {
    sender: Arc<Sender>,
    number: u64,
    /// How often the sender's lease had run out when it departed.
    lapses: u64,
}

impl Flight {
    /// The response leaves as `no-store` after all, so nothing of it needs remembering.
    pub fn cancel(mut self) {
        if let Some(aboard) = self.0.take() {
            aboard.sender.flights.lock().cancel(aboard.number);
        }
    }

    /// Whether the rest of the response may be sent; see [`Sender::may_share`]. Once its sender has
    /// been counted as dead it may not, though the sender may share again: what was purged on behalf
    /// of the dead will not be purged again for a response that outlived it.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        self.0.as_ref().is_none_or(|aboard| {
            let sender = &aboard.sender;
            // In this order: a lapse is counted before the sender may share again.
            sender.may_share() && sender.lapses.load(Ordering::Acquire) == aboard.lapses
        })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(Aboard { sender, number, .. }) = self.0.take() {
            let partitions = sender.partitions();
            sender
                .flights
                .lock()
                .arrive(number, sender.clock.now(), partitions);
        }
    }
}

#[cfg(test)]
mod tests;
