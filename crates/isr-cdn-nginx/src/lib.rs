//! The connector by which edge-isr purges nginx, in two forms.
//!
//! `purge_location` asks an nginx that has the module `ngx_http_cache_purge`, over HTTP and from anywhere; each
//! machine is a connector of its own. `cache_path` needs no module: it removes the files of an nginx on the same
//! machine, found by the key that stands in each of them. Either way a purge is complete with its answer.

mod cache_path;
mod capabilities;
mod location;
mod options;

use std::sync::Arc;

use isr_core::{CdnConnector, InvalidOption};

pub use options::{Options, PurgeMethod};

use crate::options::Settings;

/// What a `[[connector]]` table calls this kind.
pub const KIND: &str = "nginx";

/// Connectors for the options: one for each machine, named `NAME@host:port`, or one named `name` for a cache on
/// this machine. Nobody is called. A cache on this machine begins to be indexed by a thread of its own, which
/// ends with the connector.
///
/// # Errors
///
/// Options that cannot be used, and a process that has not installed rustls' default provider where machines are
/// to be called.
pub fn connect(name: &str, options: Options) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
    match options.check()? {
        Settings::Location(settings) => location::connect(name, settings),
        Settings::CachePath(settings) => Ok(vec![Arc::new(cache_path::connect(name, settings)?)]),
    }
}
