//! Which store it is: its epoch, and the salt of its ids.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_redis::redis::{Cmd, cmd};
use isr_core::{Epoch, Partition, Secret, StoreError};
use parking_lot::RwLock;
use uuid::Uuid;

use super::error::{STORE, corrupt};
use super::link::{Lane, Link};
use super::scripts::OPEN;

/// The layout of the keys that this release writes, and the newest that it knows. See
/// `docs/redis-layout.md`.
pub(super) const LAYOUT: u32 = 1;

/// What everybody who uses a store has to agree on.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) epoch: Epoch,
    /// The epoch as the scripts compare it.
    pub(super) epoch_text: String,
    salt: [u8; 32],
    /// Origins by partition and number, as far as they were asked for.
    pub(super) origins: RwLock<HashMap<(Partition, u16), Arc<str>>>,
}

/// The name of a page or tag in the store.
pub(super) type Id = [u8; 8];

/// The id of the tag that every page is bound to, and that has no name.
pub(super) const ALL_PAGES: Id = [0; 8];

impl Identity {
    /// The id that a page or a tag has in this store. The salt keeps anybody outside from choosing
    /// two names with one id.
    pub(super) fn id_of(&self, name: &str) -> Id {
        let hash = blake3::keyed_hash(&self.salt, name.as_bytes());
        let (head, _) = hash
            .as_bytes()
            .split_first_chunk()
            .expect("a hash has 32 bytes");
        *head
    }

    /// What only those know who can read the store. The salt itself is not given away: with it, somebody
    /// could look for two names with one id.
    pub(super) fn secret(&self) -> Secret {
        let key = blake3::derive_key(
            "edge-isr 2026-11-22 what a site's processes sign with",
            &self.salt,
        );
        Secret::new(blake3::Hash::from_bytes(key).to_hex().as_str())
    }

    fn parse(epoch: &str, salt: &str) -> Result<Self, StoreError> {
        let number = u64::from_str_radix(epoch, 16).map_err(corrupt)?;
        let salt = blake3::Hash::from_hex(salt).map_err(corrupt)?;
        Ok(Self {
            epoch: Epoch::new(number),
            epoch_text: epoch.to_owned(),
            salt: *salt.as_bytes(),
            origins: RwLock::default(),
        })
    }
}

/// What the store says of one partition when it is opened.
struct Opened {
    epoch: String,
    salt: String,
    /// Whether its history begins here: it was not there before.
    begun: bool,
}

/// Opens every partition of a store, or makes it. `keys` are those of the partitions' descriptions.
///
/// When the history of some partition was lost, all of them begin a new epoch: a position covers all
/// partitions, so nobody could tell which part of it still holds.
pub(super) async fn open(link: &Link, keys: &[String]) -> Result<Identity, StoreError> {
    let (home, others) = keys
        .split_first()
        .expect("a store has at least one partition");
    let found = found_salts(link, keys).await?;
    let known = found.first().cloned().flatten();
    let salt = found
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_else(random_salt);
    let partitions = keys.len();
    let mut opened = open_one(link, home, partitions, &random_epoch(), &salt, &[]).await?;
    let mut lost = known.is_some() && opened.begun;
    for key in others {
        let other = open_one(
            link,
            key,
            partitions,
            &opened.epoch,
            &opened.salt,
            &["adopt"],
        )
        .await?;
        lost |= known.is_some() && other.begun;
    }
    if lost {
        opened = open_one(
            link,
            home,
            partitions,
            &random_epoch(),
            &salt,
            &["renew", &opened.epoch],
        )
        .await?;
        for key in others {
            open_one(
                link,
                key,
                partitions,
                &opened.epoch,
                &opened.salt,
                &["adopt"],
            )
            .await?;
        }
    }
    Identity::parse(&opened.epoch, &opened.salt)
}

async fn found_salts(link: &Link, keys: &[String]) -> Result<Vec<Option<String>>, StoreError> {
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        found.push(
            link.query(Lane::Fast, cmd("HGET").arg(key).arg("salt"))
                .await?,
        );
    }
    Ok(found)
}

async fn open_one(
    link: &Link,
    key: &str,
    partitions: usize,
    epoch: &str,
    salt: &str,
    mode: &[&str],
) -> Result<Opened, StoreError> {
    let mut command = Cmd::new();
    command
        .arg("EVAL")
        .arg(OPEN)
        .arg(1)
        .arg(key)
        .arg(LAYOUT)
        .arg(partitions);
    command.arg(epoch).arg(salt).arg(mode);
    let (found, split, epoch, salt, begun): (u32, u16, String, String, bool) =
        link.query(Lane::Fast, &command).await?;
    if found > LAYOUT {
        return Err(StoreError::NewerLayout {
            store: STORE.to_owned(),
            found,
            known: LAYOUT,
        });
    }
    if usize::from(split) != partitions {
        let configured = u16::try_from(partitions).unwrap_or(u16::MAX);
        return Err(StoreError::OtherPartitions {
            store: STORE.to_owned(),
            found: split,
            configured,
        });
    }
    Ok(Opened { epoch, salt, begun })
}

fn random_epoch() -> String {
    Epoch::new(Uuid::new_v4().as_u64_pair().1).to_string()
}

fn random_salt() -> String {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(Uuid::new_v4().as_bytes())
        .update(Uuid::new_v4().as_bytes());
    hasher.finalize().to_hex().to_string()
}
