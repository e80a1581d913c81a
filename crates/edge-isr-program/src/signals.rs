//! Being told to stop.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Ctrl-C, and the signal by which supervisors ask a program to end.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Takes the signals over. One that comes before this ends the program at once.
    ///
    /// # Errors
    ///
    /// When the system refuses it.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = || -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        };
        listen().map_err(Failure::asked)
    }

    /// Ends something in good order, unless another signal says that it has taken long enough.
    ///
    /// # Errors
    ///
    /// That what was under way was broken off.
    pub(crate) async fn or_end(&mut self, ending: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::select! {
            () = ending => Ok(()),
            () = self.any() => Err(Failure::Asked("ended at once: what was under way was broken off".into())),
        }
    }

    /// Waits for one of them.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
