//! Purges Fastly by its API: surrogate keys in batches, single URLs, and a whole service.
//!
//! Fastly answers when it has taken a purge on, and cannot be asked how far it has come. Keys and URLs are
//! gone within about 150 ms everywhere, a whole service within 20 s; that is what "done" means here,
//! and it is taken on trust.

mod answer;
mod api;
mod capabilities;
mod check;
mod connector;
mod options;
mod request;

use std::sync::Arc;

use isr_core::{CdnConnector, InvalidOption};

pub use self::connector::FastlyConnector;
pub use self::options::Options;

/// The name of this kind of connector in the configuration.
pub const KIND: &str = "fastly";

/// The connector to one service. Nobody is called before it is used.
///
/// # Errors
///
/// When an option cannot be used, or the process has installed no TLS provider.
pub fn connect(name: &str, options: Options) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
    let connector = FastlyConnector::new(name, options)?;
    Ok(vec![Arc::new(connector)])
}
