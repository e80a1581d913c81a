//! Ports that stay free while whoever listens there is away.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::bail;
use rand::RngExt;

/// Below the ports that Linux gives to outgoing connections, one of which could else take the port of a
/// process that was killed before it is back.
const FROM: u16 = 12_000;
const TO: u16 = 32_000;

/// Ports of the loopback interface, each handed out once.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    taken: Vec<u16>,
}

impl Ports {
    /// A port that nobody listened at a moment ago.
    pub(crate) fn take(&mut self) -> anyhow::Result<u16> {
        let mut random = rand::rng();
        for _ in 0..10_000 {
            let port = random.random_range(FROM..TO);
            if !self.taken.contains(&port) && TcpListener::bind(address(port)).is_ok() {
                self.taken.push(port);
                return Ok(port);
            }
        }
        bail!("the loopback interface has no free port from {FROM} to {TO}")
    }
}

/// A port of the loopback interface.
pub(crate) fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
