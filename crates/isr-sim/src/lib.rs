//! A simulation that tries to lose an invalidation.
//!
//! The workers, followers, senders, intakes and housekeepers are the real ones; the store is the one in memory,
//! which the other stores are shown to equal. Around them everything that can go wrong does: calls to the store
//! are late, lost or delivered twice, processes crash at any call, stand still or are cut off, clocks differ,
//! tiers fail. All of it comes from a seed, under simulated time, so a run that fails is the same each time.
//!
//! An observer who sees everything checks at every moment that nothing is called settled or confirmed which is
//! not, and in the end, when the faults have stopped, that no tier and no process serves anything older than
//! the data, and that no job is left.

mod cdn;
mod desk;
mod embargo;
mod fault;
mod host;
mod journal;
mod link;
mod loss;
mod many;
mod net;
mod process;
mod random;
mod reach;
mod rule;
mod scenario;
mod seen;
mod server;
mod shrink;
mod site;
mod tearing;
mod truth;
mod violation;
mod world;

pub use self::fault::{Counts, Fault, Faults};
pub use self::many::{Tally, run_many};
pub use self::rule::Rule;
pub use self::scenario::{Outcome, Scenario};
pub use self::shrink::shrink;
pub use self::violation::{Kind, Violation};

#[cfg(test)]
mod tests;
