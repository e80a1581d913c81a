//! The connector against a real nginx, with the configuration that users are given.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behaviour;
mod behaviour_of_files;
mod cache_path;
mod location;
mod site;
