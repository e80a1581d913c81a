//! What a run came to.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::faults::Counts;
use crate::quiet::End;
use crate::run::{Options, Run};
use crate::truth::Finding;
use crate::visit::{Tier, Visits};

/// The table of a run, and what was found.
#[derive(Debug)]
pub struct Report {
    rows: Vec<(String, String)>,
    found: u64,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn of(
        run: &Run,
        options: &Options,
        setup: Duration,
        faults: &Counts,
        end: &End,
        rendered: u64,
    ) -> Self {
        let (found, findings) = run.truth.findings();
        let mut report = Self {
            rows: Vec::new(),
            found,
            findings,
        };
        report.row("seed", options.seed);
        report.row("seconds to start everything", seconds(setup));
        report.row("seconds of load and faults", seconds(options.lasts));
        report.row("seconds until all was done", seconds(end.drained));
        report.changes(run);
        report.row("jobs given up on and replayed", end.replayed);
        for (kind, count) in faults.rows() {
            report.row(kind, count);
        }
        report.row("processes that ended by themselves", run.stage.restarts());
        report.row("pages rendered by the origin", rendered);
        for tier in Tier::ALL {
            let visits = run.visits[tier.number()].lock().clone();
            report.visits(&tier.to_string(), &visits);
        }
        report.row("pages compared in the end", end.compared);
        report.row("lost", found);
        report
    }

    /// A report without any row.
    pub(crate) const fn empty() -> Self {
        Self {
            rows: Vec::new(),
            found: 0,
            findings: Vec::new(),
        }
    }

    /// Notes something that is wrong.
    pub(crate) fn find(&mut self, what: String) {
        self.found += 1;
        self.findings.push(Finding {
            what,
            lines: Vec::new(),
        });
    }

    fn changes(&mut self, run: &Run) {
        let (accepted, settled) = run.truth.counts();
        self.row("changes of data", run.changes.made.load(Ordering::Relaxed));
        let dropped = run.changes.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            self.row("revalidations left out on purpose", dropped);
        }
        self.row("receipts", accepted);
        self.row("receipts seen settled", settled);
        let again = run.changes.asked_again.load(Ordering::Relaxed);
        self.row("revalidations asked for again", again);
        self.row("purge calls repeated", run.calls.lock().repeated());
    }

    fn visits(&mut self, tier: &str, visits: &Visits) {
        self.row(format!("{tier}: pages read"), visits.pages);
        self.row(format!("{tier}: of them hits"), visits.hits);
        self.row(
            format!("{tier}: 5xx, while an edge was away"),
            format!("{}, {}", visits.errors, visits.errors_while_away),
        );
        self.row(
            format!("{tier}: broken off, while an edge was away"),
            format!("{}, {}", visits.broken, visits.broken_while_away),
        );
        self.row(
            format!("{tier}: slowest, while an edge was away"),
            format!(
                "{}, {}",
                seconds(visits.slowest),
                seconds(visits.slowest_while_away)
            ),
        );
    }

    pub(crate) fn row(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.rows.push((name.into(), value.to_string()));
    }

    /// Whether nothing was found.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.found == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.findings.len();
        for finding in &self.findings {
            writeln!(f, "{}", finding.what)?;
            if !finding.lines.is_empty() {
                writeln!(f, "  what had happened:")?;
            }
            for line in &finding.lines {
                writeln!(f, "  {line}")?;
            }
            writeln!(f)?;
        }
        let more = self.found.saturating_sub(shown as u64);
        if more > 0 {
            writeln!(f, "and {more} more\n")?;
        }
        let wide = self
            .rows
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or(0);
        for (name, value) in &self.rows {
            writeln!(f, "{name:<wide$}  {value:>12}")?;
        }
        Ok(())
    }
}

/// Seconds with their thousandths.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}
