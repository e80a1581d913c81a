//! From the configuration of the store to the store.

use std::sync::Arc;

use isr_core::{Clock, Store};
use isr_graph::{MemoryOptions, MemoryStore};

use super::StartError;
use crate::config::StoreConfig;

/// The store of a site. Nothing is opened or connected yet: the first call that reaches it does that.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "redis")),
    expect(unused_variables, reason = "memory holds one site only")
)]
pub(super) fn store(
    config: &StoreConfig,
    site: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Store>, StartError> {
    match config {
        StoreConfig::Memory => Ok(Arc::new(MemoryStore::new(
            Arc::clone(clock),
            MemoryOptions::default(),
        ))),
        #[cfg(feature = "sqlite")]
        StoreConfig::Sqlite { path } => Ok(sqlite(path.clone(), site.to_owned(), clock)),
        #[cfg(feature = "redis")]
        StoreConfig::Redis { url, partitions } => {
            let options = isr_graph::RedisOptions {
                site: site.to_owned(),
                partitions: partitions.get(),
                ..isr_graph::RedisOptions::new(url.clone())
            };
            let store = isr_graph::RedisStore::new(options);
            Ok(Arc::new(
                store.map_err(|error| StartError::Store(Box::new(error)))?,
            ))
        }
        #[expect(
            clippy::allow_attributes,
            reason = "reached only where a feature is left out"
        )]
        #[allow(unreachable_patterns)]
        other => Err(StartError::NotBuiltIn { kind: other.kind() }),
    }
}

/// An embedded store is opened late, since its file may be on a disk that is not there yet.
#[cfg(feature = "sqlite")]
fn sqlite(path: std::path::PathBuf, site: String, clock: &Arc<dyn Clock>) -> Arc<dyn Store> {
    use crate::late_store::LateStore;

    let options = isr_graph::SqliteOptions {
        site,
        ..isr_graph::SqliteOptions::default()
    };
    let open = move || -> crate::late_store::Opening {
        let (path, options) = (path.clone(), options.clone());
        Box::pin(async move {
            let store = isr_graph::SqliteStore::open(path, options).await?;
            Ok(Arc::new(store) as Arc<dyn Store>)
        })
    };
    Arc::new(LateStore::new("sqlite", Box::new(open), Arc::clone(clock)))
}
