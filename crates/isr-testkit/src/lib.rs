//! Behaviour suites, model servers and helpers for the tests and benches of edge-isr.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clock;
pub mod connector_suite;
mod counting_origin;
pub mod fakes;
mod moto_server;
mod nginx_server;
mod ports;
mod prometheus_server;
mod redis_by_hand;
mod redis_cluster;
mod redis_gate;
mod redis_server;
mod server_program;
pub mod store_model;
pub mod store_suite;
mod timed_store;
mod varnish_server;

pub use self::clock::HandClock;
pub use self::connector_suite::{Call, ConnectorFixture};
pub use self::counting_origin::CountingOrigin;
pub use self::moto_server::MotoServer;
pub use self::nginx_server::{NginxModules, NginxServer};
pub use self::ports::{free_port, loopback};
pub use self::prometheus_server::{PrometheusServer, promtool};
pub use self::redis_by_hand::{RedisByHand, RedisSnapshot};
pub use self::redis_cluster::RedisCluster;
pub use self::redis_server::RedisServer;
pub use self::store_suite::StoreFixture;
pub use self::timed_store::{Passing, TimedStore};
pub use self::varnish_server::VarnishServer;
