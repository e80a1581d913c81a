//! What happened in a run, in order, for whoever has to understand it.

use std::fmt;

use parking_lot::Mutex;
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Journal {
    start: Instant,
    lines: Option<Mutex<Vec<String>>>,
}

impl Journal {
    /// `kept` is whether anybody is going to read it: writing it takes half of a run's time.
    pub(crate) fn new(kept: bool) -> Self {
        Self {
            start: Instant::now(),
            lines: kept.then(Mutex::default),
        }
    }

    pub(crate) fn note(&self, line: fmt::Arguments<'_>) {
        if let Some(lines) = &self.lines {
            let at = self.start.elapsed();
            let (seconds, millis) = (at.as_secs(), at.subsec_millis());
            lines
                .lock()
                .push(format!("{seconds:>4}.{millis:03} {line}"));
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.lines.as_ref();
        lines.map(|lines| lines.lock().clone()).unwrap_or_default()
    }
}
