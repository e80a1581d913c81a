//! What is wrong with a configuration.

use std::fmt;

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// What is wrong; never empty.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_slice() {
            [only] => write!(f, "the configuration cannot be used: {only}"),
            several => {
                write!(
                    f,
                    "the configuration cannot be used, for {} reasons:",
                    several.len()
                )?;
                several
                    .iter()
                    .try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

/// One thing that is wrong, at one key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The key with its section: `site.origin`. Empty when a whole file is at fault.
    pub key: String,
    /// The file or environment variable that the value came from; `None` for a value that is missing
    /// or a default.
    pub source: Option<String>,
    /// What is wrong and what to do about it, to be read after the key.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        if let Some(source) = &self.source {
            write!(f, "in {source} ")?;
        }
        f.write_str(&self.message)
    }
}
