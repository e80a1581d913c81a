//! The cache on real sockets, in front of a scripted origin.

// Within `cfg(test)`, helpers may unwrap as tests do.
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;

#[cfg(test)]
mod caching;
#[cfg(test)]
mod collapsing;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod crowding;
#[cfg(test)]
mod degraded;
#[cfg(test)]
mod passing;
#[cfg(test)]
mod purge_access;
#[cfg(test)]
mod purging;
#[cfg(test)]
mod revalidating;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod stopping;
#[cfg(test)]
mod tiers;
#[cfg(test)]
mod tls;
