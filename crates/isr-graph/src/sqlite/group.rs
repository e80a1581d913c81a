//! The one thread that writes, and how it puts requests that wait together into one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::at_risk::Risk;
use super::checkpoint::Checkpointer;
use super::failure::Failure;
use super::log;
use super::options::SqliteOptions;
use super::state::State;
use super::writer::{Request, Write};

/// Requests that share one transaction.
const GROUP: usize = 256;

/// How long requests join a transaction. Nobody else can write meanwhile.
const GROUP_TIME: Duration = Duration::from_millis(20);

/// How long the file is left to other processes after a transaction that took its whole time.
const TURN: Duration = Duration::from_millis(2);

/// What the thread that writes works with.
pub(super) struct WritingThread {
    pub(super) connection: Connection,
    pub(super) options: Arc<SqliteOptions>,
    pub(super) risk: Risk,
    pub(super) checkpointer: Checkpointer,
}

/// How a transaction failed.
enum Lost {
    /// It could not even begin.
    AtBegin(Failure),
    /// It was taken back whole.
    Later(Failure),
}

impl WritingThread {
    /// Does all that is asked, until nobody can ask any more.
    pub(super) fn serve(mut self, mut waiting: mpsc::Receiver<Box<dyn Request>>) {
        while let Some(first) = waiting.blocking_recv() {
            let took = self.run_group_in_turn(first, &mut waiting);
            if took >= GROUP_TIME {
                std::thread::park_timeout(TURN);
            }
        }
        self.close();
    }

    fn run_group_in_turn(
        &mut self,
        first: Box<dyn Request>,
        waiting: &mut mpsc::Receiver<Box<dyn Request>>,
    ) -> Duration {
        let gate = Arc::clone(self.checkpointer.gate());
        let _inside = gate.enter();
        let began = Instant::now();
        self.run_group(first, waiting);
        self.look_at_the_log();
        began.elapsed()
    }

    /// A log that cannot be looked at is copied when the store is closed.
    fn look_at_the_log(&self) {
        match log::extent(&self.connection) {
            Ok(extent) => self.checkpointer.note(extent),
            Err(failure) => tracing::debug!(error = ?failure, "the log cannot be looked at"),
        }
    }

    /// This connection is the last of the process's that may write, and copies what is left of the log.
    fn close(self) {
        drop(self.checkpointer);
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
