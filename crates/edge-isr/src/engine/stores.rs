//! From the configuration of the store to the store.

use std::sync::Arc;

use isr_core::{Clock, Store};
use isr_graph::{MemoryOptions, MemoryStore};

use super::StartError;
#[cfg(any(feature = "redis", feature = "sqlite"))]
use crate::config::Durability;
use crate::config::{Config, StoreConfig};

/// The store of a site. Nothing is opened or connected yet: the first call that reaches it does that.
pub(super) fn store(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, StartError> {
    match &config.store {
        StoreConfig::Memory => Ok(Arc::new(MemoryStore::new(
            Arc::clone(clock),
            MemoryOptions {
                history: count(config.store_options.history),
                queue: count(config.store_options.queue),
                keep_receipts: config.store_options.keep_receipts,
                ..MemoryOptions::default()
            },
        ))),
        #[cfg(feature = "sqlite")]
        StoreConfig::Sqlite { path } => Ok(sqlite(path.clone(), sqlite_options(config), clock)),
        #[cfg(feature = "redis")]
        StoreConfig::Redis {
            url,
            partitions,
            cluster,
        } => {
            let options = &config.store_options;
            let options = isr_graph::RedisOptions {
                url: url.clone(),
                site: config.site.name.clone(),
                partitions: partitions.get(),
                cluster: *cluster,
                replicas: match options.durability {
                    Durability::Replicated { replicas } => replicas.get(),
                    Durability::Process | Durability::Machine => 0,
                },
                trust_restarts: options.trust_restarts,
                connect_timeout: options.connect_timeout,
                response_timeout: options.response_timeout,
                connections: options.connections,
                history: count(options.history),
                queue: count(options.queue),
                keep_receipts: options.keep_receipts,
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

/// A count as wide as memory is.
fn count(number: std::num::NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

#[cfg(feature = "sqlite")]
fn sqlite_options(config: &Config) -> isr_graph::SqliteOptions {
    let options = &config.store_options;
    isr_graph::SqliteOptions {
        site: config.site.name.clone(),
        durability: match options.durability {
            Durability::Machine => isr_graph::Durability::Machine,
            // A file has no replicas, which the configuration says.
            Durability::Process | Durability::Replicated { .. } => isr_graph::Durability::Process,
        },
        max_bytes: options.max_bytes,
        cache_bytes: options.cache,
        readers: options.readers,
        history: options.history.into(),
        queue: options.queue.get().into(),
        keep_receipts: options.keep_receipts,
        ..isr_graph::SqliteOptions::default()
    }
}

/// An embedded store is opened late, since its file may be on a disk that is not there yet.
#[cfg(feature = "sqlite")]
fn sqlite(
    path: std::path::PathBuf,
    options: isr_graph::SqliteOptions,
    clock: &Arc<dyn Clock>,
) -> Arc<dyn Store> {
    use crate::late_store::LateStore;

    let open = move || -> crate::late_store::Opening {
        let (path, options) = (path.clone(), options.clone());
        Box::pin(async move {
            let store = isr_graph::SqliteStore::open(path, options).await?;
            Ok(Arc::new(store) as Arc<dyn Store>)
        })
    };
    Arc::new(LateStore::new("sqlite", Box::new(open), Arc::clone(clock)))
}
