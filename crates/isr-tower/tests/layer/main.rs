//! The layer in front of real services, on real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod pages;
mod privacy;
mod protocol;
mod revalidate;
mod tags;
mod warmup;
mod world;
