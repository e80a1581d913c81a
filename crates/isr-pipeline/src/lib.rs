//! The revalidation state machine of edge-isr: resolve, plan, purge, confirm, warm, settle.
//!
//! A [`Worker`] takes revalidations from the store's queue and carries each through its phases:
//!
//! 1. **Purging.** The tiers one after another, nearest the origin first: a tier that is refilled must
//!    find fresh copies beneath it. What a tier cannot be purged by is resolved to pages, in chunks.
//!    A tier that can say when it is done is waited for. Before any is called, a revalidation that
//!    concerns more pages than the site's [`Thresholds`] say is *held* for somebody's word, or softened.
//! 2. **Warming.** The pages are requested so that visitors find them fresh.
//! 3. **Settling.** Every sender is asked, through its reports, whether anything that the
//!    revalidation concerned was still on its way while the tiers were purged. Such pages are purged
//!    once more, after the time a cache may need to store them. Only then is it *settled*.
//!
//! How far it has come is saved as it goes, so that another worker can go on from there. A
//! [`Follower`] keeps a process that sends responses up to date with the store, and an [`Intake`]
//! accepts revalidations.
//!
//! This crate knows the seams of `isr-core` and nothing else, so it runs whole under a clock and with
//! stores and tiers that a test holds in its hand.

mod backoff;
mod beginnings;
mod client;
mod clock;
mod confirm;
mod done;
mod escalation;
mod follower;
mod gathered;
mod housekeeping;
mod intake;
mod introductions;
mod last_word;
mod options;
mod outage;
mod page_history;
mod pages;
mod plan;
mod purge;
mod replica;
mod returning;
mod revalidation;
mod roll_call;
mod settle;
mod under_way;
mod wait;
mod walk;
mod warm;
mod weigh;
mod worker;

pub use self::beginnings::OnHistoryLost;
pub use self::clock::TokioClock;
pub use self::follower::{Follower, FollowerOptions};
pub use self::housekeeping::Housekeeper;
pub use self::intake::Intake;
pub use self::options::WorkerOptions;
pub use self::page_history::{Concerning, PageHistory, moved_at, page_history};
pub use self::plan::{Plan, TierPlan, plan};
pub use self::wait::{Awaited, await_receipt};
pub use self::weigh::Thresholds;
pub use self::worker::{Parts, Worker};
