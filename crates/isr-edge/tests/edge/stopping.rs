//! A server that stops: what it waits for, and what it does not; and what counts as a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use isr_edge::{ServeOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::origin::{Script, ScriptedOrigin, Seen, Step};
use crate::support::{Setup, Site, until};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server of its own, and what stops it.
struct Server {
    site: Site,
    stop: Arc<Notify>,
    task: JoinHandle<bool>,
}

impl Server {
    async fn start(options: ServeOptions) -> Self {
        let answer = |seen: &Seen| match seen.target.as_str() {
            "/socket" => {
                let switch = "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                Script::raw(switch).then(Step::Echo)
            }
            _ => Script::ok(&[], "body"),
        };
        let mut site = Setup::new()
            .start(ScriptedOrigin::start(answer).await)
            .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        site.address = listener.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let edge = site.edge.clone();
        let task =
            tokio::spawn(async move { serve(listener, edge, options, stopped.notified()).await });
        Self { site, stop, task }
    }

    async fn socket(&self) -> TokioIo<Upgraded> {
        let ask = self.site.ask("/socket").header("connection", "upgrade");
        let response = ask.header("upgrade", "websocket").open().await;
        TokioIo::new(hyper::upgrade::on(response).await.unwrap())
    }

    /// Stops it, and waits until it accepts no more.
    async fn stop(&self) {
        self.stop.notify_one();
        let address: SocketAddr = self.site.address;
        until(|| std::net::TcpStream::connect(address).is_err()).await;
    }

    /// Whether everything had ended when it did.
    async fn ended(self) -> bool {
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the server waits for nothing").unwrap()
    }
}

async fn speak(socket: &mut TokioIo<Upgraded>) {
    for _ in 0..50 {
        socket.write_all(b"hello").await.unwrap();
        let mut echo = [0; 5];
        socket.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"hello");
    }
}

#[tokio::test]
async fn an_upgraded_connection_counts_as_one_until_it_ends() {
    let server = Server::start(ServeOptions {
        most_connections: 1,
        ..ServeOptions::default()
    })
    .await;
    let mut socket = server.socket().await;
    speak(&mut socket).await;
    let next = tokio::spawn(server.site.get_owned("/"));
    speak(&mut socket).await;
    assert_eq!(server.site.origin.count(), 1, "the next one has to wait");
    drop(socket);
    let answer = tokio::time::timeout(PATIENCE, next).await;
    assert_eq!(answer.expect("it is accepted now").unwrap().text, "body");
    server.task.abort();
}

#[tokio::test]
async fn a_server_that_stops_waits_for_upgraded_connections() {
    let server = Server::start(ServeOptions::default()).await;
    let mut socket = server.socket().await;
    speak(&mut socket).await;
    server.stop().await;
    speak(&mut socket).await;
    assert!(!server.task.is_finished());
    drop(socket);
    assert!(server.ended().await);
}

#[tokio::test]
async fn an_upgraded_connection_is_not_waited_for_beyond_the_grace() {
    let server = Server::start(ServeOptions {
        grace: Duration::from_millis(20),
        ..ServeOptions::default()
    })
    .await;
    let mut socket = server.socket().await;
    speak(&mut socket).await;
    server.stop().await;
    assert!(!server.ended().await);
}

#[tokio::test]
async fn a_request_whose_head_has_not_come_does_not_hold_up_a_server_that_stops() {
    let whole = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
    let later = format!("{whole}GET /half HTTP/1.1\r\nho");
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // An empty SETTINGS frame, and the beginning of a HEADERS frame (RFC 9113 §4.1).
    let stream = format!("{preface}\0\0\0\u{4}\0\0\0\0\0\0\0\u{40}\u{1}\u{5}\0\0\0\u{1}half");
    let rows = [
        ("", 0),
        ("GET /half HT", 0),
        ("GET /half HTTP/1.1\r\nhost: a.exam", 0),
        (&later, 1),
        ("PRI * HTTP/2", 0),
        (preface, 0),
        (&stream, 0),
    ];
    for (sent, answered) in rows {
        let hour = Duration::from_hours(1);
        let server = Server::start(ServeOptions {
            head_timeout: hour,
            grace: hour,
            ..ServeOptions::default()
        })
        .await;
        let mut connection = TcpStream::connect(server.site.address).await.unwrap();
        connection.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        for _ in 0..answered {
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
        }
        // What came before has been read when a later request was answered.
        assert_eq!(server.site.get("/").await.text, "body");
        server.stop().await;
        assert!(server.ended().await, "{sent:?}");
    }
}
