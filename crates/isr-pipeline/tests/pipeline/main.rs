//! The pipeline with its real store in memory, and model tiers and crawler around it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod beginnings;
mod each_once;
mod held;
mod milestones;
mod page_histories;
mod phases;
mod planning;
mod recaching;
mod refused;
mod replica;
mod returned;
mod scheduled;
mod settling;
mod softened;
mod support;
