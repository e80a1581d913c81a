//! A pause between two transactions of this process, in which the log can be caught up with.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Whoever writes is inside while a transaction is open; whoever copies the log keeps it out for a
/// moment, and no longer: nobody is kept out by a slow disk.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_anybody_inside: bool,
    door: Door,
}

#[derive(Clone, Copy, Debug, Default)]
enum Door {
    #[default]
    Open,
    /// Nobody enters until whoever is inside has left.
    Closing,
    ClosedUntil(Instant),
}

/// Inside, until it is dropped.
#[derive(Debug)]
pub(super) struct Inside<'a>(&'a Gate);

/// Closed for a while, until it is dropped.
#[derive(Debug)]
pub(super) struct Closed<'a>(&'a Gate);

impl Gate {
    /// Waits while the gate is closed.
    pub(super) fn enter(&self) -> Inside<'_> {
        let mut state = self.state.lock();
        loop {
            match state.door {
                Door::Open => break,
                Door::Closing => self.changed.wait(&mut state),
                Door::ClosedUntil(until) => {
                    if self.changed.wait_until(&mut state, until).timed_out() {
                        break;
                    }
                }
            }
        }
        state.is_anybody_inside = true;
        Inside(self)
    }

    /// Waits until nobody is inside. Then nobody enters for as long as `longest`.
    pub(super) fn close(&self, longest: Duration) -> Closed<'_> {
        let mut state = self.state.lock();
        state.door = Door::Closing;
        self.changed
            .wait_while(&mut state, |state| state.is_anybody_inside);
        state.door = Door::ClosedUntil(Instant::now() + longest);
        self.changed.notify_all();
        Closed(self)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.state.lock().is_anybody_inside = false;
        self.0.changed.notify_all();
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.state.lock().door = Door::Open;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{TryRecvError, channel};
    use std::thread;

    use super::*;

    /// Longer than any test runs.
    const EVER: Duration = Duration::from_hours(1);

    #[test]
    fn nobody_enters_a_closed_gate_until_it_opens() {
        let gate = Gate::default();
        let (entered, hears) = channel();
        thread::scope(|scope| {
            let closed = gate.close(EVER);
            scope.spawn(|| {
                let inside = gate.enter();
                entered.send(()).unwrap();
                drop(inside);
            });
            assert_eq!(hears.try_recv(), Err(TryRecvError::Empty));
            drop(closed);
            hears.recv().unwrap();
        });
        drop(gate.enter());
    }

    #[test]
    fn a_gate_that_stays_closed_too_long_is_passed() {
        let gate = Gate::default();
        let closed = gate.close(Duration::from_millis(1));
        drop(gate.enter());
        drop(closed);
    }

    #[test]
    fn the_gate_closes_behind_whoever_is_inside() {
        let gate = Gate::default();
        let (closed, hears) = channel();
        thread::scope(|scope| {
            let inside = gate.enter();
            scope.spawn(|| {
                let guard = gate.close(EVER);
                closed.send(()).unwrap();
                drop(guard);
            });
            assert_eq!(hears.try_recv(), Err(TryRecvError::Empty));
            drop(inside);
            hears.recv().unwrap();
        });
    }
}
