//! Receipts: what a revalidation was asked to do, and what has been seen to happen.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Cursor, Epoch, Mode, ModeChoice, PageUrl, Position, StoreError, Targets, Timestamp};

/// The name of one revalidation, unique everywhere. Whoever chooses it may send the same request
/// twice without it happening twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RevalidationId(Uuid);

impl RevalidationId {
    /// The name of what is done for a history's beginning: the same whoever does it.
    #[must_use]
    pub fn of_beginning(epoch: Epoch) -> Self {
        let mut bytes = *b"begin--\0\0\0\0\0\0\0\0\0";
        bytes[8..].copy_from_slice(&epoch.number().to_be_bytes());
        // The version and the variant (RFC 9562 §5.8) take six bits, two of them of the epoch.
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// A new name. Later names sort after earlier ones of the same process.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The name of the revalidation that repeats this one after the replica lag; always the same, so
    /// that it is made once.
    #[must_use]
    pub const fn after_replica_lag(self) -> Self {
        Self(Uuid::from_u128(self.0.as_u128() ^ OF_THE_REPEAT))
    }
}

/// What the name of a repeat differs in: bits that are random in names of every kind.
const OF_THE_REPEAT: u128 = 0x7265_7065_6174;

impl Default for RevalidationId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RevalidationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A text that is not the name of a revalidation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt id: expected a UUID such as 0197a5a4-9f0e-7cc3-98c4-dc0c0c07398f")]
pub struct InvalidRevalidationId;

impl FromStr for RevalidationId {
    type Err = InvalidRevalidationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| InvalidRevalidationId)
    }
}

/// Who asked for a revalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// A call of the admin API.
    Api,
    /// The command line.
    CommandLine,
    /// The application, through the library.
    Library,
    /// A `PURGE` request to the built-in edge.
    PurgeRequest,
    /// An unsafe request that passed through the built-in edge and went well, which invalidates its
    /// page (RFC 9111 §4.4).
    UnsafeRequest,
    /// The store may have lost revalidations, and its site's owner wants everything purged then.
    LostHistory,
}

impl Source {
    /// Every source, for whoever declares a metric by it.
    pub const ALL: [Self; 6] = [
        Self::Api,
        Self::CommandLine,
        Self::Library,
        Self::PurgeRequest,
        Self::UnsafeRequest,
        Self::LostHistory,
    ];

    /// The word for it, in receipts and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::CommandLine => "command_line",
            Self::Library => "library",
            Self::PurgeRequest => "purge_request",
            Self::UnsafeRequest => "unsafe_request",
            Self::LostHistory => "lost_history",
        }
    }
}

/// How far a tier has come with a revalidation. Each state is reported only once it was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierState {
    /// Stored durably, and not begun here.
    Queued,
    /// A purge call has been sent, and not all have been answered.
    Sent,
    /// The tier has taken every purge call on.
    Accepted,
    /// The tier says, or was seen, to have carried it out. Tiers that cannot be observed stay
    /// `accepted` until the revalidation is settled.
    Confirmed,
    /// No response made from older data can appear here any more.
    Settled,
    /// Given up on; see the error. A replay goes on from here.
    Failed,
}

impl TierState {
    /// The word for it, in receipts and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::Settled => "settled",
            Self::Failed => "failed",
        }
    }
}

/// What one tier has done for a revalidation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierReceipt {
    /// The connector's name.
    pub connector: String,
    /// How far it has come.
    pub state: TierState,
    /// Purge calls made, repeats included.
    pub calls: u64,
    /// Items that the tier took on: pages, tags or whatever it is purged by.
    pub accepted: u64,
    /// Items that the tier refused for good.
    pub rejected: u64,
    /// Copies that went or became stale, where the tier counts them.
    #[serde(default)]
    pub copies: Option<u64>,
    /// What was purged instead of very many pages, where the site's owner allows that.
    #[serde(default)]
    pub escalated: Option<String>,
    /// What went wrong last, as long as it stands in the way.
    pub error: Option<String>,
    /// Whether it was given up on although it refused nothing: it is purged once it is back.
    #[serde(default)]
    pub away: bool,
}

impl TierReceipt {
    /// A tier that has not been begun.
    #[must_use]
    pub fn queued(connector: impl Into<String>) -> Self {
        Self {
            connector: connector.into(),
            state: TierState::Queued,
            calls: 0,
            accepted: 0,
            rejected: 0,
            copies: None,
            escalated: None,
            error: None,
            away: false,
        }
    }
}

/// What the warm-up after a revalidation has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmReceipt {
    /// Requests that ended well.
    pub warmed: u64,
    /// Of those, how many were seen to bring a copy no older than the revalidation.
    pub verified: u64,
    /// Requests given up on.
    pub failed: u64,
    /// Pages that needed none, since another revalidation had warmed them late enough, or they are gone.
    pub skipped: u64,
    /// What was not warmed, gone and moved pages included: the first [`WarmReceipt::NAMED`] of them.
    pub not_warmed: Vec<NotWarmed>,
}

impl WarmReceipt {
    /// How many requests that ended otherwise than well a receipt names.
    pub const NAMED: usize = 20;
}

/// A warm-up request that ended otherwise than well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotWarmed {
    /// The page.
    pub url: PageUrl,
    /// The edge that was asked; `None` where the page's own host was.
    pub via: Option<String>,
    /// What came, or went wrong.
    pub detail: String,
}

/// What a revalidation is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Stored durably, and not begun.
    #[default]
    Queued,
    /// Stored durably, and to be queued when its time has come: no generation has moved yet.
    Scheduled,
    /// It concerns very many pages: its generations have moved, and everything else waits until somebody
    /// releases it, or calls it off.
    Held,
    /// Purging the tiers, nearest the origin first, each confirmed before the next.
    Purging,
    /// Refilling caches.
    Warming,
    /// Waiting until everything that was in flight has ended and been purged again.
    Settling,
    /// Nothing is left to do.
    Done,
    /// Given up on; see the error. A replay goes on from where it stopped.
    Failed,
    /// Called off before its time had come: nothing of it has happened. Or while it was held, when it has a
    /// position: its generations have moved, and the tiers that were not purged may keep what they have
    /// until its lifetime ends.
    Cancelled,
}

impl Phase {
    /// Every phase, in the order in which a revalidation comes to them.
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Queued,
        Self::Held,
        Self::Purging,
        Self::Warming,
        Self::Settling,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word for it, in receipts and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Held => "held",
            Self::Purging => "purging",
            Self::Warming => "warming",
            Self::Settling => "settling",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nobody is going to work on it any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// What the caller of a revalidation may choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevalidateOptions {
    /// How copies are treated, and whether the caller says so.
    #[serde(flatten)]
    pub mode: ModeChoice,
    /// Whether pages are warmed after the purge.
    pub warm: bool,
    /// Purges everything a second time after this delay, for tiers that re-cache among themselves.
    pub second_purge: Option<Duration>,
    /// How far the data that pages are rendered from may lag behind those that changed. Once that has
    /// passed since the revalidation was accepted, the same is revalidated once more under a name derived
    /// from this one's, and this one is settled only when that is.
    #[serde(default)]
    pub replica_lag: Option<Duration>,
    /// When the generations are to move and the purge is to begin, by the store's clock: embargoed content
    /// is prepared before its time. Nothing happens until then; a worker sees to it that it happens then.
    /// A time that has passed is now, as is `None`, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether it may be held until somebody releases it, where it concerns more pages than the site lets go
    /// on by themselves. Default: true.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub hold: bool,
}

const fn yes() -> bool {
    true
}

impl RevalidateOptions {
    /// How far ahead of the store's clock [`RevalidateOptions::at`] may be: 366 days.
    pub const FARTHEST: Duration = Duration::from_hours(366 * 24);
    /// How far ahead a time has to be for there to be anything to wait for: what the store's clock tells
    /// apart. Whoever asks shortly before the data change would otherwise be heard too early.
    pub const NEAREST: Duration = Duration::from_millis(1);

    /// Until when it is to wait, when a store's clock shows `now`; `None` when it is to happen at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooFarAhead`].
    pub fn waits_until(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let last = now.after(Self::FARTHEST);
        match self.at {
            Some(at) if at > last => Err(StoreError::TooFarAhead { at, last }),
            at => Ok(at.filter(|at| at.since(now) >= Self::NEAREST)),
        }
    }
}

impl Default for RevalidateOptions {
    fn default() -> Self {
        Self {
            mode: ModeChoice::default(),
            warm: true,
            second_purge: None,
            replica_lag: None,
            at: None,
            hold: true,
        }
    }
}

/// Why a revalidation is held, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// It concerns more pages than this.
    pub above: u64,
    /// Whether somebody has released it: it is not held again.
    pub released: bool,
}

/// A revalidation: what it was asked to do, and what has been seen to happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its name.
    pub id: RevalidationId,
    /// What it is aimed at.
    pub targets: Targets,
    /// What the caller chose.
    pub options: RevalidateOptions,
    /// Who asked.
    pub source: Source,
    /// The generation it made in every partition; `None` until the store has accepted it, and until its
    /// time has come where it is scheduled.
    pub position: Option<Position>,
    /// When the store accepted it, by the store's clock; `None` until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Timestamp>,
    /// What it is at.
    pub phase: Phase,
    /// Why it is held, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// It concerned more pages than this, so tiers that can are purged softly although the site's usual mode
    /// is hard. Its generations moved hard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softened_above: Option<u64>,
    /// Every tier, nearest the origin first. Empty until a worker has begun.
    pub tiers: Vec<TierReceipt>,
    /// Whether no response made from older data can appear on any tier any more.
    pub settled: bool,
    /// What the warm-up has done.
    pub warm: WarmReceipt,
    /// Attempts that failed since the last progress.
    pub failures: u32,
    /// What went wrong last, as long as it stands in the way.
    pub error: Option<String>,
    /// Where its worker goes on.
    pub progress: Progress,
}

/// Where the next worker goes on with a revalidation. Of no interest to anybody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The tier being purged, or how many there are once all have been.
    pub tier: usize,
    /// The target being walked.
    pub target: usize,
    /// Where in that target's pages.
    pub cursor: Option<Cursor>,
    /// Which copies of the tier's calls wait to be confirmed.
    pub references: Vec<String>,
    /// Whether the purge in hand is the second one.
    pub repeated: bool,
    /// Senders that died before they were clean, for whom everything has been purged again.
    pub mourned: Vec<crate::SenderId>,
    /// How often it was looked whether the revalidation has settled, to no avail.
    pub looks: u32,
    /// How far it is with the replica lag.
    #[serde(default)]
    pub lag: LagProgress,
    /// Whether the tier being purged has refused some items for good; the others are purged all the same.
    #[serde(default)]
    pub refused: bool,
    /// Whether it has been seen how many pages it concerns, as far as that matters.
    #[serde(default)]
    pub weighed: bool,
}

/// How far a revalidation is with the replica lag that its options state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LagProgress {
    /// It may not have passed yet; nobody has begun to wait for it.
    #[default]
    Ahead,
    /// Whoever claims the job next has waited for it.
    Waited,
    /// The revalidation has been made once more.
    Repeated,
}

impl Receipt {
    /// Since when it waits to be carried out, by the store's clock: when it was accepted, or the later time
    /// that it was asked for. `None` until the store has accepted it.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        self.made
            .map(|made| made.max(self.options.at.unwrap_or(made)))
    }

    /// A revalidation that nobody has stored yet.
    #[must_use]
    pub fn new(targets: Targets, options: RevalidateOptions, source: Source) -> Self {
        Self {
            id: RevalidationId::new(),
            targets,
            options,
            source,
            position: None,
            made: None,
            phase: Phase::Queued,
            held: None,
            softened_above: None,
            tiers: Vec::new(),
            settled: false,
            warm: WarmReceipt::default(),
            failures: 0,
            error: None,
            progress: Progress::default(),
        }
    }

    /// The same revalidation under a name that the caller chose.
    #[must_use]
    pub fn with_id(mut self, id: RevalidationId) -> Self {
        self.id = id;
        self
    }
    /// The same revalidation as it stands once somebody has released it.
    #[must_use]
    pub fn released(mut self) -> Self {
        self.phase = Phase::Queued;
        if let Some(held) = &mut self.held {
            held.released = true;
        }
        self
    }

    /// How tiers that can be purged either way are purged.
    #[must_use]
    pub fn purge_mode(&self) -> Mode {
        match self.softened_above {
            Some(_) if self.options.mode.may_be_softened() => Mode::Soft,
            _ => self.options.mode.mode(),
        }
    }
}
