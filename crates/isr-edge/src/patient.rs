//! Connections whose peer has to say something, and to take what is sent to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How an HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that fails when its peer does not say for too long which version of HTTP it speaks, or
/// takes nothing of what is sent for too long. How long it may be silent in between is up to whoever
/// reads.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    /// Ends with the first bytes.
    opening: Option<Opening>,
    send_timeout: Duration,
    /// Runs while a write waits; made when one first does.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// A beginning that may be that of either version, which nobody else sets a limit to.
#[derive(Debug)]
struct Opening {
    /// Bytes of the preface that have come.
    matched: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Opening {
    /// Takes note of further bytes; true when the version is known, or nothing more will come.
    fn is_over(&mut self, bytes: &[u8]) -> bool {
        let expected = &PREFACE[self.matched..];
        self.matched += bytes.len();
        bytes.is_empty() || bytes.len() >= expected.len() || !expected.starts_with(bytes)
    }
}

fn timed_out<T>(reason: &str) -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, reason)))
}

impl<S: Unpin> Patient<S> {
    /// A connection that was just made. Must be called within a tokio runtime.
    pub(crate) fn new(stream: S, head_timeout: Duration, send_timeout: Duration) -> Self {
        let opening = Opening {
            matched: 0,
            deadline: Box::pin(tokio::time::sleep(head_timeout)),
        };
        Self {
            stream,
            opening: Some(opening),
            send_timeout,
            stalled: None,
        }
    }

    fn stream(&mut self) -> Pin<&mut S> {
        Pin::new(&mut self.stream)
    }

    /// Hands on the result of a write, or gives up on one that waits.
    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.send_timeout;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        timed_out("the peer takes nothing of what is sent to it")
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.stream().poll_read(context, buffer);
        let Some(opening) = &mut self.opening else {
            return read;
        };
        if read.is_pending() {
            ready!(opening.deadline.as_mut().poll(context));
            return timed_out("the peer says nothing");
        }
        if opening.is_over(&buffer.filled()[before..]) {
            self.opening = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write_vectored(context, slices);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream().poll_flush(context);
        self.judge(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = self.stream().poll_shutdown(context);
        self.judge(context, closed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A connection, and its peer's end of it.
    fn connection(buffer: usize) -> (Patient<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(buffer);
        (Patient::new(ours, PATIENCE, PATIENCE), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_has_to_say_which_version_it_speaks() {
        let rows: [(&[u8], bool); 6] = [
            (b"", false),
            (b"P", false),
            (b"PRI * HTTP/2.0\r\n", false),
            (PREFACE, true),
            (b"PO", true),
            (b"G", true),
        ];
        for (said, known) in rows {
            let (mut patient, mut theirs) = connection(64);
            for byte in said {
                theirs.write_u8(*byte).await.unwrap();
                patient.read_u8().await.unwrap();
            }
            let next = tokio::time::timeout(PATIENCE * 2, patient.read_u8()).await;
            let given_up = next.is_ok_and(|read| read.is_err());
            assert_eq!(given_up, !known, "{}", said.escape_ascii());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up_on() {
        let (mut patient, _theirs) = connection(4);
        let error = patient.write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_slow_or_sent_nothing_is_not() {
        let (mut patient, mut theirs) = connection(4);
        theirs.write_all(b"GET").await.unwrap();
        patient.read_exact(&mut [0; 3]).await.unwrap();
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            for _ in 0..4 {
                tokio::time::sleep(PATIENCE / 2).await;
                let mut piece = [0; 4];
                let length = theirs.read(&mut piece).await.unwrap();
                all.extend_from_slice(&piece[..length]);
            }
            tokio::time::sleep(PATIENCE * 2).await;
            theirs.write_all(b"!").await.unwrap();
            all
        });
        patient.write_all(b"four times four.").await.unwrap();
        assert_eq!(patient.read_u8().await.unwrap(), b'!');
        assert_eq!(reading.await.unwrap(), b"four times four.");
    }
}
