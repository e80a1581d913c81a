//! What stands between clients and a Redis server, and changes what its scripts take for the time.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// What a script asks the server for to learn the time. It answers with seconds and microseconds.
const REAL_TIME: &str = "'TIME'";

/// A listener that passes on to a server what clients send, and the scripts among it with another question for
/// the time. It has a thread of its own, so that it outlives the test that made it where several share it.
#[derive(Debug)]
pub(crate) struct Gate {
    runtime: Option<Runtime>,
}

impl Gate {
    /// `hand_time` is what scripts ask for instead of the time.
    pub(crate) fn open(listener: std::net::TcpListener, server: u16, hand_time: &str) -> Self {
        let scripts = Scripts::new(server, hand_time);
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            accept(listener, server, scripts).await;
        });
        Self {
            runtime: Some(runtime),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // It cannot be waited for where it is dropped within another.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, server: u16, scripts: Scripts) {
    while let Ok((client, _)) = listener.accept().await {
        let scripts = scripts.clone();
        tokio::spawn(async move {
            // A connection that breaks is the client's to notice.
            let _ = serve(client, server, scripts).await;
        });
    }
}

async fn serve(client: TcpStream, server: u16, scripts: Scripts) -> io::Result<()> {
    client.set_nodelay(true)?;
    let server = connect(server).await?;
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    tokio::select! {
        ended = forward(from_client, to_server, &scripts) => ended,
        ended = tokio::io::copy(&mut from_server, &mut to_client) => ended.map(drop),
    }
}

async fn connect(server: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Passes commands on, and the scripts among them changed.
async fn forward(from: OwnedReadHalf, mut to: OwnedWriteHalf, scripts: &Scripts) -> io::Result<()> {
    let mut from = BufReader::new(from);
    while let Some(mut command) = read_command(&mut from).await? {
        match command.as_mut_slice() {
            [eval, code, ..] if is(eval, "EVAL") => *code = scripts.change(code).await?,
            [evalsha, sha, ..] if is(evalsha, "EVALSHA") => scripts.rename(sha),
            _ => {}
        }
        to.write_all(&write_command(&command)).await?;
    }
    Ok(())
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// The SHA of every script as clients know it, and as it is here.
#[derive(Clone, Debug)]
struct Scripts {
    server: u16,
    hand_time: Arc<str>,
    names: Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>,
}

impl Scripts {
    fn new(server: u16, hand_time: &str) -> Self {
        Self {
            server,
            hand_time: hand_time.into(),
            names: Arc::default(),
        }
    }

    async fn change(&self, code: &[u8]) -> io::Result<Vec<u8>> {
        let text = String::from_utf8_lossy(code);
        let changed = text.replace(REAL_TIME, &self.hand_time).into_bytes();
        let names = (self.sha_of(code).await?, self.sha_of(&changed).await?);
        self.names.lock().insert(names.0, names.1);
        Ok(changed)
    }

    fn rename(&self, sha: &mut Vec<u8>) {
        if let Some(name) = self.names.lock().get(sha) {
            sha.clone_from(name);
        }
    }

    /// The server knows how, so nothing here has to.
    async fn sha_of(&self, code: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = BufReader::new(connect(self.server).await?);
        let ask = b"return redis.sha1hex(ARGV[1])".to_vec();
        let command = [b"EVAL".to_vec(), ask, b"0".to_vec(), code.to_vec()];
        stream.write_all(&write_command(&command)).await?;
        read_bytes(&mut stream).await
    }
}

/// A command as clients send it: an array of strings. `None` at the end of the connection.
async fn read_command(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<Vec<u8>>>> {
    let mut line = String::new();
    if from.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut command = Vec::new();
    for _ in 0..number(&line, '*')? {
        command.push(read_bytes(from).await?);
    }
    Ok(Some(command))
}

async fn read_bytes(from: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    let mut bytes = vec![0; number(&line, '$')? + 2];
    from.read_exact(&mut bytes).await?;
    bytes.truncate(bytes.len() - 2);
    Ok(bytes)
}

fn number(line: &str, kind: char) -> io::Result<usize> {
    let number = line.trim_end().strip_prefix(kind);
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{line:?} is not expected")))
}

fn write_command(command: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend(b"\r\n");
    }
    bytes
}
