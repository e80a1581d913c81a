//! Models of the services that connectors purge, and what the models share.
//!
//! A model refuses what its original refuses, so that a connector which is wrong fails against it. In
//! front of each stands a [`Front`], which keeps every request and misbehaves as a connection does.

pub mod cloudflare;
mod cloudfront;
mod fastly;
mod fault;
mod front;
mod token_bucket;
pub mod webhook;

pub use self::cloudflare::{Cloudflare, CloudflareAccount};
pub use self::cloudfront::{CloudFront, Distribution};
pub use self::fastly::{Fastly, FastlyService};
pub use self::fault::Fault;
pub use self::front::{Exchange, Front};
pub use self::token_bucket::TokenBucket;
pub use self::webhook::{Webhook, WebhookLimits};
