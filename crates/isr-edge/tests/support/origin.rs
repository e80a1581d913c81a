//! A scripted origin: raw TCP, so that it can misbehave in every way.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// A request as the origin saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

/// Something that stays shut until the test opens it.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.add_permits(1_000_000);
    }

    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// One step of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Bytes),
    Until(Gate),
    /// Sends the same bytes so many times.
    Repeat(Bytes, usize),
    /// Sends back whatever comes, until nothing does.
    Echo,
    Close,
}

/// An answer: what is sent, step by step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Vec<Step>);

impl Script {
    pub(crate) fn raw(text: impl Into<Bytes>) -> Self {
        Self(vec![Step::Send(text.into())])
    }

    /// A well-formed response.
    pub(crate) fn response(status: u16, fields: &[(&str, &str)], body: &str) -> Self {
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in fields {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        Self::raw(format!("{head}\r\n{body}"))
    }

    pub(crate) fn ok(fields: &[(&str, &str)], body: &str) -> Self {
        Self::response(200, fields, body)
    }

    pub(crate) fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// The same, only after the gate is open.
    pub(crate) fn behind(mut self, gate: &Gate) -> Self {
        self.0.insert(0, Step::Until(gate.clone()));
        self
    }
}

type Handler = dyn Fn(&Seen) -> Script + Send + Sync;

/// A scripted origin on a port of its own.
pub(crate) struct ScriptedOrigin {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ScriptedOrigin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedOrigin {
    pub(crate) async fn start(handler: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let handler: Arc<Handler> = Arc::new(handler);
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(connection(stream, Arc::clone(&handler), Arc::clone(&log)));
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().len()
    }

    /// Stops listening; connections that are open stay so.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }

    /// Waits until so many requests have come.
    pub(crate) async fn wait_for(&self, count: usize) {
        super::until(|| self.count() >= count).await;
    }
}

async fn connection(
    stream: TcpStream,
    handler: Arc<Handler>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read_request(&mut stream).await? {
        // Scripts see the requests before this one in the log, not this one.
        let script = handler(&seen);
        log.lock().push(seen);
        for step in script.0 {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await?,
                Step::Until(gate) => gate.pass().await,
                Step::Repeat(bytes, times) => {
                    for _ in 0..times {
                        stream.write_all(&bytes).await?;
                    }
                }
                Step::Echo => {
                    let mut buffer = [0; 1024];
                    loop {
                        let read = stream.read(&mut buffer).await?;
                        if read == 0 {
                            return Ok(());
                        }
                        stream.write_all(&buffer[..read]).await?;
                    }
                }
                Step::Close => return Ok(()),
            }
        }
    }
    Ok(())
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Seen>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().into(), first.next().unwrap().into());
    let fields: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = Vec::new();
    if let Some(length) = fields.get("content-length") {
        body.resize(length.parse().unwrap(), 0);
        stream.read_exact(&mut body).await?;
    } else if fields.contains_key("transfer-encoding") {
        while !body.ends_with(b"0\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await?;
            body.push(byte[0]);
        }
    }
    Ok(Some(Seen {
        method,
        target,
        fields,
        body,
    }))
}
