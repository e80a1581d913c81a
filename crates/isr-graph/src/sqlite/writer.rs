//! The one thread that writes, and how it puts requests that wait together into one transaction.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use isr_core::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::at_risk::Risk;
use super::failure::{Failure, unavailable};
use super::options::SqliteOptions;
use super::state::State;

/// Requests that may wait for the thread; more callers than that wait for room.
const WAITING: usize = 1_024;

/// Requests that share one transaction.
const GROUP: usize = 256;

/// How long requests join a transaction. Nobody else can write meanwhile.
const GROUP_TIME: Duration = Duration::from_millis(20);

/// How long the file is left to other processes after a transaction that took its whole time.
const TURN: Duration = Duration::from_millis(2);

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
    pub(super) fn start(
        connection: Connection,
        options: Arc<SqliteOptions>,
        risk: Risk,
    ) -> Result<Self, StoreError> {
        let (requests, waiting) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("edge-isr-store".to_owned())
            .spawn(move || {
                Thread {
                    connection,
                    options,
                    risk,
                }
                .serve(waiting);
            })
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
trait Request: Send {
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

struct Thread {
    connection: Connection,
    options: Arc<SqliteOptions>,
    risk: Risk,
}

/// How a transaction failed.
enum Lost {
    /// It could not even begin.
    AtBegin(Failure),
    /// It was taken back whole.
    Later(Failure),
}

impl Thread {
    fn serve(mut self, mut waiting: mpsc::Receiver<Box<dyn Request>>) {
        while let Some(first) = waiting.blocking_recv() {
            let began = Instant::now();
            self.run_group(first, &mut waiting);
            if began.elapsed() >= GROUP_TIME {
                std::thread::park_timeout(TURN);
            }
        }
        if let Err(failure) = self.risk.end(&self.connection) {
            tracing::warn!(error = ?failure, "the embedded store could not be closed in good order");
        }
    }

    fn run_group(
        &mut self,
        first: Box<dyn Request>,
        waiting: &mut mpsc::Receiver<Box<dyn Request>>,
    ) {
        let mut group = Vec::with_capacity(1);
        let began = Instant::now();
        let outcome = self.transact(first, &mut group, || {
            (began.elapsed() < GROUP_TIME)
                .then(|| waiting.try_recv().ok())
                .flatten()
        });
        match outcome {
            Ok(()) => {}
            Err(Lost::Later(_)) if group.len() > 1 => return self.run_one_by_one(group),
            Err(Lost::Later(failure)) => fail_all(&mut group, &failure),
            Err(Lost::AtBegin(failure)) => {
                // Nobody else waits in line for a store that cannot be had.
                group.extend(std::iter::from_fn(|| waiting.try_recv().ok()));
                fail_all(&mut group, &failure);
            }
        }
        group.into_iter().for_each(Request::answer);
    }

    /// One request that finds no room must not take those along that would.
    fn run_one_by_one(&mut self, group: Vec<Box<dyn Request>>) {
        for request in group {
            let mut alone = Vec::with_capacity(1);
            if let Err(Lost::AtBegin(failure) | Lost::Later(failure)) =
                self.transact(request, &mut alone, || None)
            {
                fail_all(&mut alone, &failure);
            }
            alone.into_iter().for_each(Request::answer);
        }
    }

    /// Runs `first` and what `next` gives in one transaction. All of them are in `group` afterwards.
    fn transact(
        &mut self,
        first: Box<dyn Request>,
        group: &mut Vec<Box<dyn Request>>,
        next: impl FnMut() -> Option<Box<dyn Request>>,
    ) -> Result<(), Lost> {
        let state = match self.risk.begin(&self.connection) {
            Ok(state) => state,
            Err(failure) => {
                group.push(first);
                self.take_back();
                return Err(Lost::AtBegin(failure));
            }
        };
        self.fill_and_commit(state, first, group, next)
            .map_err(|failure| {
                self.take_back();
                Lost::Later(failure)
            })
    }

    fn fill_and_commit(
        &self,
        loaded: State,
        first: Box<dyn Request>,
        group: &mut Vec<Box<dyn Request>>,
        mut next: impl FnMut() -> Option<Box<dyn Request>>,
    ) -> Result<(), Failure> {
        let mut state = loaded;
        let now = state.tick(self.options.machine_time());
        let ticked = state;
        let mut write = Write {
            connection: &self.connection,
            state,
            now,
            options: &self.options,
        };
        let mut request = Some(first);
        while let Some(current) = request.take() {
            group.push(current);
            let current = group.last_mut().expect("it was just pushed");
            if !current.is_abandoned() {
                attempt(current.as_mut(), &mut write)?;
            }
            if group.len() < GROUP {
                request = next();
            }
        }
        if write.state != ticked {
            write.state.note_time(now);
        }
        if write.state != loaded {
            write.state.save(&self.connection)?;
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    fn take_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the embedded store could not take a transaction back");
        }
    }
}

/// Runs a request so that nothing of it is left when it fails.
///
/// # Errors
///
/// When the whole transaction is lost with it.
fn attempt(request: &mut dyn Request, write: &mut Write<'_>) -> Result<(), Failure> {
    let before = write.state;
    write
        .connection
        .prepare_cached("SAVEPOINT request")?
        .execute([])?;
    let succeeded = request.attempt(write);
    if write.connection.is_autocommit() {
        return Err(Failure::unreadable(
            "another request of the same transaction failed",
        ));
    }
    if !succeeded {
        write.state = before;
        write
            .connection
            .prepare_cached("ROLLBACK TO request")?
            .execute([])?;
    }
    write
        .connection
        .prepare_cached("RELEASE request")?
        .execute([])?;
    Ok(())
}

fn fail_all(group: &mut [Box<dyn Request>], failure: &Failure) {
    for request in group {
        request.fail(failure.of_whole_transaction());
    }
}
