//! Connections over which nothing comes any more, and that nobody closes: a machine that lost its power, or a
//! firewall that forgot them.

use std::net::SocketAddr;

use isr_testkit::loopback;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;

/// Passes on to a server what comes, until it is muted: then the connections that there are stay open, and new
/// ones work.
struct Cable {
    address: SocketAddr,
    mutes: watch::Sender<u32>,
    _accepting: JoinSet<()>,
}

impl Cable {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(loopback(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mutes = watch::Sender::new(0);
        let sender = mutes.clone();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, port, sender.subscribe()));
            }
        });
        Self {
            address,
            mutes,
            _accepting: accepting,
        }
    }

    fn mute(&self) {
        self.mutes.send_modify(|count| *count += 1);
    }
}

async fn carry(mut near: TcpStream, port: u16, mut mutes: watch::Receiver<u32>) {
    let mut far = TcpStream::connect(loopback(port)).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
        _ = mutes.changed() => {}
    }
    // Taken, and never passed on, until the other side has had enough.
    let mut dropped = [0; 1024];
    while near.read(&mut dropped).await.is_ok_and(|count| count > 0) {}
    let _ = near.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_no_longer_answers_is_given_up() {
    let cluster = RedisCluster::start(1).await;
    let cable = Cable::to(cluster.node(0).port()).await;
    let announced = cable.address.port().to_string();
    let announce = ["CONFIG", "SET", "cluster-announce-port", &announced];
    assert_eq!(cluster.node(0).execute(&announce).await, "+OK");
    let store = open(RedisOptions {
        url: Secret::new(format!("redis://{}", cable.address)),
        response_timeout: Duration::from_millis(200),
        ..options(&cluster)
    });
    let before = store.position().await.unwrap();

    cable.mute();
    assert_eq!(in_the_end(|| store.position()).await, before);
    let receipt = receipt([Target::Url(page(1))]);
    in_the_end(|| store.invalidate(receipt.clone())).await;
}
