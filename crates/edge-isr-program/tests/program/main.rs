//! The program as its users run it: real processes, real sockets, exit statuses and what is said.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod bad_input;
mod monitored;
mod process;
mod running;
mod shared_rate;
