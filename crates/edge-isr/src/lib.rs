//! Incremental static revalidation for any web origin: the speed of static pages, the freshness of
//! dynamic ones.
//!
//! Pages are served from a cache. Each is bound to the *tags* of the data it shows, such as `post:42`;
//! when data changes, [`Engine::revalidate`] makes exactly the pages that show it stale, everywhere,
//! and has them warmed in the background, so that visitors neither wait nor see old data for long.
//!
//! An axum application starts an [`Engine`], puts its [`Engine::layer`] on the routes that take part,
//! and calls [`Engine::revalidate`] after it has committed a change; `examples/axum_blog.rs` is a whole
//! one. For any other origin there is the `edge-isr` program, which is this crate with a command line.
//!
//! The parts are crates of their own and appear here by their modules: [`core`] has the words everybody
//! shares, [`tower`] the layer and its extractors, [`edge`] the cache, and so on.

pub mod config;
pub mod connectors;
mod engine;
#[cfg(feature = "sqlite")]
mod late_store;
mod store_calls;
mod watched_store;

#[doc(inline)]
pub use self::engine::{
    Engine, EngineOptions, RevalidateError, SiteHandle, StartError, check_connectors, examine,
};
pub use isr_core as core;
pub use isr_edge as edge;
pub use isr_graph as graph;
pub use isr_metrics as metrics;
pub use isr_pipeline as pipeline;
pub use isr_tower as tower;
pub use isr_warm as warm;
