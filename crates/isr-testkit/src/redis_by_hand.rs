//! A real Redis whose time is moved by hand.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::redis_gate::Gate;
use crate::{RedisCluster, RedisServer};

/// Sets the time, and lets so much of every key's life pass. ARGV: where seconds and microseconds are kept, what
/// they are to be, and the milliseconds.
const SET_TIME: &str = "
redis.call('MSET', ARGV[1], ARGV[3], ARGV[2], ARGV[4])
if ARGV[5] == '0' then return 0 end
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[5])) end
end
return 0";

/// Answers with every key, how much of its life is left, and what is in it.
const SAVE: &str = "
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  all[#all + 1] = key
  all[#all + 1] = redis.call('PTTL', key)
  all[#all + 1] = redis.call('DUMP', key)
end
return all";

/// Puts back what was saved so many milliseconds ago, and removes everything else.
const PUT_BACK: &str = "
redis.call('FLUSHALL')
for i = 2, #ARGV, 3 do
  local left, passed = tonumber(ARGV[i + 1]), tonumber(ARGV[1])
  if left < 0 then
    redis.call('RESTORE', ARGV[i], 0, ARGV[i + 2])
  elseif left > passed then
    redis.call('RESTORE', ARGV[i], left - passed, ARGV[i + 2])
  end
end
return 0";

/// Anything shorter is not taken off the lives of keys.
const LIFE_UNIT: Duration = Duration::from_secs(1);

/// Redis servers for tests behind listeners that change one thing: scripts that ask for the time learn
/// what was set last. So leases end when a test wants them to, and nothing has to be waited for.
///
/// Only scripts see this time.
#[derive(Debug)]
pub struct RedisByHand {
    servers: Servers,
    /// Where clients connect to, for each server.
    addresses: Vec<SocketAddr>,
    /// Of each server, what the keys begin with under which it has the time.
    places: Vec<String>,
    now: Mutex<Duration>,
    _gates: Vec<Gate>,
}

/// What is behind the listeners.
#[derive(Debug)]
enum Servers {
    Single(RedisServer),
    Cluster(RedisCluster),
}

/// What the servers held at some moment.
#[derive(Debug)]
pub struct RedisSnapshot {
    taken: Duration,
    /// Of each server, every key, its life and its value in turn.
    keys: Vec<Vec<Vec<u8>>>,
}

impl RedisByHand {
    /// Starts a server, at some whole second.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub async fn start() -> Self {
        let listener = listen();
        let server = RedisServer::start().await;
        let places = vec!["hand:".to_owned()];
        Self::behind(vec![listener], Servers::Single(server), places).await
    }

    /// Starts a cluster of so many masters, whose slots must stay where they are.
    ///
    /// # Panics
    ///
    /// As [`RedisCluster::start`].
    pub async fn start_cluster(masters: usize) -> Self {
        let listeners: Vec<TcpListener> = (0..masters).map(|_| listen()).collect();
        let ports: Vec<u16> = listeners.iter().map(|one| address_of(one).port()).collect();
        let cluster = RedisCluster::start_announcing(&ports).await;
        let mut places: Vec<Option<String>> = vec![None; masters];
        // A server takes only keys of its own slots.
        for attempt in 0_u32.. {
            if places.iter().all(Option::is_some) {
                break;
            }
            let place = format!("{{hand:{attempt}}}:");
            let slot = cluster.slot_of(&place).await;
            places[cluster.owner_of(&slot, 0).await].get_or_insert(place);
        }
        let places = places.into_iter().flatten().collect();
        Self::behind(listeners, Servers::Cluster(cluster), places).await
    }

    async fn behind(listeners: Vec<TcpListener>, servers: Servers, places: Vec<String>) -> Self {
        let addresses = listeners.iter().map(address_of).collect();
        let behind = listeners.into_iter().zip(servers.all()).zip(&places);
        let gates = behind.map(|((listener, server), place)| {
            let hand_time = format!("'MGET', '{place}seconds', '{place}micros'");
            Gate::open(listener, server.port(), &hand_time)
        });
        let by_hand = Self {
            _gates: gates.collect(),
            addresses,
            servers,
            places,
            now: Mutex::new(Duration::from_secs(1_700_000_000)),
        };
        by_hand.pass(Duration::ZERO).await;
        by_hand
    }

    /// Where clients connect to: every server, with commas in between.
    #[must_use]
    pub fn url(&self) -> String {
        let urls = self.addresses.iter();
        let urls: Vec<String> = urls.map(|address| format!("redis://{address}")).collect();
        urls.join(",")
    }

    /// Forgets everything but the time.
    pub async fn clear(&self) {
        self.execute(&["FLUSHALL"]).await;
        self.pass(Duration::ZERO).await;
    }

    /// Sends one command to each server.
    ///
    /// # Panics
    ///
    /// When one of them does not answer, or with an error.
    pub async fn execute(&self, command: &[&str]) {
        let servers = self.servers.all().into_iter();
        join_all(servers.map(|server| server.words(command))).await;
    }

    /// Moves time on, in whole microseconds.
    pub async fn pass(&self, duration: Duration) {
        let now = {
            let mut now = self.now.lock();
            *now += duration;
            *now
        };
        let seconds = now.as_secs().to_string();
        let micros = now.subsec_micros().to_string();
        let lived = if duration < LIFE_UNIT {
            "0".to_owned()
        } else {
            duration.as_millis().to_string()
        };
        let set = self.servers.all().into_iter().zip(&self.places);
        let set = set.map(async |(server, place)| {
            let [for_seconds, for_micros] =
                ["seconds", "micros"].map(|name| format!("{place}{name}"));
            let head = ["EVAL", SET_TIME, "0", &for_seconds, &for_micros];
            let command = head.into_iter().chain([&*seconds, &*micros, &*lived]);
            let answer = server.execute(&command.collect::<Vec<_>>()).await;
            assert_eq!(answer, ":0", "the time was not set");
        });
        join_all(set).await;
    }

    /// What they hold.
    pub async fn save(&self) -> RedisSnapshot {
        let servers = self.servers.all().into_iter();
        let keys = servers.map(|server| server.answer(&["EVAL", SAVE, "0"]));
        RedisSnapshot {
            keys: join_all(keys).await,
            taken: *self.now.lock(),
        }
    }

    /// Puts back what they held. What came after is lost; time is not.
    pub async fn put_back(&self, snapshot: &RedisSnapshot) {
        let passed = self.now.lock().saturating_sub(snapshot.taken);
        let passed = passed.as_millis().to_string();
        let put = self.servers.all().into_iter().zip(&snapshot.keys);
        let put = put.map(async |(server, keys)| {
            let head = ["EVAL", PUT_BACK, "0", &passed].map(str::as_bytes);
            let command: Vec<&[u8]> = head
                .into_iter()
                .chain(keys.iter().map(Vec::as_slice))
                .collect();
            server.answer(&command).await
        });
        join_all(put).await;
        self.pass(Duration::ZERO).await;
    }
}

impl Servers {
    fn all(&self) -> Vec<&RedisServer> {
        match self {
            Self::Single(server) => vec![server],
            Self::Cluster(cluster) => (0..cluster.masters()).map(|n| cluster.node(n)).collect(),
        }
    }
}

fn listen() -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().unwrap()
}
