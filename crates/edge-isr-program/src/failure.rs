//! Why a command failed, and what its exit status says about it.

use edge_isr::config::ConfigError;

/// Why a command failed. The exit status tells scripts which of the three it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked for failed, or an expectation of the demo did not hold.
    #[error("{0}")]
    Asked(String),
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// The server or the store cannot be reached.
    #[error("{0}")]
    Unreachable(String),
}

impl Failure {
    /// The exit status.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Asked(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }

    /// A failure of what was asked for, with everything that led to it.
    pub(crate) fn asked(error: impl Into<anyhow::Error>) -> Self {
        Self::Asked(format!("{:#}", error.into()))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}
