//! Purges whatever there is no connector for: posts what is to be purged to a URL, as signed JSON.
//!
//! **What "done" means here**: the receiver has answered with a status of success, and so taken
//! responsibility for what it did not name as rejected.
//!
//! The connector makes one request a purge, repeats none, and holds none back: what it may ask for,
//! and how often, it says in its [`Capabilities`](isr_core::Capabilities), which are as configured.
//!
//! # The request
//!
//! ```text
//! POST /purge HTTP/1.1
//! Content-Type: application/json
//! X-Edge-ISR-Signature: t=1795358400,v1=…64 hexadecimal digits…
//!
//! {"id":"…","mode":"soft","targets":[{"tag":"post:1"},{"url":"https://www.example.com/"}]}
//! ```
//!
//! `v1` is the HMAC-SHA256 (RFC 2104, FIPS 180-4), under the shared secret, of the digits of `t`, a full
//! stop and the body as it came. `t` is the time of sending in seconds since 1970. How a receiver
//! checks both is in `docs/connectors/webhook.md`.

mod answer;
mod capabilities;
mod connector;
mod options;
mod request;
mod signature;

pub use self::connector::connect;
pub use self::options::{Kind, Options, Separator};
pub use self::signature::SIGNATURE_HEADER;

/// What a connector's `kind` is in the configuration.
pub const KIND: &str = "webhook";
