//! The seam to a tier: one cache, or one service of many caches, that can be purged.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{BoxError, Capabilities, Mode, Position, Target};

/// One call's worth of targets. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeBatch {
    id: Uuid,
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
        (!targets.is_empty()).then(|| Self {
            id: Uuid::now_v7(),
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

    /// A name that no other batch has and that stays when the same batch is sent again, for services
    /// that tell a repetition by it.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }
}

/// A tier's name for a purge that it carries out later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(pub String);

/// What a tier answered to a purge call. That some items were refused is no error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgeReceipt {
    /// Targets taken on.
    pub accepted: u64,
    /// Targets refused for good, with the tier's reason.
    pub rejected: Vec<(Target, String)>,
    /// Copies that went or became stale, where the tier counts them.
    pub copies: Option<u64>,
    /// What to poll by, where completion can be observed.
    pub reference: Option<Reference>,
    /// How long no other call is to be made, where the tier says that this was the last for now.
    pub pause: Option<Duration>,
}

impl PurgeReceipt {
    /// Every target of the batch was taken on, and that is all that is known.
    #[must_use]
    pub fn accepted(batch: &PurgeBatch) -> Self {
        Self {
            accepted: batch.targets().len() as u64,
            ..Self::default()
        }
    }
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

/// Something that a look at a tier found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it has to be.
    pub good: bool,
    /// What was found, and what to do where it is not good, as a sentence without a full stop. Never
    /// holds a secret.
    pub text: String,
}

impl Finding {
    /// Something that is as it has to be.
    #[must_use]
    pub fn good(text: impl Into<String>) -> Self {
        Self {
            good: true,
            text: text.into(),
        }
    }

    /// Something that keeps the tier from being purged as it is configured.
    #[must_use]
    pub fn bad(text: impl Into<String>) -> Self {
        Self {
            good: false,
            text: text.into(),
        }
    }
}

/// Why a call to a tier failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The tier asked to be called less often, or has as much to do as it takes on.
    #[error("{connector} asks for fewer calls: {reason}")]
    RateLimited {
        /// The connector's name.
        connector: String,
        /// What it said, without anything secret.
        reason: String,
        /// The delay it named, if it did.
        retry_after: Option<Duration>,
    },
    /// No answer came, a broken one, or one that says that the tier itself failed.
    #[error("{connector} cannot be reached")]
    Unreachable {
        /// The connector's name.
        connector: String,
        /// What went wrong, without anything secret.
        #[source]
        source: BoxError,
    },
    /// The tier understood the call and refused it for good.
    #[error("{connector} refused the purge: {reason}")]
    Refused {
        /// The connector's name.
        connector: String,
        /// The tier's reason, without anything secret, and what to do about it where that is known.
        reason: String,
        /// Whether that may be over some of the targets alone, so that the others would be taken on
        /// without them: not where it is over credentials, rights, or what is to be purged.
        over_targets: bool,
    },
}

impl ConnectorError {
    /// A call that was refused for good, for this reason, whatever its targets were.
    #[must_use]
    pub fn refused(connector: &str, reason: impl Into<String>) -> Self {
        Self::Refused {
            connector: connector.to_owned(),
            reason: reason.into(),
            over_targets: false,
        }
    }

    /// A call that was refused for good, perhaps for some of its targets alone.
    #[must_use]
    pub fn refused_over_targets(connector: &str, reason: impl Into<String>) -> Self {
        Self::Refused {
            connector: connector.to_owned(),
            reason: reason.into(),
            over_targets: true,
        }
    }

    /// A call without an answer that could be used.
    #[must_use]
    pub fn unreachable(connector: &str, source: impl Into<BoxError>) -> Self {
        Self::Unreachable {
            connector: connector.to_owned(),
            source: source.into(),
        }
    }

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

    /// What it can do with its present configuration. Does not change.
    fn capabilities(&self) -> &Capabilities;

    /// Asks the tier to drop, or mark stale, every target of the batch, in one call.
    ///
    /// The batch is within the limits of [`Capabilities`], each target in it once. Purging what is not
    /// cached succeeds. The same batch may be sent again.
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

    /// Looks whether the tier can be reached and lets itself be purged as it is configured, without
    /// purging anything: credentials, rights, whether what is to be purged exists, whether it looks for
    /// tags where responses name them.
    ///
    /// # Errors
    ///
    /// See [`ConnectorError`], when it cannot even be looked.
    async fn check(&self) -> Result<Vec<Finding>, ConnectorError>;
}
