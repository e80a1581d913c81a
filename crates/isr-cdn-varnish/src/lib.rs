//! The connector by which edge-isr purges Varnish: pages by URL, tags by `vmod_xkey`, and prefixes, hosts and
//! everything by bans.
//!
//! Varnish understands only what its VCL tells it to, so it has to load `docs/connectors/varnish.vcl`. What it
//! answers it has done: a purge is complete with its answer, except for bans, which count from their answer on
//! and are carried out when what they are about is next looked at. Each machine is a connector of its own.

mod answer;
mod capabilities;
mod connector;
mod options;
mod request;

pub use connector::{KIND, connect};
pub use options::{HeaderNames, Options};
