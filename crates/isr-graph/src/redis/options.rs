//! What a store in Redis needs to know.

use std::ops::RangeInclusive;
use std::time::Duration;

use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo as _};
use isr_core::Secret;

use crate::RECEIPTS_KEPT;

/// The longest name of a site.
const MAX_SITE_LEN: usize = 64;
/// At least one for binds, and one for everything else.
const CONNECTIONS: RangeInclusive<usize> = 2..=64;
/// More than anybody has; a larger number is a mistake.
const MAX_REPLICAS: u16 = 16;

/// Where the store is, and how it behaves at its limits.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// The server, as `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. TLS
    /// needs a rustls crypto provider, which the program installs. Several nodes of a cluster are given with
    /// commas in between; those that are not named are found.
    pub url: Secret,
    /// Whether the server is a node of a Redis Cluster, over whose masters the partitions are spread.
    /// Default: no.
    pub cluster: bool,
    /// How many replicas must have a bind, a revalidation or a page's job before it counts as stored, 0 to 16.
    /// A server that too few of them follow takes no changes. Name as many as could take its place: then
    /// nothing is lost when one does. Default: 0.
    pub replicas: u16,
    /// Whether a server that started again with its append-only log is taken to have lost nothing. That is so
    /// when it was shut down in good order; when it was killed, or its machine has crashed, the last two
    /// seconds may be missing. It is taken so anyway where the server says `appendfsync always`. Default: no.
    pub trust_restarts: bool,
    /// The site that every key is kept under: 1 to 64 ASCII letters, digits, `.`, `_` and `-`. Stores
    /// of different sites share a server and see nothing of one another. Default: `default`.
    pub site: String,
    /// Into how many partitions the pages are split, 1 to 1024. Fixed when the store is first opened.
    /// More than one spreads a site over the nodes of a cluster. Default: 1.
    pub partitions: u16,
    /// How long connecting may take. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long the server may take to answer. Default: 2 s.
    pub response_timeout: Duration,
    /// How many connections, 2 to 64: one for binds and other short calls, the rest for walks and jobs.
    /// Each is shared by many calls at once. Default: 4.
    pub connections: usize,
    /// Revalidations remembered for those who follow them, in each partition. Default: 100 000.
    pub history: usize,
    /// Revalidations that may wait, and pages that may wait in each partition. Default: 1 000 000.
    pub queue: usize,
    /// How long receipts of revalidations that finish from now on are kept. Default: a day.
    pub keep_receipts: Duration,
}

impl RedisOptions {
    /// The defaults, for a server.
    #[must_use]
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            cluster: false,
            replicas: 0,
            trust_restarts: false,
            site: "default".to_owned(),
            partitions: 1,
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
            connections: 4,
            history: 100_000,
            queue: 1_000_000,
            keep_receipts: RECEIPTS_KEPT,
        }
    }

    /// The addresses in `url`, at least one.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.url.expose().split(',')
    }

    /// How to connect to each address.
    pub(super) fn seeds(&self) -> Result<Vec<ConnectionInfo>, InvalidRedisOptions> {
        let seeds = self.addresses().map(|address| {
            let info = address.trim().into_connection_info();
            info.map_err(|error| InvalidRedisOptions::Url {
                source: error.into(),
            })
        });
        seeds.collect()
    }

    pub(super) fn check(&self) -> Result<(), InvalidRedisOptions> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.site.is_empty() || self.site.len() > MAX_SITE_LEN || !self.site.bytes().all(allowed)
        {
            return Err(InvalidRedisOptions::Site {
                site: self.site.clone(),
            });
        }
        if self.partitions == 0 || self.partitions > 1024 {
            return Err(InvalidRedisOptions::Partitions {
                partitions: self.partitions,
            });
        }
        if !CONNECTIONS.contains(&self.connections) {
            return Err(InvalidRedisOptions::Connections {
                connections: self.connections,
            });
        }
        if self.replicas > MAX_REPLICAS {
            return Err(InvalidRedisOptions::Replicas {
                replicas: self.replicas,
            });
        }
        if !self.cluster && self.addresses().count() > 1 {
            return Err(InvalidRedisOptions::SeveralServers);
        }
        Ok(())
    }
}

/// Why [`RedisOptions`] were refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedisOptions {
    /// The URL is none that Redis is reached by. The URL is not shown, since it may hold a password.
    #[error(
        "the URL of the Redis server is malformed: write redis://host:port or rediss://host:port"
    )]
    Url {
        /// What is wrong with it.
        #[source]
        source: isr_core::BoxError,
    },
    /// The name of the site.
    #[error(
        "site `{site}` cannot be a part of a key: use 1 to {MAX_SITE_LEN} ASCII letters, digits, \
         dots, underscores and hyphens"
    )]
    Site {
        /// The name given.
        site: String,
    },
    /// The number of partitions.
    #[error("{partitions} partitions are not possible: use 1 to 1024")]
    Partitions {
        /// The number given.
        partitions: u16,
    },
    /// The number of connections.
    #[error("{connections} connections are not possible: use 2 to 64")]
    Connections {
        /// The number given.
        connections: usize,
    },
    /// The number of replicas.
    #[error("waiting for {replicas} replicas is not possible: use 0 to {MAX_REPLICAS}")]
    Replicas {
        /// The number given.
        replicas: u16,
    },
    /// Several addresses without a cluster.
    #[error(
        "several addresses are for the nodes of a Redis Cluster: set store.cluster = true, or give one"
    )]
    SeveralServers,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl FnOnce(&mut RedisOptions)) -> bool {
        let mut options = RedisOptions::new(Secret::new("redis://127.0.0.1"));
        change(&mut options);
        options.check().is_ok()
    }

    #[test]
    fn options_that_can_never_work_are_refused() {
        assert!(checked(|_| {}));
        for site in ["", "a b", "a:b", "{a}", &"a".repeat(65)] {
            assert!(
                !checked(|options| options.site = site.to_owned()),
                "{site:?}"
            );
        }
        for partitions in [0, 1025] {
            assert!(
                !checked(|options| options.partitions = partitions),
                "{partitions}"
            );
        }
        for connections in [0, 1, 65] {
            assert!(
                !checked(|options| options.connections = connections),
                "{connections}"
            );
        }
    }
}
