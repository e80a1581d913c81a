//! The cache on real sockets, in front of a scripted origin.

#[path = "../support/mod.rs"]
mod support;

mod caching;
mod collapsing;
mod degraded;
mod passing;
mod purging;
mod revalidating;
