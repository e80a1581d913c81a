//! Checks `[store]`.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use isr_pipeline::OnHistoryLost;

use super::{DAY, Faults, MILLISECOND, MINUTE};
use crate::config::model::{Durability, StoreConfig, StoreOptions};
use crate::config::raw::{self, Size, StoreKind};

/// Which store it is, and where.
pub(super) fn place(raw: &raw::Store, faults: &mut Faults) -> StoreConfig {
    match raw.kind {
        StoreKind::Memory => StoreConfig::Memory,
        StoreKind::Sqlite => {
            if raw.path.is_empty() {
                faults.push("store.path", "is empty: name the file to keep the store in");
            }
            StoreConfig::Sqlite {
                path: PathBuf::from(&raw.path),
            }
        }
        StoreKind::Redis => redis(raw, faults),
    }
}

fn redis(raw: &raw::Store, faults: &mut Faults) -> StoreConfig {
    let partitions = faults.number("store.partitions", raw.partitions, 1..=1024);
    let Some(url) = &raw.url else {
        faults.push(
            "store.url",
            "is missing: give the address of the Redis server, such as redis://127.0.0.1:6379",
        );
        return StoreConfig::Memory;
    };
    let schemes = ["redis://", "rediss://"];
    let is_one = |address: &str| {
        schemes
            .iter()
            .any(|scheme| address.trim().starts_with(scheme))
    };
    if !url.0.expose().split(',').all(is_one) {
        // The URL itself may hold a password.
        faults.push("store.url", "does not begin with redis:// or rediss://");
    } else if let Some(fault) = unusable(&url.0, raw.cluster) {
        faults.push("store.url", fault);
    }
    StoreConfig::Redis {
        url: url.0.clone(),
        partitions,
        cluster: raw.cluster,
    }
}

/// What is wrong with the address of a server, without a word of it.
#[cfg(feature = "redis")]
fn unusable(url: &isr_core::Secret, cluster: bool) -> Option<String> {
    let store = isr_graph::RedisStore::new(isr_graph::RedisOptions {
        cluster,
        ..isr_graph::RedisOptions::new(url.clone())
    });
    store.err().map(|fault| format!("cannot be used: {fault}"))
}

#[cfg(not(feature = "redis"))]
fn unusable(_: &isr_core::Secret, _: bool) -> Option<String> {
    None
}

/// How it behaves.
pub(super) fn options(raw: &raw::Store, faults: &mut Faults) -> StoreOptions {
    misplaced(raw, faults);
    let history: NonZeroU32 = faults.number("store.history", raw.history, 1..=10_000_000);
    let queue: NonZeroU32 = faults.number("store.queue", raw.queue, 1..=100_000_000);
    let readers: NonZeroUsize = faults.number("store.readers", usize::from(raw.readers), 1..=64);
    let sizes = Size::mebibytes(1)..=Size::gibibytes(1024);
    let max_bytes = raw
        .max_bytes
        .map(|bytes| faults.size("store.max_bytes", bytes, sizes));
    let cache = Size::mebibytes(1)..=Size::gibibytes(64);
    StoreOptions {
        history,
        queue,
        keep_receipts: faults.within("store.keep_receipts", raw.keep_receipts, MINUTE..=366 * DAY),
        durability: durability(raw, faults),
        max_bytes: max_bytes.and_then(NonZeroU64::new),
        cache: faults.memory("store.cache", raw.cache, cache),
        readers,
        connections: faults.number("store.connections", usize::from(raw.connections), 2..=64),
        connect_timeout: faults.within(
            "store.connect_timeout",
            raw.connect_timeout,
            10 * MILLISECOND..=MINUTE,
        ),
        response_timeout: faults.within(
            "store.response_timeout",
            raw.response_timeout,
            10 * MILLISECOND..=MINUTE,
        ),
        trust_restarts: raw.trust_restarts,
        on_history_lost: match raw.on_history_lost {
            raw::OnHistoryLost::AgeOut => OnHistoryLost::AgeOut,
            raw::OnHistoryLost::PurgeAll => OnHistoryLost::PurgeAll,
        },
    }
}

fn durability(raw: &raw::Store, faults: &mut Faults) -> Durability {
    let is_redis = raw.kind == StoreKind::Redis;
    let replicas: NonZeroU16 = faults.number("store.replicas", raw.replicas, 1..=16);
    match raw.durability {
        raw::Durability::Process => Durability::Process,
        raw::Durability::Machine => {
            if is_redis {
                let message = "is \"machine\", which a Redis server decides itself: set `appendonly yes` and \
                               `appendfsync always` there, and remove this";
                faults.push("store.durability", message);
            }
            Durability::Machine
        }
        raw::Durability::Replicated => {
            if raw.kind == StoreKind::Sqlite {
                let message =
                    "is \"replicated\", and a file has no replicas: use \"process\" or \"machine\"";
                faults.push("store.durability", message);
            }
            Durability::Replicated { replicas }
        }
    }
}

/// Keys that mean nothing with the store chosen, and are given all the same.
fn misplaced(raw: &raw::Store, faults: &mut Faults) {
    let usual = raw::Store::default();
    let given = [
        ("url", StoreKind::Redis, raw.url.is_some()),
        (
            "partitions",
            StoreKind::Redis,
            raw.partitions != usual.partitions,
        ),
        (
            "connections",
            StoreKind::Redis,
            raw.connections != usual.connections,
        ),
        (
            "connect_timeout",
            StoreKind::Redis,
            raw.connect_timeout != usual.connect_timeout,
        ),
        (
            "response_timeout",
            StoreKind::Redis,
            raw.response_timeout != usual.response_timeout,
        ),
        ("cluster", StoreKind::Redis, raw.cluster),
        ("replicas", StoreKind::Redis, raw.replicas != usual.replicas),
        ("trust_restarts", StoreKind::Redis, raw.trust_restarts),
        ("max_bytes", StoreKind::Sqlite, raw.max_bytes.is_some()),
        ("cache", StoreKind::Sqlite, raw.cache != usual.cache),
        ("readers", StoreKind::Sqlite, raw.readers != usual.readers),
    ];
    if raw.kind == StoreKind::Memory && raw.durability != usual.durability {
        let message =
            "is only for a store that outlives its process: set store.kind, or remove this";
        faults.push("store.durability", message);
    }
    if raw.replicas != usual.replicas && raw.durability != raw::Durability::Replicated {
        let message = "is only for store.durability = \"replicated\": set that, or remove this";
        faults.push("store.replicas", message);
    }
    for (key, kind, given) in given {
        if given && raw.kind != kind {
            let kind = if kind == StoreKind::Redis {
                "redis"
            } else {
                "sqlite"
            };
            let message = format!("is only for store.kind = \"{kind}\": set that, or remove this");
            faults.push(format!("store.{key}"), message);
        }
    }
}
