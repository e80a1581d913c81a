//! Purging an nginx on the same machine by removing its files.

mod cache_file;
mod connector;
mod folder;
mod index;
mod keeper;
mod template;

pub(crate) use connector::connect;
pub(crate) use template::Template;
