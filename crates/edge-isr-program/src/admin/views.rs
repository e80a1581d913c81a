//! What the API shows: the same facts as the types of the core, in a form that is a public contract.

use edge_isr::core::{Mode, NotWarmed, Receipt, Target, TierReceipt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How copies are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModeView {
    /// They may be served while, and only while, they are revalidated.
    Soft,
    /// They are never served again, not even when the origin fails.
    Hard,
}

impl From<Mode> for ModeView {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Soft => Self::Soft,
            Mode::Hard => Self::Hard,
        }
    }
}

impl From<ModeView> for Mode {
    fn from(mode: ModeView) -> Self {
        match mode {
            ModeView::Soft => Self::Soft,
            ModeView::Hard => Self::Hard,
        }
    }
}

/// One thing that a revalidation is aimed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct TargetView {
    /// `tag`, `url`, `prefix`, `host` or `everything`.
    pub(crate) kind: String,
    /// The tag, URL or host; empty for everything.
    pub(crate) value: String,
}

impl From<&Target> for TargetView {
    fn from(target: &Target) -> Self {
        let value = match target {
            Target::Tag(tag) => tag.to_string(),
            Target::Url(url) | Target::Prefix(url) => url.to_string(),
            Target::Host(host) => host.clone(),
            _ => String::new(),
        };
        Self {
            kind: target.kind().to_owned(),
            value,
        }
    }
}

/// What a revalidation was asked to do, and what has been seen to happen.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReceiptView {
    /// The revalidation's name.
    pub(crate) id: String,
    /// What it is aimed at.
    pub(crate) targets: Vec<TargetView>,
    /// How copies are treated.
    pub(crate) mode: ModeView,
    /// Who asked.
    pub(crate) source: String,
    /// When the store accepted it, by its clock.
    pub(crate) made: Option<String>,
    /// The time that was asked for, where one was: nothing of it happens before.
    pub(crate) at: Option<String>,
    /// What it is at: `queued`, `scheduled`, `held`, `purging`, `warming`, `settling`, `done`, `failed` or
    /// `cancelled`.
    pub(crate) phase: String,
    /// Why it is held, or was; nothing where it never was.
    pub(crate) held: Option<HeldView>,
    /// It concerned more pages than this, so tiers that can are purged softly although the configured mode is
    /// hard; nothing where it is carried out as it stands.
    pub(crate) softened_above: Option<u64>,
    /// Whether nothing made from older data can appear on any tier any more.
    pub(crate) settled: bool,
    /// Every tier, nearest the origin first. Empty until a worker has begun.
    pub(crate) tiers: Vec<TierView>,
    /// What the warm-up has done.
    pub(crate) warm: WarmView,
    /// Attempts that failed since the last progress.
    pub(crate) failures: u32,
    /// What went wrong last, as long as it stands in the way.
    pub(crate) error: Option<String>,
}

/// Why a revalidation is held, or was.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct HeldView {
    /// It concerns more pages than this (`revalidate.hold_above`).
    pub(crate) above: u64,
    /// Whether somebody has released it.
    pub(crate) released: bool,
}

/// What one tier has done for a revalidation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct TierView {
    /// The tier's name.
    pub(crate) tier: String,
    /// `queued`, `sent`, `accepted`, `confirmed`, `settled` or `failed`.
    pub(crate) state: String,
    /// Purge calls made, repeats included.
    pub(crate) calls: u64,
    /// Items that the tier took on.
    pub(crate) accepted: u64,
    /// Items that the tier refused for good.
    pub(crate) rejected: u64,
    /// Copies that went or became stale, where the tier counts them.
    pub(crate) copies: Option<u64>,
    /// What was purged instead of very many pages, as the configuration allows.
    pub(crate) escalated: Option<String>,
    /// What went wrong last, as long as it stands in the way.
    pub(crate) error: Option<String>,
}

/// What the warm-up after a revalidation has done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct WarmView {
    /// Requests that ended well.
    pub(crate) warmed: u64,
    /// Of those, how many were seen to bring a copy no older than the revalidation.
    pub(crate) verified: u64,
    /// Requests given up on.
    pub(crate) failed: u64,
    /// Pages that needed none.
    pub(crate) skipped: u64,
    /// What was not warmed, gone and moved pages included: the first 20.
    pub(crate) not_warmed: Vec<NotWarmedView>,
}

/// A warm-up request that ended otherwise than well.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct NotWarmedView {
    /// The page.
    pub(crate) url: String,
    /// The edge that was asked; nothing when the page's own host was.
    pub(crate) via: Option<String>,
    /// What came, or went wrong.
    pub(crate) detail: String,
}

impl From<&NotWarmed> for NotWarmedView {
    fn from(not_warmed: &NotWarmed) -> Self {
        Self {
            url: not_warmed.url.to_string(),
            via: not_warmed.via.clone(),
            detail: not_warmed.detail.clone(),
        }
    }
}

impl From<&TierReceipt> for TierView {
    fn from(tier: &TierReceipt) -> Self {
        Self {
            tier: tier.connector.clone(),
            state: tier.state.as_str().to_owned(),
            calls: tier.calls,
            accepted: tier.accepted,
            rejected: tier.rejected,
            copies: tier.copies,
            escalated: tier.escalated.clone(),
            error: tier.error.clone(),
        }
    }
}

impl From<&Receipt> for ReceiptView {
    fn from(receipt: &Receipt) -> Self {
        Self {
            id: receipt.id.to_string(),
            targets: receipt.targets.iter().map(TargetView::from).collect(),
            mode: receipt.options.mode.mode().into(),
            source: receipt.source.as_str().to_owned(),
            made: receipt.made.map(String::from),
            at: receipt.options.at.map(String::from),
            phase: receipt.phase.as_str().to_owned(),
            held: receipt.held.map(|held| HeldView {
                above: held.above,
                released: held.released,
            }),
            softened_above: receipt.softened_above,
            settled: receipt.settled,
            tiers: receipt.tiers.iter().map(TierView::from).collect(),
            warm: WarmView {
                warmed: receipt.warm.warmed,
                verified: receipt.warm.verified,
                failed: receipt.warm.failed,
                skipped: receipt.warm.skipped,
                not_warmed: (receipt.warm.not_warmed.iter())
                    .map(NotWarmedView::from)
                    .collect(),
            },
            failures: receipt.failures,
            error: receipt.error.clone(),
        }
    }
}
