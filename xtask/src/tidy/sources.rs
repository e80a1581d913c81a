//! Rules about source files: documented, short, and no test switched off.

use std::path::Path;

use super::Finding;

/// The endings of the files that people write and read.
pub(super) const KINDS: [&str; 5] = ["rs", "py", "lua", "html", "css"];

/// Lines a file may have before it is better read as two.
const MAX_LINES: usize = 600;

/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Attributes that hide a test that does not hold, or hide which line made it panic.
const FORBIDDEN_ATTRIBUTES: [&str; 2] = ["#[ignore", "#[should_panic"];

/// What is wrong with the file at `path`, which holds `text`.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES && !LONG_FILES.iter().any(|(long, _reason)| *long == path) {
        findings.push(format!(
            "{path}: {lines} lines; split it, it should have at most {MAX_LINES}"
        ));
    }
    if Path::new(path).extension().is_some_and(|kind| kind == "rs") {
        findings.extend(check_rust(path, text));
    }
    findings
}

fn check_rust(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A `tests.rs` belongs to the module beside it, which says what both are for.
    if !path.ends_with("/tests.rs") && !starts_with_module_doc(text) {
        findings.push(format!(
            "{path}: begin it with a `//!` line that says what it is for"
        ));
    }
    for (index, line) in text.lines().enumerate() {
        for attribute in FORBIDDEN_ATTRIBUTES {
            if line.trim_start().starts_with(attribute) {
                let line = index + 1;
                findings.push(format!(
                    "{path}:{line}: {attribute}] is not used here; assert what should happen"
                ));
            }
        }
    }
    findings
}

/// Whether the first line that is neither blank nor an inner attribute is documentation of the module.
fn starts_with_module_doc(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .find(|line| !line.starts_with("#![") || line.starts_with("#![doc"))
        .is_some_and(|line| line.starts_with("//!") || line.starts_with("#![doc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_finds(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(check(path, text), expected);
    }

    #[test]
    fn a_documented_module_is_tidy() {
        check_finds("a.rs", "//! What it is for.\nfn f() {}\n", &[]);
        check_finds("a.rs", "#![doc = include_str!(\"a.md\")]\n", &[]);
        check_finds("a.rs", "\n#![cfg(test)]\n//! What it is for.\n", &[]);
    }

    #[test]
    fn a_module_without_documentation_is_found() {
        let expected = "a.rs: begin it with a `//!` line that says what it is for";
        check_finds("a.rs", "fn f() {}\n//! late\n", &[expected]);
        check_finds("a.rs", "", &[expected]);
        check_finds("a/tests.rs", "use super::*;\n", &[]);
    }

    #[test]
    fn tests_that_are_switched_off_are_found_by_line() {
        let text =
            "//! Doc.\n    #[ignore]\n#[should_panic(expected = \"x\")]\nlet s = \"#[ignore]\";\n";
        check_finds(
            "a.rs",
            text,
            &[
                "a.rs:2: #[ignore] is not used here; assert what should happen",
                "a.rs:3: #[should_panic] is not used here; assert what should happen",
            ],
        );
    }

    #[test]
    fn only_a_file_over_the_limit_is_long() {
        check_finds("a.py", &"x\n".repeat(MAX_LINES), &[]);
        check_finds(
            "a.py",
            &"x\n".repeat(MAX_LINES + 1),
            &["a.py: 601 lines; split it, it should have at most 600"],
        );
    }
}
