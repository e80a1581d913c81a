//! Keeps an index up to date between purges.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::index::Index;

/// A thread that brings an index up to date now and then, beginning at once. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Nothing is ever sent: the thread sees when this end is gone.
    _alive: Sender<Infallible>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system does not give another one.
    pub(crate) fn start(index: &Arc<Mutex<Index>>, every: Duration) -> io::Result<Self> {
        let (alive, is_alive) = mpsc::channel::<Infallible>();
        let index: Weak<Mutex<Index>> = Arc::downgrade(index);
        thread::Builder::new()
            .name("edge-isr-nginx".to_owned())
            .spawn(move || {
                loop {
                    let Some(index) = index.upgrade() else { return };
                    // Purges say it to somebody; here it would be said every second.
                    if let Err(error) = index.lock().refresh() {
                        tracing::debug!(%error, "the index of nginx's cache is not up to date");
                    }
                    drop(index);
                    let Err(RecvTimeoutError::Timeout) = is_alive.recv_timeout(every) else {
                        return;
                    };
                }
            })?;
        Ok(Self { _alive: alive })
    }
}
