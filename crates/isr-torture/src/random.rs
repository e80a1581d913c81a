//! Everything random in a run comes from its seed, in streams of their own. What the operating system makes
//! of it is not the seed's: the same seed has the same faults at the same moments, and never the same run.

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

/// A duration of whole milliseconds from `least` to below `end`.
pub(crate) fn millis(random: &mut StdRng, least: u64, end: u64) -> Duration {
    Duration::from_millis(random.random_range(least..end))
}

/// Whether something of this chance, in a thousand, comes about.
pub(crate) fn happens(random: &mut StdRng, of_a_thousand: u32) -> bool {
    random.random_range(0..1000) < of_a_thousand
}
