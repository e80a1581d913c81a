//! Values that must never be shown.

use std::fmt;

use serde::Deserialize;
use uuid::Uuid;

/// A credential or key. It has no `Display` and no `Serialize`, and its `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value from being shown.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// One that nobody can guess: 64 hexadecimal digits from the system's random numbers.
    #[must_use]
    pub fn random() -> Self {
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        Self(format!("{}{}", one.simple(), other.simple()))
    }

    /// The value itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not depend on where the two differ.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        let (expected, given) = (
            blake3::hash(self.0.as_bytes()),
            blake3::hash(candidate.as_bytes()),
        );
        expected == given // `blake3::Hash` compares in constant time
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn only_the_secret_itself_matches() {
        let secret = Secret::new("hunter2");
        assert!(secret.matches("hunter2"));
        assert!(!secret.matches("hunter") && !secret.matches(""));
    }
}
