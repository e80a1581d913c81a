//! The shared HTTP cache built into edge-isr, as a tower service.
//!
//! [`Edge`] stands in front of an [`Origin`]: any web application over HTTP ([`HttpOrigin`]), or a
//! service in the same process ([`ServiceOrigin`]). It keeps what the origin, or a [`Rule`], says may
//! be shared, binds each page to the tags of the data it shows, and compares the generation of every
//! stored response with what has been revalidated since, on every hit. So a page whose data has
//! changed is never served as fresh, and one that was revalidated hard is never served at all.
//!
//! What it does with a request is decided in one table without I/O, after RFC 9111 (caching), RFC
//! 5861 (stale responses), RFC 9211 (`Cache-Status`) and RFC 9213 (targeted fields). Whatever takes no
//! part in caching passes through: every method, uploads, ranges, upgrades, and streams of any length.
//!
//! - One request to the origin for a page, however many visitors wait for it. Whatever turns out to
//!   be private goes to nobody but the visitor it was made for.
//! - Bodies reach the visitor while they are stored; larger ones than the store takes just pass, and so
//!   do those for which there is no room among the bodies on their way there.
//! - Requests under way at the origin are bounded, whoever asks and whoever has left.
//! - Responses served stale, asked for by another URL than the page's own, or superseded while they
//!   were rendered tell shared caches in front not to keep them.
//! - When the store is away pages are still served, with a short shared lifetime.
//!
//! A hit is answered without a task or a lock held across anything, in 16 allocations for a page of
//! the site with a query: its URL, the copy of the stored fields, and the fields of the moment. The body
//! is shared, never copied.
//!
//! Nothing is global: everything the cache works with is given to it as [`EdgeParts`]. Somebody else
//! feeds its [`isr_core::Sender`] with the store's news.

mod admission;
mod ask;
mod binding;
mod body;
mod cache_status;
mod collapse;
mod collecting;
mod connector;
mod decide;
mod edge;
mod fetch;
mod fields;
mod forwarding;
mod http_origin;
mod options;
mod origin;
mod outage;
mod partial;
mod pass;
mod patient;
mod pattern;
mod places;
mod present;
mod pump;
mod purge;
mod rule;
mod serve;
mod serving;
mod storage;
mod stored;
mod template;
mod validating;
mod visit;

pub use body::{BodyError, EdgeBody, OriginBody, RequestBody};
pub use connector::EdgeConnector;
pub use edge::{Edge, EdgeFuture, EdgeParts};
pub use fields::EDGE_CDN_CACHE_CONTROL;
pub use http_origin::{HttpOrigin, HttpOriginOptions, InvalidOrigin};
pub use ipnet::IpNet;
pub use options::{Downstream, EdgeOptions, NoHosts, PurgeAccess, UnknownHost};
pub use origin::{Origin, OriginError, ServiceOrigin};
pub use pattern::{InvalidPattern, Pattern};
pub use rule::{MissingCapture, Rule};
pub use serve::{ServeOptions, serve};
pub use template::{InvalidTemplate, TagTemplate};
pub use visit::Peer;
