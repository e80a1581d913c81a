//! The configuration: from a file and the environment to values that have been checked.
//!
//! [`load`] layers the defaults, a file (`edge-isr.toml`, or JSON) and environment variables
//! (`EDGE_ISR_SITE__ORIGIN` is `site.origin`), reads the secrets that are kept in files, and checks
//! everything. What comes out is a [`Config`], in which every value is of the type it is used as. All
//! that is wrong is reported together in one [`ConfigError`]; each [`Fault`] names the key and where
//! the value came from. Every key is described in `docs/configuration.md`.

mod certificates;
mod check;
mod error;
mod keys;
mod layers;
mod listing;
mod load;
mod model;
mod nearest;
mod raw;
mod secrets;

pub use self::error::{ConfigError, Fault};
pub use self::keys::keys;
pub use self::listing::Entry;
pub use self::load::{DEFAULT_FILE, Loaded, load, parse};
pub use self::model::{
    AdminConfig, Config, ConnectorConfig, Durability, EdgeConfig, LayerConfig, ListenConfig,
    RuleConfig, SiteConfig, StoreConfig, StoreOptions, WarmConfig, WorkerConfig,
};

#[cfg(test)]
mod tests;
