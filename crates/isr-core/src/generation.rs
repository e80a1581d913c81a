//! Generations: the counters by which the store orders revalidations.
//!
//! A store counts revalidations, separately in each partition of its pages. A response takes the
//! number its process knows *before its data is read*; binding compares that number with those of
//! the response's tags. Numbers of different partitions, and of different epochs, are never compared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::PageUrl;

/// One unbroken history of a store. It changes when the store may have lost revalidations it had
/// acknowledged, and every generation of an earlier epoch counts as superseded from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// An epoch by its number, which the store drew at random when its history began.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number the store keeps.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The part of a store that a page belongs to, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Partition(pub u16);

impl Partition {
    /// The partition of a page among `count`, the same in every process and every release.
    #[must_use]
    pub fn of(url: &PageUrl, count: u16) -> Self {
        if count <= 1 {
            return Self(0);
        }
        let hash = blake3::hash(url.as_str().as_bytes());
        let (head, _) = hash
            .as_bytes()
            .split_first_chunk::<8>()
            .expect("a hash has 32 bytes");
        let number = u64::from_le_bytes(*head) % u64::from(count);
        Self(u16::try_from(number).expect("smaller than a u16 count"))
    }

    /// The partition as an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// How many revalidations of a page's partition had been made when something was read or stored.
///
/// Written `epoch-number`, the epoch in sixteen hexadecimal digits; that is also its form in the
/// `X-Edge-ISR-Generation` request header and in the HTTP API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Generation {
    /// The history the number belongs to.
    pub epoch: Epoch,
    /// Revalidations counted so far; 0 before the first.
    pub number: u64,
}

impl Generation {
    /// Whether a response of this generation has seen everything that `other` has.
    ///
    /// Generations of different epochs have no order, so neither covers the other.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.epoch == other.epoch && self.number >= other.number
    }

    /// What a response of this generation has seen of the history that has come to `current`: nothing, where it is
    /// another one, or has not come so far.
    #[must_use]
    pub fn known_at(self, current: Self) -> Self {
        if current.covers(self) {
            self
        } else {
            Self {
                number: 0,
                ..current
            }
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl From<Generation> for String {
    fn from(generation: Generation) -> Self {
        generation.to_string()
    }
}

/// A text that is not a generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a generation: expected sixteen hexadecimal digits, a hyphen and a number")]
pub struct InvalidGeneration;

impl FromStr for Generation {
    type Err = InvalidGeneration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, number) = text.split_once('-').ok_or(InvalidGeneration)?;
        let digits = |part: &str, hex: bool| {
            part.bytes().all(|b| {
                if hex {
                    b.is_ascii_hexdigit()
                } else {
                    b.is_ascii_digit()
                }
            })
        };
        if epoch.len() != 16 || !digits(epoch, true) || number.is_empty() || !digits(number, false)
        {
            return Err(InvalidGeneration);
        }
        Ok(Self {
            epoch: Epoch(u64::from_str_radix(epoch, 16).map_err(|_| InvalidGeneration)?),
            number: number.parse().map_err(|_| InvalidGeneration)?,
        })
    }
}

impl TryFrom<String> for Generation {
    type Error = InvalidGeneration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The newest generation of every partition: how far somebody has followed a store, or how far a
/// revalidation has moved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The history the numbers belong to.
    pub epoch: Epoch,
    numbers: SmallVec<[u64; 2]>,
}

impl Position {
    /// A position from the number of every partition, in their order.
    ///
    /// # Panics
    ///
    /// When `numbers` is empty: a store has at least one partition.
    #[must_use]
    pub fn new(epoch: Epoch, numbers: impl IntoIterator<Item = u64>) -> Self {
        let numbers: SmallVec<[u64; 2]> = numbers.into_iter().collect();
        assert!(!numbers.is_empty(), "a store has at least one partition");
        Self { epoch, numbers }
    }

    /// How many partitions the store has.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        u16::try_from(self.numbers.len()).expect("partitions are counted in u16")
    }

    /// The number of one partition; 0 for a partition that the store does not have.
    #[must_use]
    pub fn number(&self, partition: Partition) -> u64 {
        self.numbers.get(partition.index()).copied().unwrap_or(0)
    }

    /// The numbers of all partitions, in order.
    #[must_use]
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// The generation that a page has at this position.
    #[must_use]
    pub fn generation_of(&self, url: &PageUrl) -> Generation {
        let partition = Partition::of(url, self.partitions());
        Generation {
            epoch: self.epoch,
            number: self.number(partition),
        }
    }

    /// Whether whoever is here has seen everything that somebody at `other` has.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.epoch == other.epoch
            && self.numbers.len() == other.numbers.len()
            && self
                .numbers
                .iter()
                .zip(&other.numbers)
                .all(|(mine, theirs)| mine >= theirs)
    }

    /// Moves every partition to where somebody of the same history is, never back. Somebody of another
    /// history is passed over.
    pub fn join(&mut self, other: &Self) {
        if self.epoch == other.epoch {
            for (mine, theirs) in self.numbers.iter_mut().zip(&other.numbers) {
                *mine = (*mine).max(*theirs);
            }
        }
    }

    /// Moves one partition to `number`, never back.
    pub fn advance(&mut self, partition: Partition, number: u64) {
        if let Some(mine) = self.numbers.get_mut(partition.index()) {
            *mine = number.max(*mine);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(epoch: u64, numbers: &[u64]) -> Position {
        Position::new(Epoch::new(epoch), numbers.iter().copied())
    }

    #[test]
    fn a_generation_reads_what_it_prints() {
        for number in [0, 7, u64::MAX] {
            let generation = Generation {
                epoch: Epoch::new(0xfeed),
                number,
            };
            assert_eq!(generation.to_string().parse(), Ok(generation));
        }
    }

    #[test]
    fn what_is_not_a_generation_is_refused() {
        let long = format!("{:016x}-99999999999999999999999", 1);
        let refused = [
            "",
            "-",
            "1-1",
            "000000000000000g-1",
            "0000000000000001-",
            "0000000000000001-+1",
            &long,
        ];
        for text in refused {
            assert_eq!(
                text.parse::<Generation>(),
                Err(InvalidGeneration),
                "{text:?}"
            );
        }
    }

    #[test]
    fn generations_of_two_epochs_never_cover_each_other() {
        let old = Generation {
            epoch: Epoch::new(1),
            number: 9,
        };
        let new = Generation {
            epoch: Epoch::new(2),
            number: 1,
        };
        assert!(!old.covers(new) && !new.covers(old));
        assert!(old.covers(Generation { number: 9, ..old }));
        assert!(!old.covers(Generation { number: 10, ..old }));
    }

    #[test]
    fn a_position_covers_another_only_in_every_partition() {
        let here = position(1, &[3, 5]);
        assert!(here.covers(&position(1, &[3, 4])));
        assert!(!here.covers(&position(1, &[4, 4])));
        assert!(!here.covers(&position(2, &[0, 0])));
        assert!(!here.covers(&position(1, &[3])));
    }

    #[test]
    fn a_position_never_moves_back() {
        let mut here = position(1, &[3, 5]);
        here.advance(Partition(1), 4);
        here.advance(Partition(0), 7);
        here.advance(Partition(9), 7);
        assert_eq!(here, position(1, &[7, 5]));
    }

    #[test]
    fn pages_spread_over_all_partitions_and_stay_where_they_are() {
        let mut seen = [0_u32; 8];
        for n in 0..400 {
            let url = PageUrl::parse(&format!("https://example.com/{n}")).unwrap();
            let partition = Partition::of(&url, 8);
            assert_eq!(partition, Partition::of(&url, 8));
            seen[partition.index()] += 1;
        }
        assert!(seen.iter().all(|&pages| pages > 20), "{seen:?}");
    }
}
