//! A stretch of cable between two processes, which can be cut, stall, or lead nowhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Bytes taken from one side before they are passed on.
const CHUNK: usize = 16 * 1024;

/// Passes bytes on between whoever connects and one address.
#[derive(Debug)]
pub(crate) struct Link {
    port: u16,
    state: Arc<State>,
    /// Ends when this is dropped.
    _accepting: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    to: SocketAddr,
    refuses: AtomicBool,
    stalled: watch::Sender<bool>,
    /// Counts the cuts.
    cuts: watch::Sender<u64>,
    open: AtomicU64,
}

impl Link {
    /// A link from `port` of the loopback interface to an address.
    pub(crate) async fn new(port: u16, to: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(crate::ports::address(port)).await?;
        let state = Arc::new(State {
            to,
            refuses: AtomicBool::new(false),
            stalled: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            open: AtomicU64::new(0),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            port,
            state,
            _accepting: accepting,
        })
    }

    /// Where it begins.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Breaks every connection off, with what was on its way. Says how many there were.
    pub(crate) fn cut(&self) -> u64 {
        let open = self.state.open.load(Ordering::Relaxed);
        self.state.cuts.send_modify(|cuts| *cuts += 1);
        open
    }

    /// Passes nothing on for a while, and drops nothing.
    pub(crate) async fn stall(&self, during: Duration) {
        self.state.stalled.send_replace(true);
        tokio::time::sleep(during).await;
        self.state.stalled.send_replace(false);
    }

    /// Cuts every connection and takes no new one for a while.
    pub(crate) async fn refuse(&self, during: Duration) {
        self.state.refuses.store(true, Ordering::SeqCst);
        self.cut();
        tokio::time::sleep(during).await;
        self.state.refuses.store(false, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        // Out of file descriptors, say: what is open must not suffer for it.
        let Ok((near, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if !state.refuses.load(Ordering::SeqCst) {
            tokio::spawn(carry(near, Arc::clone(&state)));
        }
    }
}

/// Carries one connection until both sides have ended it, or it is cut.
async fn carry(near: TcpStream, state: Arc<State>) {
    let mut cuts = state.cuts.subscribe();
    state.open.fetch_add(1, Ordering::Relaxed);
    tokio::select! {
        biased;
        _ = cuts.changed() => {}
        _ = pass_both(near, &state) => {}
    }
    state.open.fetch_sub(1, Ordering::Relaxed);
}

async fn pass_both(near: TcpStream, state: &State) -> std::io::Result<()> {
    // Connecting takes the way too.
    unstalled(state).await;
    let far = TcpStream::connect(state.to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::try_join!(pass(near_in, far_out, state), pass(far_in, near_out, state))?;
    Ok(())
}

/// Passes bytes on in one direction. An error ends the whole connection; an end, this direction.
async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    state: &State,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from.read(&mut chunk).await?;
        unstalled(state).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..count]).await?;
    }
}

async fn unstalled(state: &State) {
    let mut stalled = state.stalled.subscribe();
    // The sender lives in the same state, so there is always another value to wait for.
    let _ = stalled.wait_for(|stalled| !stalled).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Ports;

    /// A server that sends back what it gets, and a link to it.
    async fn echo() -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let port = Ports::default().take().unwrap();
        Link::new(port, address).await.unwrap()
    }

    async fn connect(link: &Link) -> TcpStream {
        let address = crate::ports::address(link.port());
        TcpStream::connect(address).await.unwrap()
    }

    async fn say(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_u8(7).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn bytes_pass_until_the_link_is_cut() {
        let link = echo().await;
        let mut stream = connect(&link).await;
        assert_eq!(say(&mut stream).await.unwrap(), 7);
        assert_eq!(link.cut(), 1);
        assert!(say(&mut stream).await.is_err());
        let mut another = connect(&link).await;
        assert_eq!(say(&mut another).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_a_stall_holds_up_arrives_after_it() {
        let link = echo().await;
        let mut stream = connect(&link).await;
        assert_eq!(say(&mut stream).await.unwrap(), 7);
        link.state.stalled.send_replace(true);
        stream.write_u8(9).await.unwrap();
        let mut byte = [0];
        let early = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut byte)).await;
        assert!(early.is_err(), "a stalled link passed something on");
        link.state.stalled.send_replace(false);
        assert_eq!(stream.read_u8().await.unwrap(), 9);
    }

    #[tokio::test]
    async fn a_link_that_refuses_takes_no_connection() {
        let link = echo().await;
        link.state.refuses.store(true, Ordering::SeqCst);
        let mut stream = connect(&link).await;
        assert!(say(&mut stream).await.is_err());
    }
}
