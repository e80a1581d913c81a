//! Copying the write-ahead log back, on a thread and a connection of its own.
//!
//! Left to itself, SQLite has whoever commits do that, so that all who write wait for the disk now
//! and then. Here the log is copied beside them until little is left of it. Then those of this
//! process pause between two transactions, for a moment, so that the copy is made durable up to the end
//! of the log; only what they add while the disk is at that is copied under the lock that keeps
//! everybody from writing, after which the next transaction begins the log anew.
//!
//! Somebody who reads an old state keeps the log from being begun anew, and it grows until he is done:
//! nobody else fails or waits for him. Every process that writes has such a thread, and looks at
//! the same log; whoever finds another at it leaves it to him. When a round fails, the log stays as it is,
//! nothing is lost, and another is made later.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use isr_core::StoreError;

use super::failure::{Failure, unavailable};
use super::gate::Gate;
use super::log::{Extent, Log};

/// Copies made beside the writers at most before they have to wait: a disk slower than they are must
/// not let the log grow for ever.
const PASSES: usize = 4;

/// Pages that are copied faster than the pause between two transactions lasts.
const FEW: i64 = 1_024;

/// The longest pause between two transactions.
const PAUSE: Duration = Duration::from_millis(25);

/// Pauses in one round.
const PAUSES: usize = 3;

/// Pages that may be left for when nobody can write.
const FEWEST: i64 = 256;

/// How long a round that came to nothing is waited after, at first and at most.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// How many times as long as it should be the log may become before that is said.
const WORTH_A_WORD: i64 = 4;

/// The thread that copies the log. Dropping it waits for the copy under way.
#[derive(Debug)]
pub(super) struct Checkpointer {
    gate: Arc<Gate>,
    /// From how many pages on the log is copied.
    due: i64,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(log: impl Log + 'static, due: i64) -> Result<Self, StoreError> {
        let gate = Arc::new(Gate::default());
        let (wake, wakes) = sync_channel(1);
        let thread = Thread {
            log,
            gate: Arc::clone(&gate),
            due,
            was_told: false,
        };
        let thread = std::thread::Builder::new()
            .name("edge-isr-log".to_owned())
            .spawn(move || thread.serve(&wakes))
            .map_err(unavailable)?;
        Ok(Self {
            gate,
            due,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// What is passed for each transaction.
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Has the log copied when it is long enough. Waits for nothing.
    pub(super) fn note(&self, extent: Extent) {
        if extent.pages >= self.due
            && let Some(wake) = &self.wake
        {
            // It is awake already when there is no room for another call.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that copies the embedded store's log panicked");
        }
    }
}

struct Thread<L> {
    log: L,
    gate: Arc<Gate>,
    due: i64,
    /// Whether somebody has been told that the log is not copied as it should be.
    was_told: bool,
}

impl<L: Log> Thread<L> {
    fn serve(mut self, wakes: &Receiver<()>) {
        while wakes.recv().is_ok() {
            let [mut pause, longest] = RETRY;
            while !self.try_round() {
                if !sleep(wakes, pause) {
                    return;
                }
                pause = longest.min(pause * 2);
            }
            // Whoever called while this was under way has been served.
            let _ = wakes.try_recv();
        }
    }

    /// Whether there is nothing left to be done.
    fn try_round(&mut self) -> bool {
        match self.round() {
            Ok(true) => {
                if std::mem::take(&mut self.was_told) {
                    tracing::info!("the embedded store's log is copied back again");
                }
                true
            }
            Ok(false) => {
                self.tell_if_long();
                false
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.was_told, true) {
                    tracing::warn!(
                        error = ?failure,
                        "the embedded store's log cannot be copied back, and grows: see to the disk"
                    );
                }
                false
            }
        }
    }

    /// Whether there is nothing left to be done.
    fn round(&mut self) -> Result<bool, Failure> {
        for _ in 0..PASSES {
            let before = self.log.extent()?;
            if before.pages < self.due {
                return Ok(true);
            }
            if before.left() <= FEW {
                break;
            }
            self.log.copy()?;
            let after = self.log.extent()?;
            if after.copied <= before.copied && after.pages >= before.pages {
                return Ok(false);
            }
        }
        for _ in 0..PAUSES {
            let closed = self.gate.close(PAUSE);
            self.log.copy()?;
            drop(closed);
            if self.log.extent()?.left() <= FEWEST {
                break;
            }
        }
        // Whoever comes while this lasts longer waits for SQLite's lock.
        let _closed = self.gate.close(PAUSE);
        self.log.finish()
    }

    fn tell_if_long(&mut self) {
        let pages = self.log.extent().unwrap_or_default().pages;
        if pages >= self.due.saturating_mul(WORTH_A_WORD)
            && !std::mem::replace(&mut self.was_told, true)
        {
            tracing::warn!(
                pages,
                "the embedded store's log grows, because somebody has been reading an old state of it for \
                 long: end whatever has the file open in a transaction"
            );
        }
    }
}

/// `false` when there is nobody to sleep for any more.
fn sleep(wakes: &Receiver<()>, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match wakes.recv_timeout(left) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::mpsc::{Sender, channel};

    use isr_core::TagGraph;
    use isr_testkit::store_suite::make::{bind, generation, revalidate};

    use super::*;
    use crate::sqlite::at_risk::Risk;
    use crate::sqlite::options::SqliteOptions;
    use crate::sqlite::{SqliteStore, connection, layout};

    /// What a log that is made up was asked to do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Asked {
        Copy,
        Finish,
    }

    /// A log that is always too long: it tells what it is asked to do, and then does as it is told.
    struct Told {
        asked: Sender<Asked>,
        outcomes: Receiver<Result<bool, Failure>>,
        extent: Extent,
    }

    impl Told {
        fn ask(&self, what: Asked) -> Result<bool, Failure> {
            let gone = |_| Failure::unreadable("the test is over");
            self.asked
                .send(what)
                .map_err(|_| Failure::unreadable("the test is over"))?;
            self.outcomes.recv().map_err(gone)?
        }
    }

    impl Log for Told {
        fn extent(&mut self) -> Result<Extent, Failure> {
            Ok(self.extent)
        }

        fn copy(&mut self) -> Result<(), Failure> {
            if self.ask(Asked::Copy)? {
                self.extent.copied = self.extent.pages;
            }
            Ok(())
        }

        fn finish(&mut self) -> Result<bool, Failure> {
            self.ask(Asked::Finish)
        }
    }

    /// How a test hears what is asked of the log, and answers.
    struct Telling {
        asked: Receiver<Asked>,
        outcomes: Sender<Result<bool, Failure>>,
    }

    impl Telling {
        fn expect(&self, what: Asked, outcome: Result<bool, Failure>) {
            assert_eq!(self.asked.recv().unwrap(), what);
            self.outcomes.send(outcome).unwrap();
        }
    }

    fn told() -> (Told, Telling) {
        let ((asked, hears), (outcomes, answers)) = (channel(), channel());
        let extent = Extent {
            pages: 10 * FEW,
            copied: 0,
        };
        let log = Told {
            asked,
            outcomes: answers,
            extent,
        };
        let telling = Telling {
            asked: hears,
            outcomes,
        };
        (log, telling)
    }

    fn failure() -> Failure {
        Failure::unreadable("no room on the disk")
    }

    const LONG: Extent = Extent {
        pages: i64::MAX,
        copied: 0,
    };

    #[test]
    fn a_log_is_copied_until_nothing_is_left_and_then_finished() {
        let (log, telling) = told();
        let checkpointer = Checkpointer::start(log, 1).unwrap();
        checkpointer.note(LONG);
        telling.expect(Asked::Copy, Ok(true));
        telling.expect(Asked::Copy, Ok(true));
        telling.expect(Asked::Finish, Ok(true));
        drop(checkpointer);
        assert!(telling.asked.recv().is_err(), "that was all");
    }

    #[test]
    fn a_log_that_is_still_read_is_not_finished_and_is_looked_at_again() {
        let (log, telling) = told();
        let checkpointer = Checkpointer::start(log, 1).unwrap();
        checkpointer.note(LONG);
        // Nothing could be copied: those who write are not kept out for nothing.
        telling.expect(Asked::Copy, Ok(false));
        telling.expect(Asked::Copy, Ok(true));
        telling.expect(Asked::Copy, Ok(true));
        telling.expect(Asked::Finish, Ok(false));
        telling.expect(Asked::Copy, Ok(true));
        telling.expect(Asked::Finish, Ok(true));
        drop(checkpointer);
    }

    #[test]
    fn a_copy_that_fails_is_made_again() {
        let (log, telling) = told();
        let checkpointer = Checkpointer::start(log, 1).unwrap();
        checkpointer.note(LONG);
        telling.expect(Asked::Copy, Err(failure()));
        telling.expect(Asked::Copy, Ok(true));
        telling.expect(Asked::Copy, Err(failure()));
        telling.expect(Asked::Copy, Ok(true));
        telling.expect(Asked::Finish, Ok(true));
        drop(checkpointer);
    }

    #[test]
    fn a_short_log_is_left_alone() {
        let (log, telling) = told();
        let checkpointer = Checkpointer::start(log, 100).unwrap();
        checkpointer.note(Extent {
            pages: 99,
            copied: 0,
        });
        drop(checkpointer);
        assert!(telling.asked.recv().is_err());
    }

    /// A store whose log is copied by `log`, and is due at once.
    fn store(directory: &tempfile::TempDir, log: impl Log + 'static) -> SqliteStore {
        let path = directory.path().join("graph.sqlite");
        let options = SqliteOptions {
            log_bytes: NonZeroU64::MIN,
            ..SqliteOptions::default()
        };
        let connection = connection::open_writer(&path, &options).unwrap();
        layout::prepare(&connection, &options.site).unwrap();
        let risk = Risk::new(&options);
        SqliteStore::start(&path, connection, options, risk, log).unwrap()
    }

    /// Who waits for what cannot happen before shall not wait for ever.
    async fn soon<T>(what: impl Future<Output = T>) -> T {
        let patience = Duration::from_mins(1);
        tokio::time::timeout(patience, what).await.unwrap()
    }

    #[tokio::test]
    async fn nobody_who_writes_or_revalidates_waits_for_a_copy() {
        let directory = tempfile::tempdir().unwrap();
        let (log, telling) = told();
        let store = store(&directory, log);
        revalidate(&store, &["first"]).await;
        for _ in 0..2 {
            // What the log is asked to do now takes until all this has been acknowledged.
            assert_eq!(telling.asked.recv().unwrap(), Asked::Copy);
            let receipt = soon(revalidate(&store, &["a"])).await;
            let known = store.position().await.unwrap();
            assert_eq!(receipt.position.unwrap(), known);
            let now = generation(&store, "/").await;
            let binds = [bind("/", &["a"], now)];
            assert!(soon(store.bind(&binds)).await.unwrap()[0].is_bound());
            telling.outcomes.send(Ok(true)).unwrap();
        }
        telling.expect(Asked::Finish, Ok(true));
        drop(telling);
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_copied_stops_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let (log, telling) = told();
        let store = store(&directory, log);
        for _ in 0..3 {
            revalidate(&store, &["a"]).await;
            telling.expect(Asked::Copy, Err(failure()));
        }
        drop(telling);
        revalidate(&store, &["a"]).await;
    }
}
