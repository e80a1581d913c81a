//! Ports that stay free while whoever listens there is not there yet, or away.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;

use parking_lot::Mutex;

/// Below the ports that Linux gives to outgoing connections and to listeners that name none (from 32,768), one
/// of which could else take a port between its choice and its use.
const PORTS: Range<u16> = 12_000..32_000;

/// Of each port that was handed out, its namesake of UDP: while this process lives, no other one can take that, so no
/// two test processes are given the same port, whoever listens there when.
static TAKEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port of the loopback interface where nobody listens, handed out once in the life of this process, and to no
/// other process that asks here meanwhile.
///
/// # Panics
///
/// When every port that was tried is taken.
#[must_use]
pub fn free_port() -> u16 {
    // Each `RandomState` has keys of its own: two processes do not try the same ports in the same order.
    let random = RandomState::new();
    let tries = (0..10_000_u32).map(|attempt| {
        let among = u64::from(PORTS.end - PORTS.start);
        PORTS.start
            + u16::try_from(random.hash_one(attempt) % among).expect("less than the range's length")
    });
    let mut free = tries.filter_map(|port| {
        let namesake = UdpSocket::bind(loopback(port)).ok()?;
        TcpListener::bind(loopback(port)).ok()?;
        Some((port, namesake))
    });
    let (port, namesake) = free.next().expect("the loopback interface has a free port");
    TAKEN.lock().push(namesake);
    port
}

/// A port of the loopback interface.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
