//! The seam to a tier: one cache, or one service of many caches, that can be purged.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;

use crate::{BoxError, Mode, Position, Target};

/// What a connector can do, so that the planner never has to guess.
// Not `#[non_exhaustive]`: connectors outside this workspace write `..Capabilities::default()`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an ability of its own"
)]
pub struct Capabilities {
    /// Purges exact URLs.
    pub purge_url: bool,
    /// Purges by tag, so that the tag need not be resolved to its pages.
    pub purge_tag: bool,
    /// Purges a path and what is beneath it.
    pub purge_prefix: bool,
    /// Purges a host.
    pub purge_host: bool,
    /// Purges everything.
    pub purge_everything: bool,
    /// Marks copies stale instead of removing them.
    pub soft: bool,
    /// Items in one call; `None` means no limit is known.
    pub items_per_call: Option<NonZeroUsize>,
    /// Whether [`CdnConnector::poll`] can tell when a purge has been carried out.
    pub observes_completion: bool,
    /// Whether it keeps copies that this system did not hand it under a generation it can compare:
    /// every cache but the built-in edge. What is in flight to such a tier is tracked.
    pub foreign: bool,
    /// How long after its last byte a response may still be stored.
    pub settling_time: Duration,
    /// Tiers are purged in ascending order: 0 is nearest the origin.
    pub distance: u8,
}

impl Default for Capabilities {
    /// A foreign tier that can do nothing, settles within two seconds, and is far from the origin.
    fn default() -> Self {
        Self {
            purge_url: false,
            purge_tag: false,
            purge_prefix: false,
            purge_host: false,
            purge_everything: false,
            soft: false,
            items_per_call: None,
            observes_completion: false,
            foreign: true,
            settling_time: Duration::from_secs(2),
            distance: 10,
        }
    }
}

impl Capabilities {
    /// Whether a target can be purged as it is, without resolving it to its pages.
    #[must_use]
    pub const fn takes(&self, target: &Target) -> bool {
        match target {
            Target::Tag(_) => self.purge_tag,
            Target::Url(_) => self.purge_url,
            Target::Prefix(_) => self.purge_prefix,
            Target::Host(_) => self.purge_host,
            Target::Everything => self.purge_everything,
        }
    }
}

/// One call's worth of targets. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeBatch {
    targets: Vec<Target>,
    /// How copies are treated.
    pub mode: Mode,
    /// The position whose revalidations the purge carries out.
    pub position: Position,
}

impl PurgeBatch {
    /// A batch, or `None` when there is nothing to purge: an empty call means "everything" at
    /// several CDNs.
    #[must_use]
    pub fn new(targets: Vec<Target>, mode: Mode, position: Position) -> Option<Self> {
        (!targets.is_empty()).then_some(Self {
            targets,
            mode,
            position,
        })
    }

    /// What to purge.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
}

/// A tier's name for a purge that it carries out later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(pub String);

/// What a tier answered to a purge call. That some items were refused is no error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgeReceipt {
    /// Items taken on.
    pub accepted: u64,
    /// Items refused for good, with the tier's reason.
    pub rejected: Vec<(Target, String)>,
    /// What to poll by, where completion can be observed.
    pub reference: Option<Reference>,
}

/// How far a purge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Carried out everywhere.
    Complete,
    /// Under way; ask again after the delay.
    Pending {
        /// When an answer may have changed.
        retry_after: Duration,
    },
}

/// Why a call to a tier failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The tier asked to be called less often.
    #[error("{connector} asks for fewer calls")]
    RateLimited {
        /// The connector's name.
        connector: String,
        /// The delay it named, if it did.
        retry_after: Option<Duration>,
    },
    /// No answer came, or a broken one.
    #[error("{connector} cannot be reached")]
    Unreachable {
        /// The connector's name.
        connector: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The tier understood the call and refused it for good.
    #[error("{connector} refused the purge: {reason}")]
    Refused {
        /// The connector's name.
        connector: String,
        /// The tier's reason, without anything secret.
        reason: String,
    },
}

impl ConnectorError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unreachable { .. })
    }

    /// The delay that the tier asked for, if it did.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// One tier, reached by whatever it is purged with.
#[async_trait]
pub trait CdnConnector: fmt::Debug + Send + Sync + 'static {
    /// The name the configuration gives it, unique among all tiers; a metric label.
    fn name(&self) -> &str;

    /// What it can do with its present configuration.
    fn capabilities(&self) -> &Capabilities;

    /// Asks the tier to drop, or mark stale, every target of the batch.
    ///
    /// Purging what is not cached succeeds. The same batch may be sent again.
    ///
    /// # Errors
    ///
    /// See [`ConnectorError`]; nothing is retried here.
    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError>;

    /// Asks whether a purge has been carried out. Only called where completion can be observed.
    ///
    /// # Errors
    ///
    /// See [`ConnectorError`]; nothing is retried here.
    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError>;

    /// Looks whether the tier can be reached and lets itself be purged, without purging anything.
    ///
    /// # Errors
    ///
    /// See [`ConnectorError`].
    async fn check(&self) -> Result<(), ConnectorError>;
}
