//! How requests that write reach the one thread that does, and how its answers come back.

use std::thread::JoinHandle;

use isr_core::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::{Failure, unavailable};
use super::group::WritingThread;
use super::options::SqliteOptions;
use super::state::State;

/// Requests that may wait for the thread; more callers than that wait for room.
const WAITING: usize = 1_024;

/// What a request works with.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) connection: &'a Connection,
    /// Changes are stored together with those of the whole group.
    pub(super) state: State,
    /// In microseconds since 1970.
    pub(super) now: i64,
    pub(super) options: &'a SqliteOptions,
}

/// The thread that writes. Dropping it waits until all that was accepted has been done.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(thread: WritingThread) -> Result<Self, StoreError> {
        let (requests, waiting) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("edge-isr-store".to_owned())
            .spawn(move || thread.serve(waiting))
            .map_err(unavailable)?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Has `act` done in a transaction of its own, as far as its failure is concerned, and waits until
    /// it is as durable as the store promises. It may be called more than once: what an earlier call
    /// did has then been taken back.
    pub(super) async fn write<R, F>(&self, act: F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: FnMut(&mut Write<'_>) -> Result<R, Failure> + Send + 'static,
    {
        let stopped = || unavailable("its writing thread has stopped");
        let (reply, answer) = oneshot::channel();
        let call = Box::new(Call {
            act,
            outcome: None,
            reply,
        });
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.send(call).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the embedded store's writing thread panicked");
        }
    }
}

/// Something to be done in a transaction.
pub(super) trait Request: Send {
    /// Does it and keeps the outcome; says whether it succeeded.
    fn attempt(&mut self, write: &mut Write<'_>) -> bool;

    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;

    /// The transaction is lost, whatever the outcome was.
    fn fail(&mut self, failure: Failure);

    /// Tells whoever waits for the outcome.
    fn answer(self: Box<Self>);
}

struct Call<R, F> {
    act: F,
    outcome: Option<Result<R, Failure>>,
    reply: oneshot::Sender<Result<R, StoreError>>,
}

impl<R, F> Request for Call<R, F>
where
    R: Send,
    F: FnMut(&mut Write<'_>) -> Result<R, Failure> + Send,
{
    fn attempt(&mut self, write: &mut Write<'_>) -> bool {
        let outcome = (self.act)(write);
        let succeeded = outcome.is_ok();
        self.outcome = Some(outcome);
        succeeded
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn fail(&mut self, failure: Failure) {
        if !matches!(self.outcome, Some(Err(_))) {
            self.outcome = Some(Err(failure));
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // Whoever asked may have stopped waiting, which leaves it done all the same.
            let _ = self.reply.send(outcome.map_err(StoreError::from));
        }
    }
}
