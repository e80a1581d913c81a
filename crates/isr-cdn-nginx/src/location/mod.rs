//! Purging by a location of the module `ngx_http_cache_purge`.

mod answer;
mod connector;
mod request;

pub(crate) use connector::connect;
