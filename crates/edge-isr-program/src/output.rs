//! Everything that the program writes to the terminal.

use std::io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout};

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::failure::Failure;

/// Writes for people, or JSON for programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    colours: bool,
}

impl Output {
    /// Output to standard output; in colours when that is a terminal and `NO_COLOR` is not set.
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            json,
            colours: wanted && stdout().is_terminal(),
        }
    }

    /// Writes a result: as JSON when that was asked for, else as text.
    pub(crate) fn result<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) {
        if self.json {
            let json = serde_json::to_string_pretty(value).expect("results have a form in JSON");
            write(&json);
        } else {
            write(text().trim_end());
        }
    }

    /// Writes one line of what is going on; nothing when JSON was asked for.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        if !self.json {
            write(text.as_ref());
        }
    }

    /// Writes one line beside the result, to standard error; nothing when JSON was asked for.
    #[expect(
        clippy::print_stderr,
        reason = "this is the module that writes to the terminal"
    )]
    pub(crate) fn aside(self, text: impl AsRef<str>) {
        if !self.json {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Writes why the command failed to standard error.
    #[expect(
        clippy::print_stderr,
        reason = "this is the module that writes to the terminal"
    )]
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            eprintln!(
                "{}",
                serde_json::json!({"error": failure.to_string(), "code": failure.code()})
            );
        } else if stderr().is_terminal() && self.colours {
            eprintln!("{} {failure}", "error:".red().bold());
        } else {
            eprintln!("error: {failure}");
        }
    }

    /// A heading.
    pub(crate) fn heading(self, text: &str) -> String {
        if self.colours {
            text.bold().to_string()
        } else {
            text.to_owned()
        }
    }

    /// Something that went well.
    pub(crate) fn good(self, text: &str) -> String {
        if self.colours {
            text.green().to_string()
        } else {
            text.to_owned()
        }
    }

    /// Something that went wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        if self.colours {
            text.red().to_string()
        } else {
            text.to_owned()
        }
    }

    /// Something worth a look.
    pub(crate) fn notable(self, text: &str) -> String {
        if self.colours {
            text.yellow().to_string()
        } else {
            text.to_owned()
        }
    }

    /// Something of less interest.
    pub(crate) fn faint(self, text: &str) -> String {
        if self.colours {
            text.dimmed().to_string()
        } else {
            text.to_owned()
        }
    }
}

/// Writes a line to standard output. Whoever reads no further, as `head` does, misses nothing.
#[expect(
    clippy::print_stderr,
    reason = "this is the module that writes to the terminal"
)]
fn write(line: &str) {
    let mut output = stdout().lock();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: standard output cannot be written: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Text put together line by line.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// Adds a line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(text.as_ref());
        self.0.push('\n');
    }

    /// Adds lines that end as they do, each moved to the right.
    pub(crate) fn block(&mut self, text: &str, indent: usize) {
        for line in text.lines() {
            self.line(format!("{:indent$}{line}", ""));
        }
    }

    /// Adds an empty line, unless nothing is there yet.
    pub(crate) fn gap(&mut self) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    /// Text, to the left.
    Text(&'static str),
    /// Numbers, to the right.
    Number(&'static str),
}

/// A table whose columns line up.
pub(crate) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    let heads = columns.iter().map(|column| match column {
        Column::Text(head) => Cell::new(head),
        Column::Number(head) => Cell::new(head).set_alignment(CellAlignment::Right),
    });
    table.set_header(heads);
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in columns.iter().enumerate() {
        let column_of_table = table
            .column_mut(index)
            .expect("the header set every column");
        if matches!(column, Column::Number(_)) {
            column_of_table.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = Lines::default();
    for line in table.lines() {
        text.line(line.trim_end());
    }
    text.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_text_to_the_left_and_numbers_to_the_right() {
        let rows = [
            vec!["a".to_owned(), "7".to_owned()],
            vec!["long name".to_owned(), "1234".to_owned()],
        ];
        let text = table(&[Column::Text("name"), Column::Number("pages")], rows);
        assert_eq!(
            text,
            " name       pages\n a              7\n long name   1234\n"
        );
    }
}
