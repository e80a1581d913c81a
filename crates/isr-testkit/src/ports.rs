//! Ports that stay free while whoever listens there is not there yet, or away.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;

use parking_lot::Mutex;

/// Below the ports that Linux gives to outgoing connections and to listeners that name none (from 32,768), one
/// of which could else take a port between its choice and its use.
const PORTS: Range<u16> = 12_000..32_000;

static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port of the loopback interface where nobody listens, handed out once in the life of this process.
///
/// # Panics
///
/// When every port that was tried is taken.
#[must_use]
pub fn free_port() -> u16 {
    let mut taken = TAKEN.lock();
    let taken = taken.get_or_insert_default();
    // Each `RandomState` has keys of its own: two processes do not try the same ports in the same order.
    let random = RandomState::new();
    let tries = (0..10_000_u32).map(|attempt| {
        let among = u64::from(PORTS.end - PORTS.start);
        PORTS.start
            + u16::try_from(random.hash_one(attempt) % among).expect("less than the range's length")
    });
    tries
        .filter(|port| !taken.contains(port))
        .find(|port| TcpListener::bind(loopback(*port)).is_ok())
        .inspect(|port| {
            taken.insert(*port);
        })
        .expect("the loopback interface has a free port")
}

/// A port of the loopback interface.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
