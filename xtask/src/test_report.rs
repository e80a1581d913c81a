//! Reads what test programs print, and sums it.

use std::fmt;

/// What the test programs of one run said, summed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that were not run.
    pub(crate) skipped: u64,
    /// The names of those that failed.
    pub(crate) failed_names: Vec<String>,
    /// The names of those that were not run.
    pub(crate) skipped_names: Vec<String>,
    /// How many of these are of the program whose summary has not come yet.
    skipped_so_far: u64,
}

impl Report {
    /// Takes in one line of a test program's output; lines of other kinds are passed over.
    pub(crate) fn read(&mut self, line: &str) {
        match outcome(line) {
            Some((name, outcome)) if outcome.starts_with("ignored") => {
                self.skipped_names.push(name.to_owned());
                self.skipped_so_far += 1;
            }
            Some((name, "FAILED")) => self.failed_names.push(name.to_owned()),
            _ => {}
        }
        // A test may have printed something without a line end, so the summary need not start the line.
        if let Some((_, summary)) = line.split_once("test result: ") {
            // A test that found out only when it ran that it cannot be run here says so by a line of its
            // own, and the harness has it among those that passed.
            let skipped = std::mem::take(&mut self.skipped_so_far).max(count(summary, "ignored"));
            let by_themselves = skipped - count(summary, "ignored");
            self.passed += count(summary, "passed").saturating_sub(by_themselves);
            self.failed += count(summary, "failed");
            self.skipped += skipped;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// The two parts of a line such as `test binds::many ... ignored, takes an hour`.
fn outcome(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ")
}

/// The number before `word` in a summary such as `ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(summary: &str, word: &str) -> u64 {
    let words: Vec<&str> = summary.split([' ', ';']).collect();
    words
        .iter()
        .position(|&w| w == word)
        .and_then(|at| words[..at].last())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, expected: &str, failed_names: &[&str], skipped_names: &[&str]) {
        let mut report = Report::default();
        output.lines().for_each(|line| report.read(line));
        assert_eq!(report.to_string(), expected);
        assert_eq!(report.failed_names, failed_names);
        assert_eq!(report.skipped_names, skipped_names);
    }

    #[test]
    fn a_test_that_skips_itself_counts_as_skipped_and_not_as_passed() {
        check(
            "running 2 tests
test disk ... ignored, no file system may be mounted here
test disk ... ok
test other ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "2 passed, 0 failed, 1 skipped",
            &[],
            &["disk"],
        );
    }

    #[test]
    fn no_output_counts_nothing() {
        check("", "0 passed, 0 failed, 0 skipped", &[], &[]);
    }

    #[test]
    fn programs_are_summed_and_what_did_not_pass_is_named() {
        check(
            "running 3 tests
test tags::parse ... ok
test binds::many ... ignored, takes an hour
test binds::one ... FAILED

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 2 tests
test src/lib.rs - tag (line 12) ... ok
test src/lib.rs - tag (line 30) ... ignored

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.30s

all doctests ran in 0.40s; merged doctests compilation took 0.20s",
            "2 passed, 1 failed, 2 skipped",
            &["binds::one"],
            &["binds::many", "src/lib.rs - tag (line 30)"],
        );
    }

    #[test]
    fn a_summary_is_found_behind_what_a_test_printed() {
        check(
            "half a linetest result: ok. 7 passed; 0 failed; 0 ignored;",
            "7 passed, 0 failed, 0 skipped",
            &[],
            &[],
        );
    }
}
