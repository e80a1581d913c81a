//! Behaviour suites, model servers and helpers for the tests and benches of edge-isr.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clock;
pub mod connector_suite;
pub mod fakes;
mod moto_server;
mod redis_server;
pub mod store_suite;

pub use self::clock::HandClock;
pub use self::connector_suite::{Call, ConnectorFixture};
pub use self::moto_server::MotoServer;
pub use self::redis_server::RedisServer;
pub use self::store_suite::StoreFixture;
