//! The batched, throttled crawler that refills the caches of edge-isr after a purge.
//!
//! [`Crawler`] is the [`Warmer`](isr_core::Warmer) of the engine. It asks for pages as a visitor
//! would, so that the copies visitors will get are the ones that are made, and it is polite to
//! whoever it asks:
//!
//! - To each origin that it contacts, however many calls are under way, at most so many requests
//!   run at once and so many begin in a second ([`CrawlerOptions`]). One that answers with
//!   `Retry-After` is left alone for that long, by all of them.
//! - Within those limits it follows how each origin fares: more at once as long as pages take no
//!   longer for it, fewer when they do or when it refuses, and one now and then while it is out of
//!   order.
//! - The same page in the same place is asked for once, whether it is named twice in a call or is
//!   on its way for another call already.
//! - What failed for a passing reason is tried again after a random delay, a few times. A page that
//!   is gone, or has moved, has been answered; where to it moved is not followed.
//! - Only configured sites are asked for, and every request carries the signed
//!   [`X-Edge-ISR-Warmup`](isr_core::WARMUP_HEADER) header, by which the edge and the application
//!   tell it from anybody else's.
//!
//! A page is *verified* when the response tells, in the `X-Edge-ISR-Generation` field by which the
//! built-in edge answers warm-ups, that it was rendered under the generation asked for or a later
//! one. Everything less is tried again and, in the end, reported as warmed but not verified.
//!
//! TLS goes through rustls with the provider of the process, which whoever assembles the program
//! installs once before the first crawler is made.

mod batch;
mod breaker;
mod crawler;
mod fetch;
mod in_flight;
mod limit;
mod options;
mod origin;
mod overview;
mod permits;
mod retry;
mod signal;
#[cfg(test)]
mod simulation;
mod verdict;

pub use crawler::{Crawler, CrawlerError};
pub use options::{CrawlerOptions, InvalidOption};
