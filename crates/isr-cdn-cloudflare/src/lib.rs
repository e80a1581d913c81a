//! Purges Cloudflare: one zone, by its API, hard or soft.
//!
//! **What "done" means here**: the API has accepted the purge. Cloudflare says that it then takes
//! effect everywhere within about 150 milliseconds, and offers nothing by which to see that it has.
//!
//! The connector makes one request a purge, repeats none, and holds none back: what it may ask for,
//! and how often, it says in its [`Capabilities`](isr_core::Capabilities).

mod answer;
mod capabilities;
mod check;
mod connector;
mod fault;
mod options;
mod request;

pub use self::connector::connect;
pub use self::options::{Options, Plan};

/// What a connector's `kind` is in the configuration.
pub const KIND: &str = "cloudflare";
