//! A server on a real socket whose every answer is the test's to give, when it wants to.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// Accepts connections and hands the requests to the test.
pub(crate) struct Server {
    /// Where it listens, as `http://127.0.0.1:port`.
    pub(crate) address: String,
    requests: mpsc::UnboundedReceiver<Exchange>,
}

/// One request that waits for its answer.
pub(crate) struct Exchange {
    /// The request's head, with its lines ended by CR LF.
    pub(crate) head: String,
    answer: oneshot::Sender<Answer>,
    left: oneshot::Receiver<()>,
}

enum Answer {
    Whole(Vec<u8>),
    BrokenOff(Vec<u8>),
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, sender.clone()));
            }
        });
        Self { address, requests }
    }

    /// The next request, once it is there.
    pub(crate) async fn next(&mut self) -> Exchange {
        self.requests
            .recv()
            .await
            .expect("the server runs as long as the test")
    }

    /// Whether a request is there that [`Server::next`] has not returned.
    pub(crate) fn is_asked(&self) -> bool {
        !self.requests.is_empty()
    }
}

impl Exchange {
    /// The request line's target.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// A field's value; empty when there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or_default()
    }

    /// Answers with a status, fields that each end in CR LF, and a body.
    pub(crate) fn answer(self, status: u16, fields: &str, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 {status} -\r\ncontent-length: {}\r\n{fields}\r\n",
            body.len()
        );
        let _ = self
            .answer
            .send(Answer::Whole([head.as_bytes(), body].concat()));
    }

    /// Answers with as much as there is here, and closes the connection.
    pub(crate) fn break_off(self, response: &str) {
        let _ = self
            .answer
            .send(Answer::BrokenOff(response.as_bytes().to_vec()));
    }

    /// Waits until the client has closed the connection, without an answer.
    pub(crate) async fn left(self) {
        self.left
            .await
            .expect("the connection is watched until it ends");
    }
}

async fn serve(mut connection: TcpStream, requests: mpsc::UnboundedSender<Exchange>) {
    while let Some(head) = read_head(&mut connection).await {
        let (answer, mut answered) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        if requests.send(Exchange { head, answer, left }).is_err() {
            return;
        }
        let mut byte = [0];
        let answer = tokio::select! {
            answer = &mut answered => answer,
            _ = connection.read(&mut byte) => {
                let _ = leave.send(());
                return;
            }
        };
        let written = match answer {
            Ok(Answer::Whole(response)) => connection.write_all(&response).await,
            Ok(Answer::BrokenOff(response)) => {
                let _ = connection.write_all(&response).await;
                return;
            }
            // Nobody will answer, so the client has to run out of patience.
            Err(_) => {
                let _ = connection.read(&mut byte).await;
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

async fn read_head(connection: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = connection.read_u8().await.ok()?;
        head.push(byte);
    }
    String::from_utf8(head).ok()
}
