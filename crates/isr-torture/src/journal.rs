//! What happened, in order, for whoever has to find out why a page stayed old.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Entries kept; the oldest go first. A busy minute makes some fifty thousand.
const KEPT: usize = 400_000;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// A datum, by its number.
    Item(usize),
    /// A page, by its number.
    Page(usize),
    /// A process or a link.
    Fault,
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    about: About,
    text: String,
}

/// The journal of a run.
#[derive(Debug)]
pub(crate) struct Journal {
    started: Instant,
    entries: Mutex<VecDeque<Entry>>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            entries: Mutex::default(),
        }
    }

    /// How long the run has lasted.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn note(&self, about: About, text: impl fmt::Display) {
        let text = text.to_string();
        let mut entries = self.entries.lock();
        if entries.len() == KEPT {
            entries.pop_front();
        }
        // Within the lock, so that entries stand in order.
        let at = self.now();
        entries.push_back(Entry { at, about, text });
    }

    /// The last `most` entries about any of these things from a moment on, a line each.
    pub(crate) fn lines(&self, about: &[About], from: Duration, most: usize) -> Vec<String> {
        let entries = self.entries.lock();
        let fitting = entries
            .iter()
            .rev()
            .take_while(|entry| entry.at >= from)
            .filter(|entry| about.contains(&entry.about))
            .take(most);
        let mut lines: Vec<String> = fitting
            .map(|entry| format!("{:>9.3} s  {}", entry.at.as_secs_f64(), entry.text))
            .collect();
        lines.reverse();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_order_and_about_what_was_asked() {
        let journal = Journal::new();
        journal.note(About::Item(1), "first");
        journal.note(About::Item(2), "another");
        journal.note(About::Fault, "second");
        let lines = journal.lines(&[About::Item(1), About::Fault], Duration::ZERO, 10);
        let texts: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.split("s  ").nth(1))
            .collect();
        assert_eq!(texts, ["first", "second"]);
        let last = journal.lines(&[About::Item(1), About::Fault], Duration::ZERO, 1);
        assert!(last[0].ends_with("second"));
    }
}
