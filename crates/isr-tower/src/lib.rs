//! The tower layer and axum extractors by which a Rust service takes part in incremental static revalidation.
