//! What is wrong with the options of a connector.

use std::borrow::Cow;

/// An option that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {fault}")]
pub struct InvalidOption {
    /// The option's key, as it is written in the connector's section of the configuration.
    pub key: Cow<'static, str>,
    /// What is wrong with it and what to do, as the rest of a sentence that begins with the key. Never
    /// holds a secret.
    pub fault: String,
}

impl InvalidOption {
    /// A fault of one option.
    #[must_use]
    pub fn new(key: impl Into<Cow<'static, str>>, fault: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            fault: fault.into(),
        }
    }
}
