//! How many requests an origin is asked at once: as many as do not slow it down.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::signal::Signal;

/// Answers by which a round can end at the earliest: fewer say nothing about how long pages take.
const LEAST_ANSWERS: u32 = 6;

/// By how much pages may take longer, asked for together, than one alone: half as long again.
const TOLERATED: f64 = 1.5;

/// Beyond this many standard errors a difference is not chance.
const ERRORS: f64 = 2.0;

/// What is added to each time before it is compared: differences far below it are the network's and
/// the scheduler's.
const GRACE: Duration = Duration::from_millis(10);

/// The most and the least that is left of the limit when pages take too long. Between them it is
/// lowered by as much as they do.
const AFTER_SLOWNESS: RangeInclusive<f64> = 0.25..=0.75;

/// What is left of it after a refusal.
const AFTER_REFUSAL: f64 = 0.5;

/// The share of a round's answers that may be failures.
const FAILURES: f64 = 0.25;

/// Rounds until one request at a time is asked again for a round, so as to see what pages take when
/// nobody waits for anybody.
const ROUNDS_BETWEEN_MEASUREMENTS: u32 = 200;

/// A limit that follows what it is told: additive increase, multiplicative decrease, decided round
/// by round. It is a state without I/O, of the same size whatever happens.
///
/// A round is about as many answers as the limit. How long pages took is averaged as logarithms, so
/// that one page in a hundred that takes a hundred times as long is not the whole average, and is
/// compared with what pages took when one at a time was asked for.
#[derive(Debug)]
pub(crate) struct Limit {
    ceiling: f64,
    /// From 1 to the ceiling.
    requests: f64,
    /// Whether nothing has gone wrong yet: until then the limit doubles.
    starting: bool,
    alone: Option<Average>,
    rounds_to_measurement: u32,
    /// Which limit this is, counted from the first.
    number: u64,
    round: Round,
}

/// What the answers of one round have told.
#[derive(Debug, Default)]
struct Round {
    /// Whether the limit was reached, without which nothing speaks for a higher one.
    full: bool,
    failures: u32,
    served: u32,
    sum: f64,
    squares: f64,
}

/// The mean of times' logarithms.
#[derive(Clone, Copy, Debug)]
struct Average {
    mean: f64,
    /// Of the mean: the square of its standard error.
    variance: f64,
}

impl Limit {
    /// Begins at one, and never exceeds `ceiling`, which is at least one.
    #[expect(clippy::cast_precision_loss, reason = "a ceiling is a few hundred")]
    pub(crate) fn new(ceiling: usize) -> Self {
        Self {
            ceiling: ceiling as f64,
            requests: 1.0,
            starting: true,
            alone: None,
            rounds_to_measurement: ROUNDS_BETWEEN_MEASUREMENTS,
            number: 0,
            round: Round::default(),
        }
    }

    /// How many requests may run at once.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the limit is at least one, and at most a few hundred"
    )]
    pub(crate) fn at_once(&self) -> usize {
        if self.is_measuring() {
            1
        } else {
            self.requests as usize
        }
    }

    /// A request begins, and with it so many run. It is to remember the limit's number for
    /// [`Limit::end`].
    pub(crate) fn begin(&mut self, running: usize) -> u64 {
        self.round.full |= running >= self.at_once();
        self.number
    }

    /// How a request ended. What began under another limit has no say: a burst of refusals lowers the
    /// limit once.
    pub(crate) fn end(&mut self, number: u64, signal: Signal) {
        if number != self.number {
            return;
        }
        match signal {
            Signal::Served { took } => self.round.add(took),
            Signal::Failed => self.round.failures += 1,
            Signal::Answered => return,
            Signal::Refused => return self.lower(AFTER_REFUSAL),
        }
        let answers = self.round.served + self.round.failures;
        let enough = u32::try_from(self.at_once()).unwrap_or(u32::MAX);
        if answers >= enough.max(LEAST_ANSWERS) {
            self.decide(answers);
        } else if answers == LEAST_ANSWERS {
            self.slow_down();
        }
    }

    /// One at a time again, for an origin that was out of order.
    pub(crate) fn restart(&mut self) {
        self.lower(0.0);
    }

    fn is_measuring(&self) -> bool {
        self.alone.is_none() || self.rounds_to_measurement == 0
    }

    /// Draws the conclusion from a round of so many answers.
    fn decide(&mut self, answers: u32) {
        if f64::from(self.round.failures) > FAILURES * f64::from(answers) {
            return self.lower(AFTER_REFUSAL);
        }
        if self.slow_down() {
            return;
        }
        let before = self.at_once();
        // What is measured out of turn, one at a time, is not what the limit was.
        let grows = self.round.full && (self.alone.is_none() || !self.is_measuring());
        if before == 1 {
            self.alone = self.round.average();
            self.rounds_to_measurement = ROUNDS_BETWEEN_MEASUREMENTS;
        }
        if grows {
            let step = if self.starting { self.requests } else { 1.0 };
            self.requests = (self.requests + step).min(self.ceiling);
        }
        self.next_round(before);
    }

    /// Lowers the limit if pages take too long for it, and says whether they do.
    fn slow_down(&mut self) -> bool {
        if self.at_once() == 1 {
            return false;
        }
        let (Some(alone), Some(taken)) = (self.alone, self.round.average()) else {
            return false;
        };
        let above = taken.mean - alone.mean - TOLERATED.ln();
        let is_slow = above > ERRORS * (taken.variance + alone.variance).sqrt();
        if is_slow {
            let (least, most) = AFTER_SLOWNESS.into_inner();
            self.lower((-above).exp().clamp(least, most));
        }
        is_slow
    }

    fn lower(&mut self, left: f64) {
        let before = self.at_once();
        self.requests = (self.requests * left).max(1.0);
        self.starting = false;
        self.next_round(before);
    }

    fn next_round(&mut self, before: usize) {
        self.round = Round::default();
        self.rounds_to_measurement = self.rounds_to_measurement.saturating_sub(1);
        self.number += u64::from(self.at_once() != before);
    }
}

impl Round {
    fn add(&mut self, took: Duration) {
        let time = (took + GRACE).as_secs_f64().ln();
        self.served += 1;
        self.sum += time;
        self.squares += time * time;
    }

    /// Of two times or more.
    fn average(&self) -> Option<Average> {
        if self.served < 2 {
            return None;
        }
        let times = f64::from(self.served);
        let mean = self.sum / times;
        let spread = (self.squares / times - mean * mean).max(0.0);
        Some(Average {
            mean,
            variance: spread / (times - 1.0),
        })
    }
}

#[cfg(test)]
mod tests;
