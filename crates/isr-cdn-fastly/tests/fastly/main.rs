//! The connector against a model of Fastly.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behaviour;
mod limits;
mod look;
mod support;
