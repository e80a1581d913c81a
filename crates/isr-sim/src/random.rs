//! Everything random in a run comes from its seed, in streams of their own: what one part of the run draws,
//! or no longer draws because a fault is switched off, changes nothing for the others.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The stream of a name and a number.
pub(crate) fn stream(seed: u64, name: &str, number: u64) -> StdRng {
    // FNV-1a: the same on every machine and in every release.
    let bytes = name.bytes().chain(number.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash)
}

pub(crate) const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A duration of whole milliseconds below `end`.
pub(crate) fn below(random: &mut StdRng, end: u64) -> Duration {
    millis(random.random_range(0..end))
}
