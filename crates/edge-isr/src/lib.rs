//! Incremental static revalidation for any web origin: the speed of static pages, the freshness of dynamic ones.

pub mod config;
