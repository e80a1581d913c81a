//! The tower layer and axum extractors by which a Rust service takes part in incremental static
//! revalidation.
//!
//! [`IsrLayer`] opts routes in with a policy and tags. A handler names what else its page shows
//! through [`Page`], and one that changes data asks for a revalidation through [`Revalidate`], after
//! its transaction has committed.
//!
//! What the layer does for a GET or HEAD of an opted-in route:
//!
//! 1. It takes the page's generation *before* the handler is called, and so before any data is read.
//! 2. It judges the response. What is private, an error, or has a `Cache-Control` of its own is
//!    never made into something that shared caches may keep.
//! 3. It gives the response a strong entity tag, made from its body.
//! 4. It binds the page to its tags before the first byte leaves. When something the page shows was
//!    revalidated in the meantime, the response is superseded: it leaves as `no-store`, and its page
//!    is queued again. When the store does not answer, it leaves with a short lifetime.
//! 5. It writes lifetimes and tags as each tier reads them, and answers 304 to whoever has the page.
//! 6. It keeps the response's flight until the last byte has left.

mod arrive;
mod bind;
mod body;
mod depart;
mod judge;
mod layer;
mod page;
mod parts;
mod rejection;
mod revalidate;
mod route;
mod service;
mod site;
mod validate;

pub use self::layer::IsrLayer;
pub use self::page::Page;
pub use self::parts::{IsrOptions, IsrParts};
pub use self::rejection::Unavailable;
pub use self::revalidate::{Revalidate, RevalidateError};
pub use self::service::IsrService;
pub use self::site::Site;
