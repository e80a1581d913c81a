//! When an origin that does not serve is left alone, and when it is tried again.

use std::time::Duration;

use crate::signal::Signal;

/// Refusals in a row, with no answer between them, by which an origin is taken to be out of order.
const REFUSALS: u32 = 5;

/// How long it is left alone the first time. Each probe that is refused doubles it.
const FIRST_REST: Duration = Duration::from_secs(1);

/// A circuit breaker: a state without I/O, told the time by whoever asks.
///
/// While it is open, and the rest is over, one request at a time may go out as a probe. It is the
/// limit of one by which there are no more, so a probe that is given up on needs no word to anybody.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    longest_rest: Duration,
    /// Changes whenever the breaker opens or closes: what began before says nothing about now.
    era: u64,
    refused_probes: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { refusals: u32 },
    Open { rest: Duration, until: Duration },
}

/// What a signal has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// The origin is left alone for so long.
    Opened { rest: Duration },
    /// The origin serves again.
    Closed,
}

impl Breaker {
    /// A closed one, that never leaves an origin alone for longer than `longest_rest` at a time.
    pub(crate) fn new(longest_rest: Duration) -> Self {
        Self {
            state: State::Closed { refusals: 0 },
            longest_rest,
            era: 0,
            refused_probes: 0,
        }
    }

    /// How long nobody may begin; `None` when somebody may.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Open { until, .. } => until.checked_sub(now).filter(|wait| !wait.is_zero()),
            State::Closed { .. } => None,
        }
    }

    /// Whether the origin is out of order, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// What a request that begins now is to remember for [`Breaker::end`].
    pub(crate) fn era(&self) -> u64 {
        self.era
    }

    /// How many probes have been refused so far that went out after the longest rest. Whoever waits
    /// while this grows has been answered: by then a probe asks for all who wait. Before, the origin
    /// may well be back in a moment, and waiting costs nobody an attempt.
    pub(crate) fn refused_probes(&self) -> u64 {
        self.refused_probes
    }

    /// How a request ended that began in an era.
    pub(crate) fn end(&mut self, era: u64, signal: Signal, now: Duration) -> Change {
        if era != self.era {
            return Change::None;
        }
        match (self.state, signal) {
            (State::Closed { refusals }, Signal::Refused) if refusals + 1 < REFUSALS => {
                let refusals = refusals + 1;
                self.state = State::Closed { refusals };
                Change::None
            }
            (State::Closed { .. }, Signal::Refused) => self.open(FIRST_REST, now),
            (State::Open { rest, .. }, Signal::Refused) => {
                if rest >= self.longest_rest {
                    self.refused_probes += 1;
                }
                self.open(rest.saturating_mul(2), now)
            }
            (State::Closed { .. }, _) => {
                self.state = State::Closed { refusals: 0 };
                Change::None
            }
            (State::Open { .. }, _) => {
                self.state = State::Closed { refusals: 0 };
                self.era += 1;
                Change::Closed
            }
        }
    }

    fn open(&mut self, rest: Duration, now: Duration) -> Change {
        let rest = rest.min(self.longest_rest);
        let until = now + rest;
        self.state = State::Open { rest, until };
        self.era += 1;
        Change::Opened { rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const SERVED: Signal = Signal::Served { took: SECOND };

    fn breaker() -> Breaker {
        Breaker::new(5 * SECOND)
    }

    /// A request that begins and ends now.
    fn ask(breaker: &mut Breaker, signal: Signal, now: Duration) -> Change {
        breaker.end(breaker.era(), signal, now)
    }

    fn opened() -> Breaker {
        let mut breaker = breaker();
        for _ in 0..REFUSALS {
            ask(&mut breaker, Signal::Refused, Duration::ZERO);
        }
        breaker
    }

    #[test]
    fn only_refusals_in_a_row_open_it() {
        for answer in [SERVED, Signal::Answered, Signal::Failed] {
            let mut breaker = breaker();
            for _ in 0..10 {
                for _ in 1..REFUSALS {
                    assert_eq!(ask(&mut breaker, Signal::Refused, SECOND), Change::None);
                }
                assert_eq!(ask(&mut breaker, answer, SECOND), Change::None);
            }
            assert_eq!(breaker.wait(SECOND), None);
            for _ in 1..REFUSALS {
                ask(&mut breaker, Signal::Refused, SECOND);
            }
            let change = ask(&mut breaker, Signal::Refused, SECOND);
            assert_eq!(change, Change::Opened { rest: FIRST_REST });
            assert_eq!(breaker.wait(SECOND), Some(FIRST_REST));
        }
    }

    #[test]
    fn each_refused_probe_doubles_the_rest_up_to_the_longest() {
        let mut breaker = opened();
        let mut now = Duration::ZERO;
        for (probe, rest) in [(0, 1), (0, 2), (0, 4), (0, 5), (1, 5), (2, 5)] {
            assert_eq!(breaker.refused_probes(), probe);
            assert_eq!(breaker.wait(now), Some(rest * SECOND));
            now += rest * SECOND;
            assert_eq!(breaker.wait(now), None);
            ask(&mut breaker, Signal::Refused, now);
        }
    }

    #[test]
    fn a_probe_that_is_answered_closes_it_and_the_next_rest_is_short_again() {
        let mut breaker = opened();
        ask(&mut breaker, Signal::Refused, SECOND);
        assert_eq!(ask(&mut breaker, SERVED, 3 * SECOND), Change::Closed);
        assert_eq!(breaker.wait(3 * SECOND), None);
        for _ in 1..REFUSALS {
            assert_eq!(ask(&mut breaker, Signal::Refused, SECOND), Change::None);
        }
        let change = ask(&mut breaker, Signal::Refused, SECOND);
        assert_eq!(change, Change::Opened { rest: FIRST_REST });
    }

    #[test]
    fn what_began_before_a_change_has_no_say_after_it() {
        let mut breaker = breaker();
        let before = breaker.era();
        for _ in 0..REFUSALS {
            breaker.end(before, Signal::Refused, Duration::ZERO);
        }
        assert_eq!(breaker.end(before, Signal::Refused, SECOND), Change::None);
        assert_eq!(breaker.refused_probes(), 0, "it was no probe");
        assert_eq!(breaker.end(before, SERVED, SECOND), Change::None);
        assert_eq!(breaker.wait(Duration::ZERO), Some(FIRST_REST));
    }
}
