//! The connector against a model of CloudFront, and against moto.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behaviour;
mod distribution;
mod in_progress;
mod moto;
mod support;
