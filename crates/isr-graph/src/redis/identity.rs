//! Which store it is: its epoch, and the salt of its ids.

use std::collections::HashMap;
use std::sync::Arc;

use isr_core::{Epoch, Partition, Secret, StoreError};
use parking_lot::RwLock;
use uuid::Uuid;

use super::error::corrupt;

/// The layout of the keys that this release writes, and the newest that it knows. See
/// `docs/redis-layout.md`.
pub(super) const LAYOUT: u32 = 1;

/// What everybody who uses a store has to agree on.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) epoch: Epoch,
    salt: [u8; 32],
    /// Of each partition, the epoch and the beginning of its server's lineage, as the scripts compare them.
    stamps: Vec<String>,
    /// Origins by partition and number, as far as they were asked for.
    pub(super) origins: RwLock<HashMap<(Partition, u16), Arc<str>>>,
}

/// The name of a page or tag in the store.
pub(super) type Id = [u8; 8];

/// The id of the tag that every page is bound to, and that has no name.
pub(super) const ALL_PAGES: Id = [0; 8];

/// How much of a lineage the scripts compare.
const LINEAGE_COMPARED: usize = 8;

impl Identity {
    /// `lineages` are those of the servers that have the partitions, in their order.
    pub(super) fn new(epoch: &str, salt: &str, lineages: &[String]) -> Result<Self, StoreError> {
        let number = u64::from_str_radix(epoch, 16).map_err(corrupt)?;
        let salt = blake3::Hash::from_hex(salt).map_err(corrupt)?;
        let stamp = |lineage: &String| {
            let compared = lineage.get(..LINEAGE_COMPARED);
            let compared =
                compared.ok_or_else(|| corrupt("the server's master_replid is too short"))?;
            Ok(format!("{epoch}{compared}"))
        };
        Ok(Self {
            epoch: Epoch::new(number),
            salt: *salt.as_bytes(),
            stamps: lineages
                .iter()
                .map(stamp)
                .collect::<Result<_, StoreError>>()?,
            origins: RwLock::default(),
        })
    }

    /// What a script on a partition is told first.
    pub(super) fn stamp(&self, partition: Partition) -> &str {
        &self.stamps[partition.index()]
    }

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

    /// What only the commands beside the scripts need: whether the numbers of a partition are of this history,
    /// and still where they were.
    pub(super) fn owns(&self, partition: Partition, numbers: &[u8]) -> bool {
        numbers.starts_with(self.stamp(partition).as_bytes())
    }
}

pub(super) fn random_epoch() -> String {
    Epoch::new(Uuid::new_v4().as_u64_pair().1).to_string()
}

pub(super) fn random_salt() -> String {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(Uuid::new_v4().as_bytes())
        .update(Uuid::new_v4().as_bytes());
    hasher.finalize().to_hex().to_string()
}
